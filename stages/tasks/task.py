"""A task, its file format, and its two sides as chat messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from model.chat import Message, encode_chat
from model.frames import Frame, diff
from model.tokens import Tokenizer
from model.trace import step_pieces

TaskKind = Literal["output", "trace", "fix"]

FIX_MARK = "  # fix"
"""Ends the line of a fix task that is to be rewritten."""

Test = tuple[str, str]
"""(call, repr of what it must return)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A question about code, with what is needed to judge an answer.

    ``arguments`` is the Python source of the argument list of ``entry`` ("" for fix). ``answer`` is
    the repr of the result (output, trace) or the right line (fix). ``line`` is the 1-based line to
    fix, else 0. ``frames`` holds rows of `stages.tables.FRAME` for trace, else nothing. ``group``
    is what must not straddle the split.
    """

    id: str
    kind: TaskKind
    context: str
    entry: str
    arguments: str
    answer: str
    group: str
    source: str  # program | function
    document: str
    origin: str
    licence: str
    argument_equal: bool = False
    trace: str = ""  # key of the trace that it comes from
    line: int = 0
    visible_tests: tuple[Test, ...] = ()
    hidden_tests: tuple[Test, ...] = ()
    frames: tuple[dict[str, Any], ...] = ()


def write_tasks(file: Path, tasks: Iterable[Task]) -> None:
    """Write tasks as JSON lines."""
    with file.open("w") as lines:
        lines.writelines(json.dumps(asdict(task), sort_keys=True) + "\n" for task in tasks)


def read_tasks(file: Path) -> list[Task]:
    """Read a file of tasks."""
    with Path(file).open() as lines:
        return [_task(json.loads(line)) for line in lines]


def _task(row: dict[str, Any]) -> Task:
    for name in ("visible_tests", "hidden_tests"):
        row[name] = tuple((call, expected) for call, expected in row[name])
    return Task(**{**row, "frames": tuple(row["frames"])})


def prompt_messages(task: Task) -> list[Message]:
    """Return what is asked, as chat messages."""
    source = task.context if task.context.endswith("\n") else task.context + "\n"
    if task.kind == "fix":
        lines = source.split("\n")
        lines[task.line - 1] += FIX_MARK
        asserts = (f"assert {call} == {expected}" for call, expected in task.visible_tests)
        return [Message("user", "\n".join(lines) + "\n".join(asserts))]
    question = f"assert {task.entry}({task.arguments}) =="
    return [Message("user", source + question + ("  # trace" if task.kind == "trace" else ""))]


def as_question(task: Task) -> Task:
    """Return the task that asks for the value which a trace task's trace ends with."""
    return replace(task, kind="output")


def thinking_prompt(task: Task, tokenizer: Tokenizer) -> list[int]:
    """Return what makes a model reason about a task's call: the chat up to its thoughts.

    CWM's fine-tuned model never starts them itself: the prompt does (paper, §5.1).
    """
    ids, _ = encode_chat(prompt_messages(as_question(task)), tokenizer, generation_prefix=True)
    return [*ids, tokenizer.special("reasoning_thinking_start")]


def after_thinking(ids: Sequence[int], tokenizer: Tokenizer) -> list[int] | None:
    """Return what a model wrote after its thoughts; None if it never came to their end."""
    end = tokenizer.special("reasoning_thinking_end")
    return list(ids[list(ids).index(end) + 1 :]) if end in ids else None


def answer_message(task: Task) -> Message:
    """Return the right answer as a chat message: a value, a line, or a trace in CWM's grammar."""
    if task.kind == "trace":
        steps = diff(Frame.from_row(row) for row in task.frames)
        return Message("assistant", tuple(piece for step in steps for piece in step_pieces(step)))
    return Message("assistant", task.answer)


def answer_text(task: Task) -> str:
    """Return the right answer as text: for a trace, the value that it ends with."""
    return task.answer


def extract_answer(kind: TaskKind, text: str) -> str | None:
    """Return what ``text`` answers: a repr (output, trace) or replacement lines (fix); None if
    nothing.

    A trace, as decoded text with its special tokens, answers with the value of its last frame.
    """
    if kind == "trace":
        frames, _, rest = text.rpartition("<|frame_sep|>")
        written = frames.rpartition("<|arg_sep|>")[2] if not rest.strip() else ""
        try:
            value = json.loads(written)
        except ValueError:
            return None
        return value if isinstance(value, str) else None
    if kind == "output":
        return text.strip().split("\n")[0].strip() or None
    return text.strip("\n") if text.strip() else None


def apply_fix(task: Task, lines: str) -> str:
    """Return the context with the marked line replaced by ``lines``.

    The first one is indented as the marked line is, because a chat strips what a message starts
    with; further ones are taken as they stand.
    """
    old = task.context.split("\n")
    broken = old[task.line - 1]
    indent = broken[: len(broken) - len(broken.lstrip())]
    first, *rest = lines.split("\n")
    return "\n".join([*old[: task.line - 1], indent + first.strip(), *rest, *old[task.line :]])
