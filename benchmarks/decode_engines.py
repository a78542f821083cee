"""The decoders that `benchmarks.decode_throughput` compares, behind one call.

Each decodes greedily, in fp32 on one thread, every prompt up to a limit of its own, and tells the
processor seconds of the process that did the work.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmarks.vllm_child import ENVIRONMENT
from model import CWM
from model.generate import Generator
from model.guide import Forced, Guide

Ids = list[int]

STOP = 8191
"""Ends our samples of a queue; a token that nothing else may write."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """CPU seconds, and each prompt's new tokens."""

    seconds: float
    tokens: list[Ids]


class Engine(Protocol):
    """Anything that continues prompts."""

    def decode(self, prompts: list[Ids], limits: list[int]) -> Decoded:
        """Continue every prompt by its own number of tokens."""


def timed(decode: Callable[[], list[Ids]]) -> Decoded:
    """Measure a decoder of this process."""
    gc.collect()
    started = time.process_time()
    tokens = decode()
    return Decoded(time.process_time() - started, tokens)


class Ours:
    """`model.generate.Generator`; where the limits differ, a guide writes the stop token."""

    def __init__(self, checkpoint: Path, length: int, lanes: int) -> None:
        model = CWM.from_pretrained(checkpoint).eval()
        self.generator = Generator(model, max_length=length, stop_ids=(), batch=lanes)

    def decode(self, prompts: list[Ids], limits: list[int]) -> Decoded:
        """Continue every prompt by its own number of tokens."""

        def run() -> list[Ids]:
            guides = None if len(set(limits)) == 1 else [_ending_at(n) for n in limits]
            found = self.generator.generate(
                prompts,
                max_new_tokens=max(limits),
                guides=guides,
                stop_ids=() if guides is None else (STOP,),
            )
            return [samples[0].tokens for samples in found]

        return timed(run)


def _ending_at(length: int) -> Guide:
    def guide(written: Sequence[int]) -> Forced | None:
        return Forced((STOP,)) if len(written) == length - 1 else None

    return guide


class HF:
    """``transformers``' ``generate``: static batches of ``lanes`` prompts, in their order, the
    shorter ones padded on the left; each batch goes on to the longest of its limits."""

    def __init__(self, checkpoint: Path, lanes: int) -> None:
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.lanes = lanes
        self.model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
        self.model.eval().generation_config.eos_token_id = None

    def decode(self, prompts: list[Ids], limits: list[int]) -> Decoded:
        """Continue every prompt by its own number of tokens."""

        def run() -> list[Ids]:
            tokens = []
            for start in range(0, len(prompts), self.lanes):
                batch = slice(start, start + self.lanes)
                tokens += self._batch(prompts[batch], limits[batch])
            return tokens

        return timed(run)

    def _batch(self, prompts: list[Ids], limits: list[int]) -> list[Ids]:
        longest = max(map(len, prompts))
        pads = [longest - len(prompt) for prompt in prompts]
        ids = torch.tensor([[0] * pad + p for pad, p in zip(pads, prompts, strict=True)])
        mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads])
        out = self.model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=max(limits),
            do_sample=False,
            pad_token_id=0,
        )
        rows = out[:, longest:].tolist()
        return [row[:limit] for row, limit in zip(rows, limits, strict=True)]


class VLLMError(RuntimeError):
    """vLLM's process ended; says with what."""


class VLLM:
    """vLLM in a child process under its own interpreter; ``mode`` is "eager" or "compiled"."""

    def __init__(self, python: Path, checkpoint: Path, mode: str, length: int, lanes: int) -> None:
        self.log = checkpoint / f"vllm_{mode}.log"
        arguments = [str(checkpoint), mode, str(length), str(lanes)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(python), "-m", "benchmarks.vllm_child", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | ENVIRONMENT,
                cwd=Path(__file__).parents[1],
            )

    def ready(self) -> dict[str, Any]:
        """Wait until the model is loaded, and compiled; return what was loaded."""
        return self._answer()

    def decode(self, prompts: list[Ids], limits: list[int]) -> Decoded:
        """Continue every prompt by its own number of tokens."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"prompts": prompts, "limits": limits}) + "\n")
        self.process.stdin.flush()
        return Decoded(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            tail = "\n".join(self.log.read_text().splitlines()[-15:])
            raise VLLMError(f"vLLM ended with exit code {self.process.wait()}:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process: its input is over."""
        self.process.communicate()


def vllm_python(given: Path | None) -> Path | None:
    """Return the interpreter that has vLLM, or say on stderr how to get one."""
    python = given or Path(__file__).parents[1] / ".venv-vllm" / "bin" / "python"
    if python.exists():
        return python
    print(
        f"vLLM is left out: there is no {python}. `make vllm` builds its environment;"
        " --vllm-python names another one.",
        file=sys.stderr,
    )
    return None
