"""Which device this process computes on: the one place where CPU and GPU part ways."""

from __future__ import annotations

import os
import resource
import time
from typing import Any, Literal

import torch


def accelerator() -> Literal["cuda", "cpu"]:
    """Return "cuda" where torch sees a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def dist_backend() -> Literal["nccl", "gloo"]:
    """Return the torch.distributed backend that fits `accelerator`."""
    return "nccl" if accelerator() == "cuda" else "gloo"


def device() -> torch.device:
    """Return this process's device: the GPU of its local rank, or the CPU."""
    if accelerator() == "cpu":
        return torch.device("cpu")
    # Ray shows a worker only its own GPUs, so the local rank can exceed what is visible
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def peak_memory_bytes() -> int:
    """Return the most memory that this process held so far: the GPU's, else resident memory."""
    if accelerator() == "cuda":
        return int(torch.cuda.max_memory_allocated(device()))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


class Clock:
    """Adds up seconds by phase, without waiting for a GPU in between.

    There, a phase is the time between two marks in the stream of work: what the host does meanwhile
    counts as far as the GPU waits for it.
    """

    def __init__(self) -> None:
        self._on_gpu = accelerator() == "cuda"
        self._phases: list[str] = []
        self._events: list[Any] = [self._event()] if self._on_gpu else []
        self._seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """What happened since the last call was ``phase``."""
        if self._on_gpu:
            self._phases.append(phase)
            self._events.append(self._event())
            return
        now = time.perf_counter()
        self._seconds[phase] = self._seconds.get(phase, 0.0) + now - self._last
        self._last = now

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every phase since the beginning; waits for the GPU."""
        if self._phases:
            self._events[-1].synchronize()
        for i, phase in enumerate(self._phases):
            spent = self._events[i].elapsed_time(self._events[i + 1]) / 1000
            self._seconds[phase] = self._seconds.get(phase, 0.0) + spent
        self._phases, self._events = [], self._events[-1:]
        return dict(self._seconds)

    @staticmethod
    def _event() -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
