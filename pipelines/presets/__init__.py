"""The four scales at which the pipeline runs, each a function that returns every stage's settings.

smoke     the whole graph in about two minutes, for the tests; the numbers mean nothing
tiny      ten minutes on two CPU cores: everything is real, and the model visibly learns
one_gpu   a model of about 1 B parameters on one 80 GB GPU
cwm_32b   the published configuration on the cluster of ray_cluster.yaml

Numbers with a section sign come from the paper, arXiv 2510.02387.
"""

from __future__ import annotations

from collections.abc import Callable

from cluster.dag.step import Preset
from pipelines.presets.cwm_32b import cwm_32b
from pipelines.presets.one_gpu import one_gpu
from pipelines.presets.smoke import smoke
from pipelines.presets.tiny import tiny

PRESETS: dict[str, Callable[[], Preset]] = {
    "smoke": smoke,
    "tiny": tiny,
    "one_gpu": one_gpu,
    "cwm_32b": cwm_32b,
}
"""What ``--preset`` accepts."""
