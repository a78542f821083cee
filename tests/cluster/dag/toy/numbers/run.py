"""Write the numbers."""

import os

from cluster.dag.metrics import write_statistics


def snapshot(settings):
    """What is out there."""
    return {"world": os.environ.get("TOY_WORLD", "1")}


def run(context):
    """Write one number per line."""
    numbers = range(context.settings.count)
    (context.output / "lines.txt").write_text("".join(f"{n}\n" for n in numbers))
    write_statistics(context.statistics_file, {"numbers": len(numbers)})
