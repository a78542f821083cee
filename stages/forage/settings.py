"""Settings of foraging, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ForageSettings:
    """How many documents to look at, what to do with their functions, how the scripted agent
    behaves.
    """

    # most documents with doctests that are tried, in training and held out, taken in turn from
    # every origin
    documents: int = 40
    heldout_documents: int = 8
    # most functions of one document
    functions_per_document: int = 3
    # most trajectories that start from one function, each from another mutation
    trajectories_per_function: int = 3
    # most mutations of one function that are tried
    mutations_per_function: int = 10
    # keep the docstring in the file that the agent works on; without it trajectories are half as
    # long
    keep_docstring: bool = False
    # longest function, characters
    max_function_chars: int = 600
    # most doctest examples of one function that are its tests
    max_tests: int = 6
    # longest output of a tool that the agent sees, characters; the end is cut
    max_observation_chars: int = 1_000
    # CPU time for all tests of one mutant, seconds: one that takes longer is not used
    test_seconds: float = 2.0
    # how often the agent's first edit is wrong, and how often it then submits without another try
    wrong_edit_fraction: float = 0.4
    give_up_fraction: float = 0.4
    # trajectories of one origin are less similar than this (estimated Jaccard over the agent's
    # turns), as CWM's are
    similarity: float = 0.5
    # seeds the choice of documents, mutations and the agent's ways
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in (
            "documents",
            "heldout_documents",
            "functions_per_document",
            "trajectories_per_function",
            "mutations_per_function",
            "max_tests",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: at least 1 is needed")
        for name in ("wrong_edit_fraction", "give_up_fraction", "similarity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: 0 to 1 is needed")
        if not 0 < self.test_seconds <= 60:
            raise ValueError(f"test_seconds={self.test_seconds}: above 0, at most 60 is needed")


@dataclass(frozen=True, kw_only=True, slots=True)
class ForagePlacement:
    """Where foraging runs; nothing here changes its result."""

    # sandboxes at work at once, when Ray runs; else one
    workers: int = 2
    # CPUs that one of them reserves
    cpus: float = 0.5

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.workers < 1 or self.cpus <= 0:
            raise ValueError(f"workers={self.workers}, cpus={self.cpus}: both must be above 0")


def bundles(placement: ForagePlacement, settings: ForageSettings) -> list[dict[str, float]]:
    """Return what the sandboxes' workers reserve together."""
    return [{"CPU": placement.cpus}] * placement.workers
