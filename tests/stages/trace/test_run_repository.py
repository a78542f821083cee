"""The stage with a repository: its tests are shards among others, in one artifact."""

from dataclasses import replace

from cluster.dag.metrics import read_statistics
from stages.tables import read_table
from stages.trace.repository.settings import RepositorySettings
from tests.stages.trace.corpus import SETTINGS, trace

SHOP = """\
def total(prices):
    found = 0
    for price in prices:
        found += price
    return found
"""
TESTS = """\
from shop import total


def test_nothing():
    prices = []
    assert total(prices) == 0


def test_some():
    prices = [1, 2]
    assert total(prices) == 3
"""


def test_a_repositorys_tests_are_in_the_artifact(tmp_path):
    place = tmp_path / "repository"
    (place / "tests").mkdir(parents=True)
    (place / "shop.py").write_text(SHOP)
    (place / "tests" / "test_shop.py").write_text(TESTS)
    shop = RepositorySettings(name="shop", path=str(place), licence="MIT")
    settings = replace(
        SETTINGS,
        program_levels=((0, 20),),
        program_families=(),
        max_functions=0,
        repositories=(shop,),
    )
    output = trace(tmp_path, "out", settings=settings)
    rows = [row for split in ("train", "heldout") for row in read_table(output / split)]
    found = {row["test"]: row for row in rows if row["source"] == "repository"}
    assert set(found) == {f"tests/test_shop.py::test_{name}" for name in ("nothing", "some")}
    assert all("def total" in row["context"] for row in found.values())
    assert {(row["origin"], row["licence"]) for row in found.values()} == {("shop", "MIT")}
    counts = read_statistics(output / "statistics.json")
    assert counts["traces.source.repository"] == counts["method.pytest.valid"] == 2
    assert counts["method.pytest.tried"] == 2 and counts["shards"] == 2
    card = (output / "card.md").read_text()
    assert "| repository | " in card and "tests/test_shop.py::test_some" in card
