"""Every attack is contained, the server alive or cleanly replaced, the next program unaffected."""

import socket

import pytest

from cluster.sandbox import Limits, Sandbox
from tests.cluster.sandbox.attacks.table import ATTACKS, EXHAUST, REACH

LIMITS = Limits(
    cpu_seconds=1, wall_seconds=1.5, memory_bytes=256 << 20, processes=32, output_bytes=1 << 20
)
QUICK = {"raw_sockets", "read_paths", "write_paths", "server_through_proc", "escape_calls"}
QUICK |= {"kernel_calls", "fork_count", "leave_files", "change_server", "write_kernel_settings"}
BOXES = ("bwrap", "unshare", "bwrap, caller's user", "unshare, caller's user")
CASES = [
    pytest.param(
        box,
        attack,
        id=f"{box}-{attack.name}-{number}",
        marks=[]
        if box == "bwrap" or attack.target.rpartition(":")[2] in QUICK
        else pytest.mark.long,
    )
    for box in BOXES
    for number, attack in enumerate(ATTACKS)
]


@pytest.fixture(scope="module")
def boxes():
    opened = {}
    for name in BOXES:
        layer, _, user = name.partition(", ")
        opened[name] = Sandbox(preload=(REACH, EXHAUST), limits=LIMITS, layer=layer)
        if user:
            opened[name].own_user = "as where no other is to be had"
    yield opened
    for box in opened.values():
        box.close()


def state(box):
    """Return what the next program finds, when all is well."""
    return [
        box.call(f"{REACH}:is_poisoned", None).value,
        box.call(f"{EXHAUST}:leftovers", None).value,
        box.call(f"{EXHAUST}:processes", None).value,
        box.call(f"{REACH}:circumstances", None).value[:3],
    ]


@pytest.mark.parametrize(("name", "attack"), CASES)
def test_attack(boxes, name, attack):
    box = boxes[name]
    before = state(box)
    assert before[:3] == [False, [], 2]
    starts = box.starts
    result = box.call(attack.target, attack.payload, capture=attack.capture)
    assert result.outcome in attack.outcomes, result
    assert attack.check(result), result
    assert attack.said in result.error
    assert state(box) == before, "the next program suffers"
    assert attack.replaced or box.starts == starts, "the server was replaced"


@pytest.mark.parametrize("layer", ["bwrap", "unshare"])
def test_services_of_the_host_are_out_of_reach(boxes, layer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert boxes[layer].call(f"{REACH}:connect_host_service", port).value == "ECONNREFUSED"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0open-cwm-test")
        server.listen()
        assert (
            boxes[layer].call(f"{REACH}:abstract_socket", "open-cwm-test").value == "ECONNREFUSED"
        )
