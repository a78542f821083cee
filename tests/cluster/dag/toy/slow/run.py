"""Count steps; the count is kept in scratch."""

import time

from cluster.dag.metrics import log_metrics, write_statistics


class ToyError(RuntimeError):
    """Told to fail."""


def run(context):
    """Take the steps that are left."""
    progress = context.scratch / "progress.txt"
    first = int(progress.read_text()) if progress.exists() else 0
    for step in range(first, context.settings.steps):
        time.sleep(context.settings.seconds)
        log_metrics(context.metrics_file, {"loss": 1 / (step + 1)}, step=step)
        progress.write_text(str(step + 1))
    if context.settings.fail:
        raise ToyError("told to fail")
    (context.output / "number.txt").write_text(f"{context.settings.steps}\n")
    write_statistics(context.statistics_file, {"resumed_from": first})
