"""Placement: whole bundles or nothing, and words for what cannot be."""

from cluster.dag.placement import Ledger, Node, place, this_machine, why_not

NODES = [Node("big", {"CPU": 8, "GPU": 2, "memory": 2**34}), Node("small", {"CPU": 2})]


def test_bundles_are_placed_where_they_fit():
    assert place([{"CPU": 2}], NODES) == ["small"]
    assert place([{"CPU": 1, "GPU": 1}, {"CPU": 8}], NODES) is None
    assert place([{"CPU": 1, "GPU": 1}, {"CPU": 7}, {"CPU": 2}], NODES) == ["big", "big", "small"]
    assert place([], NODES) == []


def test_what_no_node_can_place_is_named():
    words = why_not([{"GPU": 8}], NODES)
    assert words is not None and words.startswith("no node can place 8 GPU: big has 8 CPU, 2 GPU")
    assert "do not fit at once" in (why_not([{"CPU": 6}, {"CPU": 6}], NODES) or "")
    assert why_not([{"CPU": 6}, {"CPU": 2}], NODES) is None


def test_the_ledger_admits_whole_steps_only():
    ledger = Ledger([Node("n", {"CPU": 2})])
    assert ledger.admit("a", [{"CPU": 1.5}]) == ["n"]
    assert ledger.admit("b", [{"CPU": 0.5}, {"CPU": 0.5}]) is None
    assert ledger.admit("c", [{"CPU": 0.5}]) == ["n"]
    assert ledger.explain([{"CPU": 1}]) == "1 × (1 CPU) (free n: nothing; held by a, c)"
    ledger.release("a")
    assert ledger.admit("b", [{"CPU": 0.5}, {"CPU": 0.5}]) == ["n", "n"]


def test_fractions_add_up():
    ledger = Ledger([Node("n", {"CPU": 1})])
    assert all(ledger.admit(str(i), [{"CPU": 0.1}]) for i in range(10))
    assert ledger.admit("more", [{"CPU": 0.1}]) is None


def test_this_machine_has_processors():
    assert this_machine()[0].resources["CPU"] >= 1
