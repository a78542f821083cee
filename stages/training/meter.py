"""What is summed up between two lines of metrics, and the line that it makes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist

from cluster.devices import Clock, device, peak_memory_bytes
from stages.training.job import Job
from stages.training.packing import Row
from stages.training.step import Made
from stages.training.throughput import gemm_flops_per_second, step_flops

STEP = ("data", "forward", "backward", "optimizer")
"""Phases of a step."""
BETWEEN = ("checkpoint", "validation")
"""Phases between steps; the time that training waits for them."""


class Meter:
    """Sums since the last line of metrics; the clock is this worker's."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._dtype = torch.float32 if job.settings.precision == "float32" else torch.bfloat16
        self.clock = Clock()
        self.tokens = 0
        self._loss = self._log_z = self._weight = self._norm = self._flops = 0.0

    def add(self, made: Made, taken: Sequence[Row]) -> None:
        """Add a step over the global batch ``taken``; of one that was skipped only its cost."""
        for row in taken:
            self.tokens += sum(row.lengths)
            self._flops += step_flops(self._job.config, row.lengths, row.reach)
        if not made.skipped:
            self._loss += made.loss * made.weight
            self._log_z += made.log_z * made.weight
            self._weight += made.weight
            self._norm = made.norm

    def line(self) -> dict[str, float]:
        """Return the metrics of the steps so far, of which there is one at least.

        ``seconds.*`` are sums by phase. ``tokens_per_second``, ``mfu`` (model FLOPs utilisation:
        the model's FLOPs over what all devices' matrix products could have done) and ``data_wait``
        (a share) are of the steps themselves, without what lies between them. There is no loss when
        every step was skipped.
        """
        seconds = self.seconds()
        spent = sum(seconds[f"seconds.{phase}"] for phase in STEP)
        possible = gemm_flops_per_second(device(), self._dtype) * dist.get_world_size() * spent
        line = {
            "tokens_per_second": self.tokens / spent,
            "mfu": self._flops / possible,
            "data_wait": seconds["seconds.data"] / spent,
            "memory_bytes": float(peak_memory_bytes()),
            **seconds,
        }
        if self._weight:
            line |= {"loss": self._loss / self._weight, "grad_norm": self._norm}
            if self._job.settings.z_loss:
                line["log_z_squared"] = self._log_z / self._weight
        return line

    def seconds(self) -> dict[str, float]:
        """Return this worker's seconds by phase."""
        found = self.clock.seconds()
        return {f"seconds.{phase}": found.get(phase, 0.0) for phase in (*STEP, *BETWEEN)}
