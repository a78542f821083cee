"""Curate: filter and deduplicate documents and split them, as an Apache Beam pipeline.

Only ids, sizes and MinHash signatures pass through the shuffles; text is read from the input's
Parquet shards where it is examined, and once more where the kept documents are written.

    shards → examine ─┬→ dropped by a filter ────────────────────────────┐
                      └→ exact duplicates → similar pairs → clusters ────┴→ decisions by shard →
                      write
"""

from cluster.dag.stage import Stage
from stages.curate.settings import CuratePlacement, CurateSettings
from stages.kinds import CORPUS, DOCUMENTS

STAGE = Stage(
    name="curate",
    revision=1,
    run="stages.curate.run:run",
    settings=CurateSettings,
    placement=CuratePlacement,
    inputs={"documents": (DOCUMENTS,)},
    output=CORPUS,
    modules=("cluster.beam", "stages.tables"),
)
