"""Every stage names the shared modules that its work depends on: else an edit there goes unseen."""

from __future__ import annotations

import grimp
import pytest

from cluster.dag.code import code_digest
from cluster.dag.stage import Stage
from pipelines import ablation
from pipelines.presets import smoke
from stages.imported import CHECKPOINT_STAGE, TOKENIZER_STAGE

IMPORTED = (CHECKPOINT_STAGE, TOKENIZER_STAGE)
STEPS = (*smoke().steps, *ablation.smoke().steps)
STAGES = {stage.name: stage for stage in (*(step.stage for step in STEPS), *IMPORTED)}

# How steps are run and recorded, and the contracts that are checked at publishing: not the work.
NOT_THE_WORK = ("cluster.dag", "cluster.tracking", "stages.kinds", "stages.kind_checks")


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    graph = grimp.build_graph(
        "cluster", "model", "stages", exclude_type_checking_imports=True, cache_dir=None
    )
    for module in sorted(graph.modules):
        if module.startswith(NOT_THE_WORK):
            graph.remove_module(module)
    return graph


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_stage_names_what_it_imports(stage: Stage, imports: grimp.ImportGraph) -> None:
    counted = {_module(file) for file in code_digest(stage) if file.endswith(".py")}
    needed = set[str]()
    for module in counted & imports.modules:
        needed |= imports.find_upstream_modules(module)
    assert sorted(needed - counted) == []


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
