"""Compare: the same questions asked of several arms of an experiment, paired, over several seeds.

::

    settings.py    which differences
    pairing.py     items of two arms on the same questions, as arrays [seeds, questions]
    statistics.py  means, spread, tests, the bootstrap, the minimum detectable effect
    figure.py      the plot
    run.py         ``index.html``, ``comparison.md``, ``comparison.json``, ``comparison.svg``

Inputs are called ``ARM_SEED``; an arm's checkpoint of a seed is paired with the other arm's.
"""

from cluster.dag.stage import Stage
from stages.compare.settings import CompareSettings
from stages.kinds import ITEMS, REPORT

STAGE = Stage(
    name="compare",
    revision=1,
    run="stages.compare.run:run",
    settings=CompareSettings,
    more=(ITEMS,),
    output=REPORT,
    modules=("stages.probe.item", "stages.report.html"),
    headline=("seeds", "primary.difference", "primary.low", "primary.high", "primary.p"),
)
