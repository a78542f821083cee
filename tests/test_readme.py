"""The README's Python runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_README = Path(__file__).parent.parent / "README.md"


def test_the_library_snippet_learns_its_document_by_heart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", _README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, str(_README), "exec"), {})
    assert "return a + b" in capsys.readouterr().out
