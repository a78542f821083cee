"""Where a step can run: nodes, bundles of resources, and the ledger that admits steps.

A step reserves all its bundles at once or waits; so two steps never hold half of what each needs.
The ledger is the driver's own book, since Ray's queue would start a step's bundles one by one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.dag.stage import resolve
from cluster.dag.step import Step

Resources = Mapping[str, float]

_SLACK = 1e-6  # fractional CPUs add up inexactly


@dataclass(frozen=True, slots=True)
class Node:
    """A machine and what it offers: {"CPU": 2, "GPU": 0, "memory": bytes, custom names}."""

    name: str
    resources: Resources


def step_bundles(step: Step) -> list[dict[str, float]]:
    """Return the resource bundles that a step needs at once; one CPU when its stage names none."""
    if step.stage.bundles is None:
        return [{"CPU": 1.0}]
    return [dict(b) for b in resolve(step.stage.bundles)(step.placement, step.settings)]


def this_machine() -> list[Node]:
    """Return this machine as the only node, as Ray would describe it, without importing Ray."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    cpus = float(len(os.sched_getaffinity(0)))
    return [Node("this machine", {"CPU": cpus, "GPU": float(gpus), "memory": float(memory)})]


def place(bundles: Sequence[Resources], nodes: Iterable[Node]) -> list[str] | None:
    """Return a node for every bundle, all at once, or None when they do not fit.

    The largest bundles are placed first, each on the node where it fits most tightly.
    """
    free = {node.name: dict(node.resources) for node in nodes}
    chosen = [""] * len(bundles)
    for index in sorted(range(len(bundles)), key=lambda i: -sum(_scaled(bundles[i]))):
        bundle = bundles[index]
        fitting = [name for name, have in free.items() if _fits(bundle, have)]
        if not fitting:
            return None
        name = min(fitting, key=lambda n: sum(free[n].get(key, 0.0) for key in bundle))
        chosen[index] = name
        for key, amount in bundle.items():
            free[name][key] = free[name].get(key, 0.0) - amount
    return chosen


def _scaled(bundle: Resources) -> list[float]:
    """Return amounts comparable between resources: bytes of memory count as GiB."""
    return [v / 2**30 if k in ("memory", "object_store_memory") else v for k, v in bundle.items()]


def _fits(bundle: Resources, have: Resources) -> bool:
    return all(have.get(key, 0.0) + _SLACK >= amount for key, amount in bundle.items() if amount)


def why_not(bundles: Sequence[Resources], nodes: Sequence[Node]) -> str | None:
    """Say why the bundles could never be placed on empty nodes; None when they can."""
    if place(bundles, nodes) is not None:
        return None
    offers = "; ".join(f"{node.name} has {describe(node.resources)}" for node in nodes)
    for bundle in bundles:
        if not any(_fits(bundle, node.resources) for node in nodes):
            return f"no node can place {describe(bundle)}: {offers}"
    return f"{describe_all(bundles)} do not fit at once: {offers}"


def describe(resources: Resources) -> str:
    """Return resources in words: ``"2 CPU, 1 GPU, 4.0 GiB memory"``."""
    words = []
    for key, amount in resources.items():
        if key.startswith(("node:", "accelerator_type:")) or not amount:
            continue
        is_bytes = key in ("memory", "object_store_memory")
        words.append(f"{amount / 2**30:.1f} GiB {key}" if is_bytes else f"{amount:g} {key}")
    return ", ".join(words) or "nothing"


def describe_all(bundles: Sequence[Resources]) -> str:
    """Return bundles in words, equal ones counted: ``"4 × (8 GPU) + 1 × (2 CPU)"``."""
    counted: dict[str, int] = {}
    for bundle in bundles:
        counted[describe(bundle)] = counted.get(describe(bundle), 0) + 1
    return " + ".join(f"{n} × ({words})" for words, n in counted.items()) or "nothing"


class Ledger:
    """What each node has left when the admitted steps have taken their whole bundles."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = list(nodes)
        self._held: dict[str, list[tuple[str, Resources]]] = {}

    def admit(self, step: str, bundles: Sequence[Resources]) -> list[str] | None:
        """Reserve all bundles of a step and return their nodes, or None when it has to wait."""
        nodes = place(bundles, self.free())
        if nodes is not None:
            self._held[step] = list(zip(nodes, bundles, strict=True))
        return nodes

    def release(self, step: str) -> None:
        """Give back what a step held."""
        self._held.pop(step, None)

    def reset(self, nodes: Sequence[Node]) -> None:
        """Take the nodes as they are now; only while nothing is held."""
        if not self._held:
            self._nodes = list(nodes)

    def free(self) -> list[Node]:
        """Return the nodes with what is left on each."""
        left = {node.name: dict(node.resources) for node in self._nodes}
        for node, bundle in (pair for pairs in self._held.values() for pair in pairs):
            for key, amount in bundle.items():
                left[node][key] = left[node].get(key, 0.0) - amount
        return [Node(name, resources) for name, resources in left.items()]

    def explain(self, bundles: Sequence[Resources]) -> str:
        """Say what a step with these bundles waits for."""
        free = "; ".join(f"{node.name}: {describe(node.resources)}" for node in self.free())
        holders = ", ".join(step for step, held in self._held.items() if held) or "other jobs"
        return f"{describe_all(bundles)} (free {free}; held by {holders})"
