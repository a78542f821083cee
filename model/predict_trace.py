"""What a checkpoint predicts of one call, and what is true of it.

The true trace comes from ``python -m stages.trace``, run as a child process: the model's package
knows nothing of the stages, and a program that ends its process does not end this one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from model.checkpoint import load_config, load_pretrained
from model.comparison import Comparison, compare
from model.forced_lines import ForcedLines
from model.frames import Frame, diff
from model.generate import Generator, PromptError, Sample
from model.sampling import check_settings
from model.tokens import Tokenizer, TokenizerFileError
from model.trace import ParsedTrace, encode_step, entry_prompt, parse
from model.transformer import CWM


class PromptTooLongError(PromptError):
    """Source and call leave no room in the model's context; says by how much."""


class NoTraceError(RuntimeError):
    """The child process made no trace; it has said why. ``code`` is its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How traces are decoded; raises ValueError for what cannot be."""

    force_lines: bool = False
    """Write events and source lines from the true trace: only the values are the model's."""
    temperature: float = 0.0
    """0 takes the most probable token each time."""
    top_p: float = 1.0
    """Sample only among the most probable tokens that together reach this probability."""
    samples: int = 1
    """So many traces; the first is shown in full."""
    max_new_tokens: int = 2048
    """Where a trace is cut; the model's context cuts it too."""
    seed: int = 0
    """Of the sampling."""

    def __post_init__(self) -> None:
        """Check the ranges, and that samples can differ."""
        check_settings(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            samples=self.samples,
        )
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("at --temperature 0 all samples are the same: give one, such as 0.6")


@dataclass(frozen=True, slots=True)
class TrueTrace:
    """What a call did: context, frames (the call first) and the tracer's word for how it ended."""

    context: str
    frames: tuple[Frame, ...]
    outcome: str

    @property
    def whole(self) -> bool:
        """False when a budget cut it."""
        return self.outcome in ("return", "exception")


@dataclass(frozen=True, slots=True)
class Prediction:
    """One sampled trace, parsed behind the call that it was given, and compared."""

    sample: Sample
    parsed: ParsedTrace
    given: int  # tokens of the call, which the parser's positions count too
    comparison: Comparison


def true_trace(target: str, arguments: Sequence[str], show: str) -> TrueTrace:
    """Trace a call in a child process, which prints to our stderr; raises `NoTraceError`."""
    command = [sys.executable, "-m", "stages.trace", target, "--format", "json", "--show", show]
    done = subprocess.run(
        [*command, "--", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if done.returncode or not done.stdout:
        raise NoTraceError(
            f"no trace of {target}: the child process ended with code {done.returncode}",
            done.returncode,
        )
    found = json.loads(done.stdout)
    frames = tuple(Frame.from_row(row) for row in found["frames"])
    return TrueTrace(found["context"], frames, found["outcome"])


def load(folder: Path) -> tuple[CWM, Tokenizer]:
    """Load a checkpoint with its tokenizer: in float32, on a GPU where there is one in bfloat16.

    Raises `TokenizerFileError` where it has no tokenizer that fits, `CheckpointError` for the rest.
    """
    config, tokenizer = load_config(folder), Tokenizer.load(folder)
    begin = tokenizer.special("bos")
    if tokenizer.vocab_size > config.vocab_size or begin != config.bos_token_id:
        raise TokenizerFileError(
            f"{folder}: its tokenizer has {tokenizer.vocab_size:,} tokens and begins with {begin}, "
            f"its model {config.vocab_size:,} and {config.bos_token_id}: not the same tokenizer"
        )
    if torch.cuda.is_available():
        model = load_pretrained(folder, dtype=torch.bfloat16, device="cuda")
    else:
        model = load_pretrained(folder, dtype=torch.float32)
    return model.eval().requires_grad_(False), tokenizer


def build_prompt(model: CWM, tokenizer: Tokenizer, true: TrueTrace) -> list[int]:
    """Return what the model traces on from; raises `PromptTooLongError`."""
    prompt = entry_prompt(true.context, true.frames[0], tokenizer)
    length = model.config.max_position_embeddings
    if len(prompt) >= length:
        raise PromptTooLongError(
            f"the source and the call are {len(prompt):,} tokens, the model's context is "
            f"{length:,}: {len(prompt) - length + 1:,} too many"
        )
    return prompt


def predict(
    model: CWM, tokenizer: Tokenizer, true: TrueTrace, decoding: Decoding
) -> list[Prediction]:
    """Let the model write the trace on from its call; raises `PromptTooLongError`."""
    steps = diff(true.frames)
    guide = ForcedLines(steps[1:], tokenizer) if decoding.force_lines else None
    generator = Generator(
        model,
        max_length=model.config.max_position_embeddings,
        stop_ids=tokenizer.stop_ids,
        seed=decoding.seed,
    )
    (samples,) = generator.generate(
        [build_prompt(model, tokenizer, true)],
        max_new_tokens=decoding.max_new_tokens,
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        samples=decoding.samples,
        guides=[guide],
    )
    call = encode_step(steps[0], tokenizer)
    parsed = [parse([*call, *sample.tokens], tokenizer) for sample in samples]
    return [
        Prediction(s, p, len(call), compare(true.frames, p, whole=true.whole))
        for s, p in zip(samples, parsed, strict=True)
    ]
