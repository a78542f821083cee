"""The trace stage: cut the work into shards, make them in sandboxes, select, write.

A shard's files stay in the step's scratch folder until the artifact is published: an execution that
was killed is gone on with where it was. Rows pass from the workers to the artifact through these
files alone; the stage's own process holds digests of them.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from stages.tables import read_table
from stages.trace.batches import Inputs, function_shards, program_shards
from stages.trace.candidates import Candidate, Skipped, candidates_of, choose
from stages.trace.card import Facts, examples, write_card
from stages.trace.counts import Work, drop, left_out, selected
from stages.trace.inputs.harvest import harvest
from stages.trace.inputs.llm import ask
from stages.trace.output import SPLITS, read_index, write_tables
from stages.trace.repository.shard import repository_shards
from stages.trace.selection import Index, Verdicts, select
from stages.trace.settings import TracePlacement, TraceSettings
from stages.trace.shards import Shard, finished, sweep
from stages.trace.tracer.engine import NOTICE
from stages.trace.workers import make_shards

_LOG = logging.getLogger(__name__)
_COLUMNS = ["sha256", "text", "origin", "path", "licence"]
_SAY_SECONDS = 5.0


def run(context: StepContext) -> None:
    """Trace functions, generated programs and repositories' tests into ``context.output``."""
    settings: TraceSettings = context.settings
    placement: TracePlacement = context.placement or TracePlacement()
    corpus = context.inputs["corpus"].path
    found, skipped = _scan(corpus, settings)
    chosen = choose(found, settings)
    _LOG.info("%d functions, %d chosen", len(found), len(chosen))
    counts: dict[str, Any] = {"functions.found": len(found), "functions.chosen": len(chosen)}
    inputs = _inputs(chosen, corpus, context.scratch, settings, placement, counts)
    shards: list[Shard] = [
        *repository_shards(settings, placement),
        *function_shards(chosen, inputs, settings),
        *program_shards(settings, placement),
    ]
    folder = context.scratch / "shards"
    folder.mkdir(exist_ok=True)
    work = _make(shards, folder, placement)
    index = read_index((shard.name for shard in shards), folder)
    verdicts = select(
        index,
        per_coverage=settings.per_coverage,
        exception_fraction=settings.exception_fraction,
    )
    reasons = left_out(verdicts) + work.dropped
    reasons.update(each.reason for each in skipped)
    counts |= selected(index, verdicts) | work.statistics()
    counts |= {f"dropped.{reason}": count for reason, count in sorted(reasons.items())}
    counts["functions.yield"] = counts["functions"] / len(chosen) if chosen else 0.0
    _write(context, shards, index, verdicts, skipped, Facts(settings, work, reasons, counts))
    write_statistics(context.statistics_file, counts)
    _say(work, counts)


def _scan(corpus: Path, settings: TraceSettings) -> tuple[list[Candidate], list[Skipped]]:
    found: list[Candidate] = []
    skipped: list[Skipped] = []
    for split in SPLITS:
        for document in read_table(corpus / split, _COLUMNS):
            for each in candidates_of(document, split, settings):
                if isinstance(each, Candidate):
                    found.append(each)
                else:
                    skipped.append(each)
    return found, skipped


def _inputs(
    chosen: Sequence[Candidate],
    corpus: Path,
    scratch: Path,
    settings: TraceSettings,
    placement: TracePlacement,
    counts: dict[str, Any],
) -> Inputs:
    """Find inputs outside the sandbox: in the corpus, and by asking a language model."""
    inputs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    if chosen and "harvest" in settings.input_methods:
        documents = (
            document
            for split in SPLITS
            for document in read_table(corpus / split, ["path", "text"])
        )
        called = harvest(documents)
        for each in chosen:
            inputs[each.name] += [("harvest", one) for one in called.get(each.name, ())]
    if chosen and settings.llm.model and "llm" in settings.input_methods:
        sources = {each.name: "".join(each.shown.text) for each in chosen}
        answers = ask(sources, settings.llm, placement.llm, scratch / "llm")
        for name, found in answers.inputs.items():
            inputs[name] += [("llm", one) for one in found]
        counts |= {f"llm.{name}": count for name, count in sorted(answers.counts.items())}
    return inputs


def _make(shards: Sequence[Shard], folder: Path, placement: TracePlacement) -> Work:
    """Make the shards that are not there; say now and then how it goes."""
    work, rest = Work(), []
    sweep(folder, (shard.name for shard in shards))
    for shard in shards:
        there = finished(shard.name, folder)
        if there is None:
            rest.append(shard)
        else:
            work.add(there)
    work.found_there = work.shards
    if work.shards:
        _LOG.info("%d of %d shards are there from before", work.shards, len(shards))
    before, begun = work.made, time.monotonic()
    said = begun
    for counts in make_shards(rest, folder, placement):
        work.add(counts)
        if counts.engine == "python" and work.engines["python"] == 1:
            _LOG.warning(NOTICE)
        now = time.monotonic()
        if now - said > _SAY_SECONDS:
            said = now
            done = work.shards - work.found_there
            rate = (work.made - before) / (now - begun)
            left = (now - begun) / done * (len(rest) - done)
            _LOG.info(
                "%d of %d shards, %d traces, %.0f traces/s, %.0f s to go",
                work.shards,
                len(shards),
                work.made,
                rate,
                left,
            )
    return work


def _write(
    context: StepContext,
    shards: Sequence[Shard],
    index: Index,
    verdicts: Verdicts,
    skipped: Sequence[Skipped],
    facts: Facts,
) -> None:
    shown = write_tables(
        [shard.name for shard in shards],
        context.scratch / "shards",
        index,
        verdicts,
        context.output,
        context.scratch / "buckets",
        dropped=[
            drop(each.name, each.origin, each.path, each.reason, each.detail) for each in skipped
        ],
        wanted=examples(index, verdicts),
    )
    write_card(context.output / "card.md", facts, index, verdicts, shown)


def _say(work: Work, counts: Mapping[str, Any]) -> None:
    for method, tried, valid, seconds in work.methods():
        made = f"{tried} tried, {valid} traces, " if tried else ""
        rate = f", {valid / seconds:.0f} traces a second" if tried and seconds else ""
        _LOG.info("%s: %s%.1f s of CPU%s", method, made, seconds, rate)
    for kind in ("source", "outcome"):
        found = {
            k.rpartition(".")[2]: n for k, n in counts.items() if k.startswith(f"traces.{kind}.")
        }
        _LOG.info("%s: %s", kind, ", ".join(f"{name} {count}" for name, count in found.items()))
