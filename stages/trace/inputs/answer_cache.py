"""What a model answered, kept on disk: nothing is asked twice, whatever ends the stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_FILE = "answers.jsonl"


class AnswerCache:
    """Answers by key, one per line of a file that only grows; a context manager that holds it open.

    A line that was being written when the process ended is cut off. One process writes at a time:
    the folder is a step's scratch, which its lease guards.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / _FILE
        self._known: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._file = self._path.open("a+b")
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            kept = json.loads(line)
            self._known[kept["key"]] = kept["answer"]
        self._file.truncate(whole)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def put(self, answers: Mapping[str, Any]) -> None:
        """Keep answers, values of JSON, by their keys; they are on disk when this returns."""
        self._known.update(answers)
        for key, answer in answers.items():
            self._file.write(json.dumps({"key": key, "answer": answer}).encode() + b"\n")
        self._file.flush()
