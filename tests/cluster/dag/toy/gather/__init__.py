"""All numbers in one file; inputs of any name."""

from cluster.dag.stage import Kind, Stage

from ..settings import GatherSettings
from ..total import NUMBER

GATHER = Stage(
    name="gather",
    revision=1,
    run=f"{__name__}.run:run",
    settings=GatherSettings,
    more=(NUMBER,),
    output=Kind(name="table"),
)
