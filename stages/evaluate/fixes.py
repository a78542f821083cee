"""Repairing a broken function, judged by running its hidden tests in the sandbox.

``fix.pass_at_1`` and ``fix.pass_at_8`` are unbiased estimates from samples at the setting's
temperature, ``fix.greedy`` is one deterministic answer. Beside them: as many random small edits of
the marked line (`guesses.line_edits`), for a line has few of them. A verdict that the sandbox could
not reach is left out, never counted as a failure.
"""

from __future__ import annotations

import ast
import logging
import time
import warnings
from collections.abc import Sequence

from cluster.sandbox import Limits, Sandbox
from model.chat import decode_answer
from stages.evaluate.estimate import Estimate, Observation, pass_at_k, ratio
from stages.evaluate.guesses import line_edits
from stages.evaluate.outputs import chat_prompt, fitting, origin, sample_tasks
from stages.evaluate.record import Example, Record
from stages.evaluate.settings import EvaluateSettings
from stages.evaluate.subject import Subject
from stages.evaluate.traces import SUFFIX
from stages.tasks.task import Task, apply_fix, extract_answer
from stages.tasks.verify import PRELOAD, verify

log = logging.getLogger(__name__)

Verdicts = dict[tuple[str, str], bool | None]
"""(task, answer) -> passed; None when the sandbox failed."""

_QUIET_SECONDS = 5.0


def is_python(task: Task, text: str) -> bool:
    """Say whether the repaired program can be compiled at all."""
    lines = extract_answer("fix", text)
    if lines is None:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd escapes in what the model wrote
            ast.parse(apply_fix(task, lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def judge(tasks: Sequence[Task], answers: Sequence[Sequence[str]]) -> Verdicts:
    """Run every different answer of every task once; what is no Python fails without a run."""
    given = {(t.id, text): t for t, texts in zip(tasks, answers, strict=True) for text in texts}
    wanted = {(name, text): t for (name, text), t in given.items() if is_python(t, text)}
    verdicts: Verdicts = {key: False for key in given if key not in wanted}
    ready = len(verdicts)
    started = said = time.monotonic()
    with Sandbox(preload=PRELOAD, limits=Limits()) as box:
        for (task_id, text), task in wanted.items():
            verdicts[task_id, text] = verify(task, text, box)
            if time.monotonic() - said > _QUIET_SECONDS:
                said = time.monotonic()
                done = len(verdicts) - ready
                left = (len(wanted) - done) * (said - started) / done
                log.info("judged %d of %d repairs, %.0f s left", done, len(wanted), left)
    return verdicts


def measure(
    subject: Subject, record: Record, heldout: Sequence[Task], settings: EvaluateSettings
) -> None:
    """Add the three metrics, for each source."""
    for source, suffix in SUFFIX.items():
        tasks = sample_tasks(heldout, "fix", source, count=settings.fix_tasks, seed=settings.seed)
        room = subject.context_length - settings.fix_tokens
        asked, prompts = fitting(tasks, [chat_prompt(t, subject) for t in tasks], room)
        record.left_out[f"fix{suffix}: too long"] += len(tasks) - len(asked)
        if asked:
            _measure(subject, record, asked, prompts, settings, suffix)


def _measure(
    subject: Subject,
    record: Record,
    tasks: Sequence[Task],
    prompts: list[list[int]],
    settings: EvaluateSettings,
    suffix: str,
) -> None:
    limit = settings.fix_tokens
    greedy = _texts(subject, subject.answers(prompts, max_new_tokens=limit))
    drawn = subject.answers(
        prompts,
        max_new_tokens=limit,
        temperature=settings.temperature,
        top_p=settings.top_p,
        samples=settings.fix_samples,
    )
    sampled = _texts(subject, drawn)
    edits = [line_edits(task.context, task.line) for task in tasks]
    verdicts = judge(tasks, [g + s + e for g, s, e in zip(greedy, sampled, edits, strict=True)])
    record.left_out[f"fix{suffix}: sandbox failed"] += sum(v is None for v in verdicts.values())
    for k in (1, 8):
        record.add(
            f"fix.pass_at_{k}{suffix}",
            pass_observations(tasks, sampled, verdicts, k),
            baselines=random_edits(tasks, edits, verdicts, k),
            prompt="chat",
        )
    record.add(
        f"fix.greedy{suffix}",
        pass_observations(tasks, greedy, verdicts, 1),
        baselines=random_edits(tasks, edits, verdicts, 1),
        prompt="chat",
        examples=[
            Example(t.id, subject.text(p), text, _tests(t), bool(verdicts[t.id, text]), origin(t))
            for t, p, (text,) in zip(tasks, prompts, greedy, strict=True)
        ],
    )


def pass_observations(
    tasks: Sequence[Task], answers: Sequence[Sequence[str]], verdicts: Verdicts, k: int
) -> list[Observation]:
    """Return each task's pass@k; tasks with fewer than ``k`` verdicts are left out."""
    found = []
    for task, texts in zip(tasks, answers, strict=True):
        reached = [v for text in texts if (v := verdicts[task.id, text]) is not None]
        if len(reached) >= k:
            found.append(Observation(task.group, pass_at_k(len(reached), sum(reached), k)))
    return found


def random_edits(
    tasks: Sequence[Task], edits: Sequence[Sequence[str]], verdicts: Verdicts, k: int
) -> dict[str, Estimate | None]:
    """Return how often one of ``k`` of a line's small edits, drawn with replacement, passes."""
    found = []
    for task, texts in zip(tasks, edits, strict=True):
        passed = [bool(verdicts[task.id, text]) for text in texts]
        share = sum(passed) / max(len(passed), 1)
        found.append(Observation(task.group, 1 - (1 - share) ** k))
    return {"a random edit": ratio(found)}


def _texts(subject: Subject, answers: Sequence[Sequence[Sequence[int]]]) -> list[list[str]]:
    return [[decode_answer(ids, subject.tokenizer) for ids in group] for group in answers]


def _tests(task: Task) -> str:
    return "\n".join(f"{call} == {expected}" for call, expected in task.visible_tests)
