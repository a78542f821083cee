"""Keep what the divisor divides."""

import logging

from cluster.dag.metrics import write_statistics

log = logging.getLogger(__name__)


def run(context):
    """Filter the lines."""
    lines = (context.inputs["numbers"].path / "lines.txt").read_text().split()
    kept = [line for line in lines if int(line) % context.settings.divisor == 0]
    log.info("kept %d of %d", len(kept), len(lines))
    (context.output / "lines.txt").write_text("".join(f"{line}\n" for line in kept))
    write_statistics(context.statistics_file, {"kept": len(kept), "dropped": 0})
