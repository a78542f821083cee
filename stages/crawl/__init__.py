"""Crawl: find source files with their origin and licence, and say why the others were left.

Two sources, both on the machine that runs the pipeline, so that a first run needs no network:

- ``stdlib``: the standard library of the running interpreter (origin ``cpython``);
- ``installed``: every distribution installed beside it, as its RECORD lists it.
"""

from cluster.dag.stage import Stage
from stages.crawl.settings import CrawlSettings
from stages.kinds import DOCUMENTS

STAGE = Stage(
    name="crawl",
    revision=1,
    run="stages.crawl.run:run",
    settings=CrawlSettings,
    output=DOCUMENTS,
    snapshot="stages.crawl.snapshot:snapshot",
    modules=("stages.tables",),
)
