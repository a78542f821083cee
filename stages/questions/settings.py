"""Settings of the questions: how many of each kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionSettings:
    """How much is asked; everything comes from held-out splits."""

    # most calls of generated programs, one for each shape
    programs: int = 600
    # most broken programs
    patches: int = 200
    # most trajectories of an agent
    trajectories: int = 200
    # held-out code, UTF-8 bytes, and the longest part of one document
    code_bytes: int = 60_000
    document_bytes: int = 2_048
    # chooses among what there is
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("programs", "patches", "trajectories", "code_bytes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: 0 or more is needed")
        if self.document_bytes < 1:
            raise ValueError(f"document_bytes={self.document_bytes}: at least 1 is needed")
