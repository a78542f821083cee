"""The report of a comparison."""

import json

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import Input, StepContext
from stages.compare.run import run
from stages.compare.settings import CompareSettings, Contrast
from stages.probe.item import Item, write_items


def test_a_report_has_a_table_a_plot_and_the_numbers(tmp_path):
    inputs = {}
    for seed in range(2):
        for arm in ("on", "off"):
            folder = tmp_path / f"{arm}_{seed}"
            folder.mkdir()
            right = [float(place % 2 or arm == "on") for place in range(20)]
            found = [Item(measure="m", key=str(p), amount=r) for p, r in enumerate(right)]
            write_items(folder / "items.jsonl", found)
            inputs[folder.name] = Input(path=folder, kind="items", digest="")
    output = tmp_path / "report"
    output.mkdir()
    settings = CompareSettings(
        title="With & without",
        contrasts=(Contrast(label="m: on - off", measure="m", arm="on", against_arm="off"),),
        prior_deviation=0.1,
        resamples=200,
    )
    run(
        StepContext(
            step="compare",
            settings=settings,
            placement=None,
            inputs=inputs,
            output=output,
            scratch=tmp_path / "scratch",
        )
    )
    statistics = read_statistics(output / "statistics.json")
    assert statistics["seeds"] == 2 and statistics["primary.difference"] == 0.5
    table = (output / "comparison.md").read_text()
    assert "| m: on - off | 2 | 20 | 1.000 | 0.500 | +0.500 |" in table
    assert "With 2 seeds" in table and "power of 80%" in table
    assert "| m | on | 2 | 20 | 1.000 | 0.000 | 1.000 | 1.000 |" in table
    (record,) = json.loads((output / "comparison.json").read_text())["contrasts"]
    assert record["found"]["by_seed"] == [0.5, 0.5]
    assert "With &amp; without" in (output / "index.html").read_text()
    assert (output / "comparison.svg").read_text().count("<svg") == 1
