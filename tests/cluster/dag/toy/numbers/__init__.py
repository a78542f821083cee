"""A source: the first numbers, as many as the world has."""

from cluster.dag.stage import Kind, Stage

from .settings import NumbersSettings

LINES = Kind(name="lines", check="cluster.dag.files:files_below")

NUMBERS = Stage(
    name="numbers",
    revision=1,
    run=f"{__name__}.run:run",
    settings=NumbersSettings,
    output=LINES,
    snapshot=f"{__name__}.run:snapshot",
)
