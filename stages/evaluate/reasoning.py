"""Predicting what a call returns after thinking about it, as fine-tuning teaches it.

``output.by_reasoning``: the prompt ends with the token that starts the thoughts, the model writes
them to their end (a trace, or one in words) and then the value. Asked about the same calls as
``output.by_trace``, so that the two compare; functions with the suffix ``.function``.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.chat import decode_answer
from stages.evaluate.outputs import Guesses, fitting, is_right, observe, origin, sample_tasks
from stages.evaluate.record import Example, Record
from stages.evaluate.settings import EvaluateSettings
from stages.evaluate.subject import Subject
from stages.evaluate.traces import SUFFIX
from stages.tasks.task import Task, after_thinking, extract_answer, thinking_prompt


def measure_by_reasoning(
    subject: Subject,
    record: Record,
    training: Sequence[Task],
    heldout: Sequence[Task],
    settings: EvaluateSettings,
) -> None:
    """Add ``output.by_reasoning``, where thoughts are allowed for and prompts are chats."""
    if settings.reasoning_tokens == 0 or settings.prompt_style != "chat":
        return
    for source, suffix in SUFFIX.items():
        tasks = sample_tasks(
            heldout, "trace", source, count=settings.trace_tasks, seed=settings.seed
        )
        prompts = [thinking_prompt(task, subject.tokenizer) for task in tasks]
        asked, prompts = fitting(tasks, prompts, subject.context_length)
        record.left_out[f"output.by_reasoning{suffix}: too long"] += len(tasks) - len(asked)
        answers = subject.answers(prompts, max_new_tokens=settings.reasoning_tokens)
        texts = [answer_after_thinking(ids, subject) for (ids,) in answers]
        right = [is_right(t, text) for t, text in zip(asked, texts, strict=True)]
        record.add(
            f"output.by_reasoning{suffix}",
            observe(asked, right),
            baselines=Guesses(training, source).baselines(asked),
            prompt=settings.prompt_style,
            examples=[
                Example(t.id, subject.text(p), subject.text(ids), t.answer, r, origin(t))
                for t, p, (ids,), r in zip(asked, prompts, answers, right, strict=True)
            ],
        )


def answer_after_thinking(ids: Sequence[int], subject: Subject) -> str | None:
    """Return the value that stands after the thoughts; None if they never ended."""
    rest = after_thinking(ids, subject.tokenizer)
    if rest is None:
        return None
    return extract_answer("output", decode_answer(rest, subject.tokenizer))
