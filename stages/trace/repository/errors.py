"""What can be wrong with a repository, its environment or one of its traces."""


class RepositoryError(RuntimeError):
    """A repository cannot be read, or states no licence; says which and what to do."""


class RepositoryEnvironmentError(RepositoryError):
    """There is no interpreter in which its tests could run; says what is missing."""


class Refused(ValueError):  # noqa: N818  it reads as what happened
    """A recording comes to no row; ``reason`` is a stable word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
