"""Predicting what a call returns: directly, and by writing the trace to its end.

``output.direct`` (all answers), ``output.direct.not_argument`` (those that equal no argument) and
``output.by_trace``; functions with the suffix ``.function``. Beside them: the most frequent answer
of the training tasks, and copying the argument that is most often the answer there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model.chat import decode_answer, encode_chat
from model.frames import Frame
from model.trace import entry_prompt, final_value, mark_line, parse
from stages.evaluate.estimate import Estimate, Observation, ratio
from stages.evaluate.free_traces import given_call
from stages.evaluate.guesses import best_position, copied, majority
from stages.evaluate.record import Example, Record
from stages.evaluate.settings import EvaluateSettings
from stages.evaluate.subject import Subject
from stages.evaluate.traces import SUFFIX
from stages.tasks.task import Task, extract_answer, prompt_messages
from stages.tasks.verify import same_value
from stages.tokenize.asserts import prompt_pieces
from stages.tokenizer.sample import sample_by_hash


def sample_tasks(
    tasks: Iterable[Task], kind: str, source: str, *, count: int, seed: int
) -> list[Task]:
    """Return ``count`` tasks of a kind and source, by hash of their ids."""
    chosen = ((t.id, t, 1) for t in tasks if t.kind == kind and t.source == source)
    return sample_by_hash(chosen, budget=count, seed=seed)


def fitting(
    tasks: Sequence[Task], prompts: Sequence[list[int]], room: int
) -> tuple[list[Task], list[list[int]]]:
    """Return the tasks whose prompts take less than ``room`` tokens, with the prompts."""
    kept = [(t, p) for t, p in zip(tasks, prompts, strict=True) if len(p) < room]
    return [t for t, _ in kept], [p for _, p in kept]


def chat_prompt(task: Task, subject: Subject) -> list[int]:
    """Encode a task's chat up to where the assistant answers."""
    return encode_chat(prompt_messages(task), subject.tokenizer, generation_prefix=True)[0]


def observe(tasks: Sequence[Task], right: Sequence[bool]) -> list[Observation]:
    """Pair each task's verdict with its near-duplicate group."""
    return [Observation(t.group, float(r)) for t, r in zip(tasks, right, strict=True)]


def origin(task: Task) -> dict[str, str]:
    """Return where a task comes from."""
    return {"document": task.document, "origin": task.origin, "licence": task.licence}


def is_right(task: Task, answer: str | None) -> bool:
    """Say whether an answer has the recorded value."""
    return answer is not None and same_value(answer, task.answer)


class Guesses:
    """What the training tasks of one source suggest without a model."""

    def __init__(self, training: Iterable[Task], source: str) -> None:
        known = [t for t in training if t.kind == "output" and t.source == source]
        self.majority = majority(t.answer for t in known)
        self.position = best_position([(t.arguments, t.answer) for t in known])

    def baselines(self, tasks: Sequence[Task]) -> dict[str, Estimate | None]:
        """Return how often each guess is right."""
        common = [is_right(t, self.majority) for t in tasks]
        copy = [is_right(t, copied(t.arguments, self.position)) for t in tasks]
        return {
            "majority answer": ratio(observe(tasks, common)),
            f"copying argument {self.position + 1}": ratio(observe(tasks, copy)),
        }


def measure_direct(
    subject: Subject,
    record: Record,
    training: Sequence[Task],
    heldout: Sequence[Task],
    settings: EvaluateSettings,
) -> None:
    """Add ``output.direct`` and ``output.direct.not_argument``."""
    for source, suffix in SUFFIX.items():
        tasks = sample_tasks(
            heldout, "output", source, count=settings.output_tasks, seed=settings.seed
        )
        room = subject.context_length - settings.output_tokens
        asked, prompts = fitting(tasks, [_direct_prompt(t, subject, settings) for t in tasks], room)
        record.left_out[f"output.direct{suffix}: too long"] += len(tasks) - len(asked)
        texts = _direct_answers(subject, prompts, settings)
        right = [is_right(t, text) for t, text in zip(asked, texts, strict=True)]
        guesses = Guesses(training, source)
        record.add(
            f"output.direct{suffix}",
            observe(asked, right),
            baselines=guesses.baselines(asked),
            prompt=settings.prompt_style,
            examples=[
                Example(t.id, subject.text(p), text or "", t.answer, r, origin(t))
                for t, p, text, r in zip(asked, prompts, texts, right, strict=True)
            ],
        )
        other = [(t, r) for t, r in zip(asked, right, strict=True) if not t.argument_equal]
        record.add(
            f"output.direct.not_argument{suffix}",
            observe([t for t, _ in other], [r for _, r in other]),
            baselines=guesses.baselines([t for t, _ in other]),
            prompt=settings.prompt_style,
        )


def _direct_prompt(task: Task, subject: Subject, settings: EvaluateSettings) -> list[int]:
    if settings.prompt_style == "chat":
        return chat_prompt(task, subject)
    pieces = prompt_pieces(task.context, task.entry, task.arguments)
    return subject.tokenizer.encode_pieces(pieces)


def _direct_answers(
    subject: Subject, prompts: list[list[int]], settings: EvaluateSettings
) -> list[str | None]:
    """Return what the model answers: the chat's reply, or what follows ``==`` on the line."""
    if settings.prompt_style == "chat":
        answers = subject.answers(prompts, max_new_tokens=settings.output_tokens)
        texts = [decode_answer(ids, subject.tokenizer) for (ids,) in answers]
        return [extract_answer("output", text) for text in texts]
    answers = subject.answers(
        prompts, max_new_tokens=settings.output_tokens, stop_ids=line_ends(subject)
    )
    texts = [decode_answer(ids, subject.tokenizer) for (ids,) in answers]
    return [text.split("\n")[0].strip() for text in texts]


def line_ends(subject: Subject) -> list[int]:
    """Return the tokens after which a line is over."""
    tokenizer = subject.tokenizer
    ends = [i for i in range(tokenizer.regular_size) if b"\n" in tokenizer.token_bytes(i)]
    return [*ends, *tokenizer.stop_ids]


def measure_by_trace(
    subject: Subject,
    record: Record,
    training: Sequence[Task],
    heldout: Sequence[Task],
    settings: EvaluateSettings,
) -> None:
    """Add ``output.by_trace``: the value that the last frame of the written trace returns."""
    for source, suffix in SUFFIX.items():
        tasks = sample_tasks(
            heldout, "trace", source, count=settings.trace_tasks, seed=settings.seed
        )
        starts = _starts(tasks, subject, settings)
        asked, prompts = fitting(tasks, [s[0] for s in starts], subject.context_length)
        record.left_out[f"output.by_trace{suffix}: too long"] += len(tasks) - len(asked)
        given = dict(zip((t.id for t in tasks), (s[1] for s in starts), strict=True))
        answers = subject.answers(prompts, max_new_tokens=subject.context_length)
        values = [
            final_value(parse([*given[t.id], *ids], subject.tokenizer))
            for t, (ids,) in zip(asked, answers, strict=True)
        ]
        right = [is_right(t, value) for t, value in zip(asked, values, strict=True)]
        record.add(
            f"output.by_trace{suffix}",
            observe(asked, right),
            baselines=Guesses(training, source).baselines(asked),
            prompt=settings.prompt_style,
            examples=[
                Example(t.id, subject.text(p), subject.text(ids), t.answer, r, origin(t))
                for t, p, (ids,), r in zip(asked, prompts, answers, right, strict=True)
            ],
        )


def _starts(
    tasks: Sequence[Task], subject: Subject, settings: EvaluateSettings
) -> list[tuple[list[int], list[int]]]:
    """Return for each task (prompt, those of its last tokens that are part of the trace)."""
    if settings.prompt_style == "chat":
        return [(chat_prompt(task, subject), []) for task in tasks]
    found = []
    for task in tasks:
        call = Frame.from_row(task.frames[0])
        context = mark_line(task.context, call.line)
        prompt = entry_prompt(context, call, subject.tokenizer)
        found.append((prompt, given_call(call, subject)))
    return found
