"""What can be wrong with a repository or its environment, told before or instead of its traces."""


class RepositoryError(RuntimeError):
    """A repository cannot be read, or states no licence; says which and what to do."""


class RepositoryEnvironmentError(RepositoryError):
    """There is no interpreter in which its tests could run; says what is missing."""
