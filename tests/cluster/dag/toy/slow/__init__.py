"""A stage that takes its time, goes on where it was killed, and fails when told to."""

from cluster.dag.stage import Stage

from ..numbers import LINES
from ..settings import SlowSettings
from ..total import NUMBER

SLOW = Stage(
    name="slow",
    revision=1,
    run=f"{__name__}.run:run",
    settings=SlowSettings,
    inputs={"numbers": (LINES,)},
    output=NUMBER,
)
