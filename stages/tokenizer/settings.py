"""Settings of the tokenizer: how large, how text is split, and on how much it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerSettings:
    """How the tokenizer is trained."""

    # regular tokens; the 256 reserved ids come on top (CWM: 128,000 + 256)
    vocab_size: int = 1024
    # "json_digits": single digits, an unchanged variable of a trace is two tokens; "llama3": as CWM
    pre_tokenizer: Literal["json_digits", "llama3"] = "json_digits"
    # bytes of source code to train on
    sample_bytes: int = 4_000_000
    # bytes of the traces' text (locals, source lines, values) to train on
    trace_sample_bytes: int = 2_000_000
    # bytes of held-out code, and of held-out traces, on which compression is measured
    measure_bytes: int = 500_000
    # chooses the samples
    seed: int = 0

    def __post_init__(self) -> None:
        if not 256 <= self.vocab_size <= 1_000_000:
            raise ValueError(
                f"vocab_size is {self.vocab_size}; expected 256 (one token per byte) to 1000000"
            )
        for name in ("sample_bytes", "measure_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a positive number")
        if self.trace_sample_bytes < 0:
            raise ValueError(f"trace_sample_bytes is {self.trace_sample_bytes}; expected 0 or more")
