"""Settings of the evaluate stage: how much of everything is measured, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


def _check(holds: bool, field: str, value: object, allowed: str) -> None:
    if not holds:
        raise ValueError(f"evaluate.{field} = {value!r}: must be {allowed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateSettings:
    """What bears on the numbers. Sizes "per source" hold for programs and functions each."""

    seed: int = 0
    """Seeds which held-out rows are taken, and the sampler."""
    context_length: int = 256
    """Tokens that the model sees at once; longer traces and prompts are left out and counted."""
    prompt_style: Literal["chat", "completion"] = "chat"
    """How results are asked for: as a chat (after SFT), or by continuing ``assert f(x) ==`` and a
    trace's call frame (before SFT, when the model has seen no chats)."""

    code_bytes: int = 200_000
    """Held-out code measured, UTF-8 bytes; 0 = none."""
    document_bytes: int = 8_192
    """Longest part of one document that is measured, so that no file dominates."""
    trigram_bytes: int = 4_000_000
    """Training code that the byte trigram is counted on."""

    frame_traces: int = 200
    """Held-out traces per source whose every frame is predicted from the true history; 0 = none."""
    free_traces: int = 100
    """Held-out traces per source that the model writes from the call frame on; 0 = none."""

    output_tasks: int = 300
    """Held-out calls per source whose result is predicted directly; 0 = none."""
    trace_tasks: int = 150
    """Held-out calls per source whose result is predicted by writing the trace; 0 = none."""
    output_tokens: int = 32
    """Longest direct answer in tokens."""
    reasoning_tokens: int = 0
    """Longest thoughts with their answer in tokens, where results are asked for as a chat; 0 = not
    asked for."""

    fix_tasks: int = 64
    """Held-out broken functions to repair; 0 = none."""
    fix_samples: int = 8
    """Samples per broken function, for pass@1 and pass@8 (n >= 16 estimates pass@8 better)."""
    fix_tokens: int = 64
    """Longest repair in tokens."""
    temperature: float = 1.0
    """Of the samples (CWM's evaluations: 1.0)."""
    top_p: float = 1.0
    """Nucleus of the samples (CWM's evaluations: 0.95)."""

    examples: int = 8
    """Predictions kept per metric, beside the truth."""

    def __post_init__(self) -> None:
        counts = "code_bytes frame_traces free_traces output_tasks trace_tasks fix_tasks examples"
        counts += " reasoning_tokens"
        for name in counts.split():
            _check(getattr(self, name) >= 0, name, getattr(self, name), ">= 0")
        positive = "document_bytes trigram_bytes output_tokens fix_samples fix_tokens"
        for name in positive.split():
            _check(getattr(self, name) >= 1, name, getattr(self, name), ">= 1")
        _check(self.context_length >= 16, "context_length", self.context_length, ">= 16")
        _check(self.temperature > 0, "temperature", self.temperature, "> 0")
        _check(0 < self.top_p <= 1, "top_p", self.top_p, "in (0, 1]")
        styles = ("chat", "completion")
        _check(self.prompt_style in styles, "prompt_style", self.prompt_style, f"one of {styles}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatePlacement:
    """Where and how it runs; moves results by rounding at most."""

    threads: int = 1
    """CPU threads of the tensor library."""
    lanes: int = 128
    """Sequences decoded at once."""
    row_tokens: int = 2048
    """Tokens of a packed row in a forward pass."""

    def __post_init__(self) -> None:
        for name in ("threads", "lanes", "row_tokens"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), ">= 1")
