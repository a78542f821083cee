"""Train the tokenizer on the training split, check it, and measure it on the held-out split."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from model.frames import Trace, diff
from model.tokens import Tokenizer, train_tokenizer
from model.trace import encode_context, encode_steps, render
from stages.tables import read_table
from stages.tokenizer.sample import sample_by_hash
from stages.tokenizer.settings import TokenizerSettings

log = logging.getLogger(__name__)


class RoundTripError(ValueError):
    """A document does not come back from its tokens as it was; says which."""


class EmptyCorpusError(ValueError):
    """There is nothing to train on; says which input is empty."""


def sample_code(folder: Path, *, budget: int, seed: int) -> list[str]:
    """Return texts of a documents table, at most ``budget`` bytes of them."""
    rows = read_table(folder, columns=["sha256", "text"])
    sized = ((row["sha256"], row["text"], len(row["text"].encode())) for row in rows)
    return sample_by_hash(sized, budget=budget, seed=seed)


def trace_texts(trace: Trace) -> list[str]:
    """Return the text pieces of a rendered trace, without its special tokens."""
    return [piece for piece in render(trace) if isinstance(piece, str)]


def sample_traces(folder: Path, *, budget: int, seed: int) -> list[Trace]:
    """Return traces of a traces table, at most ``budget`` bytes of rendered text."""

    def sized() -> Iterator[tuple[str, Trace, int]]:
        for row in read_table(folder, columns=["key", "context", "frames"]):
            trace = Trace.from_row(row)
            size = sum(len(text.encode("utf-8", "replace")) for text in trace_texts(trace))
            yield row["key"], trace, size

    return sample_by_hash(sized(), budget=budget, seed=seed)


def measure_code(texts: list[str], tokenizer: Tokenizer) -> dict[str, float]:
    """Return compression on code; raise `RoundTripError` when a text does not survive."""
    size = tokens = 0
    for text in texts:
        ids = tokenizer.encode(text)
        if tokenizer.decode(ids) != text:
            raise RoundTripError(f"the document starting {text[:60]!r} is not what its tokens say")
        size, tokens = size + len(text.encode("utf-8", "replace")), tokens + len(ids)
    return {"code.bytes_per_token": size / max(tokens, 1), "code.measured_bytes": size}


def measure_traces(traces: list[Trace], tokenizer: Tokenizer) -> dict[str, float]:
    """Return compression on traces: text bytes per token, tokens per frame and per context."""
    size = frames = context_tokens = frame_tokens = 0
    for trace in traces:
        size += sum(len(text.encode("utf-8", "replace")) for text in trace_texts(trace))
        context_tokens += len(encode_context(trace.context, tokenizer))
        frame_tokens += len(encode_steps(diff(trace.frames), tokenizer))
        frames += len(trace.frames)
    return {
        "traces.bytes_per_token": size / max(context_tokens + frame_tokens, 1),
        "traces.tokens_per_frame": frame_tokens / max(frames, 1),
        "traces.tokens_per_context": context_tokens / max(len(traces), 1),
        "traces.measured_frames": frames,
    }


def run(context: StepContext) -> None:
    """Train, save, check and measure."""
    settings: TokenizerSettings = context.settings
    corpus, traces = context.inputs["corpus"].path, context.inputs["traces"].path
    start = time.monotonic()
    code = sample_code(corpus / "train", budget=settings.sample_bytes, seed=settings.seed)
    if not code:
        raise EmptyCorpusError(f"{corpus / 'train'} has no documents to train a tokenizer on")
    shown = sample_traces(traces / "train", budget=settings.trace_sample_bytes, seed=settings.seed)
    log.info("training on %d documents and %d traces", len(code), len(shown))

    def texts() -> Iterator[str]:
        yield from code
        for trace in shown:
            yield from trace_texts(trace)

    tokenizer = train_tokenizer(texts(), settings.vocab_size, settings.pre_tokenizer)
    tokenizer.save(context.output)
    log.info("%d tokens in %.1f s", tokenizer.regular_size, time.monotonic() - start)
    budget, seed = settings.measure_bytes, settings.seed
    # a corpus too small to hold anything out is measured on what it was trained on
    unseen = sample_code(corpus / "heldout", budget=budget, seed=seed) or code
    unseen_traces = sample_traces(traces / "heldout", budget=budget, seed=seed) or shown
    statistics = {
        "vocab_size": tokenizer.vocab_size,
        "regular_tokens": tokenizer.regular_size,
        "sample.documents": len(code),
        "sample.traces": len(shown),
        **measure_code(unseen, tokenizer),
        **measure_traces(unseen_traces, tokenizer),
    }
    log.info(
        "%.2f bytes per token on code, %.1f tokens per frame",
        statistics["code.bytes_per_token"],
        statistics["traces.tokens_per_frame"],
    )
    write_statistics(context.statistics_file, statistics)
