"""A filter."""

from cluster.dag.stage import Stage

from ..numbers import LINES
from ..settings import KeepSettings

KEEP = Stage(
    name="keep",
    revision=1,
    run=f"{__name__}.run:run",
    settings=KeepSettings,
    inputs={"numbers": (LINES,)},
    output=LINES,
    headline=("kept",),
)
