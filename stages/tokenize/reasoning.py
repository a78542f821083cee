"""Output prediction with reasoning: what happens, step by step, then what the call returns.

A chat asks what a call returns, as for an answer without thinking. The assistant's turn begins with
thoughts between CWM's two special tokens: the frames of the trace in its grammar, or the same in
words; the value follows. The token that starts the thoughts is never trained on (paper, §5.1), so a
model answers at once unless its prompt ends with that token (`stages.tasks.task.thinking_prompt`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from model.chat import Message, encode_chat
from model.frames import Frame, Trace, diff
from model.tokens import Piece, Special, Tokenizer
from model.trace import mark_line, step_pieces
from stages.tasks.task import Task, as_question, prompt_messages
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings
from stages.trace.renderings.prose import check, prose

START, END = Special("reasoning_thinking_start"), Special("reasoning_thinking_end")


def render_reasoning(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield one chat for every task (``row["task"]``) with frames.

    Drops: "no-trace", a task of another kind; "unproven" when the last frame does not return the
    answer; "unchecked" when the words would not end with it; "too-long".
    """
    for row in rows:
        yield _rendered(row["task"], tokenizer, settings)


def _rendered(task: Task, tokenizer: Tokenizer, settings: TokenizeSettings) -> Rendered:
    frames = tuple(Frame.from_row(frame) for frame in task.frames)
    if not frames:
        return Rendered(dropped="no-trace")
    if frames[-1].event != "return" or frames[-1].value != task.answer:
        return Rendered(dropped="unproven")
    chance = random.Random(f"{settings.seed}:{task.id}")
    if chance.random() < settings.thoughts_in_words:
        thoughts = _in_words(task, frames, f"{settings.seed}:{task.id}")
        if not thoughts:
            return Rendered(dropped="unchecked")
    else:
        thoughts = tuple(piece for step in diff(frames) for piece in step_pieces(step))
    answer = Message("assistant", (START, *thoughts, END, task.answer))
    ids, written = encode_chat([*prompt_messages(as_question(task)), answer], tokenizer)
    ids.append(tokenizer.special("eos"))
    if len(ids) > settings.max_tokens:
        return Rendered(dropped="too-long")
    return Rendered((Document(ids, [*(weigh(float(w)) for w in written), 0]),))


def _in_words(task: Task, frames: tuple[Frame, ...], seed: str) -> tuple[Piece, ...]:
    """Return the trace in words; () when they do not end with what was recorded."""
    trace = Trace(mark_line(task.context, frames[0].line), frames)
    text = prose(trace, seed)
    if not check(text, trace):
        return ()
    explained = text.partition("[EXPLANATION]\n")[2].rpartition("\n[/EXPLANATION]")[0]
    return (explained + "\n",)
