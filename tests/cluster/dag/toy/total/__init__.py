"""A sum, with a placement."""

from cluster.dag.stage import Kind, Stage

from ..numbers import LINES
from ..settings import TotalPlacement, TotalSettings

NUMBER = Kind(name="number")

TOTAL = Stage(
    name="total",
    revision=1,
    run=f"{__name__}.run:run",
    settings=TotalSettings,
    placement=TotalPlacement,
    inputs={"numbers": (LINES,)},
    output=NUMBER,
    bundles=f"{__package__.rpartition('.')[0]}.settings:bundles",
    estimate=f"{__package__.rpartition('.')[0]}.settings:estimate",
    formulas=f"{__package__.rpartition('.')[0]}.settings:formulas",
)
