"""Layers are chosen from the best down; where none contains, the refusal names what to type."""

import logging
import os
import subprocess
import sys

import pytest

from cluster.dag.containment import NotContainedError, containment
from cluster.sandbox import Limits, Sandbox, SandboxUnavailable, layer, seccomp
from cluster.sandbox.__main__ import report

HERE = "tests.cluster.sandbox.programs"
FORBIDDEN = """
import sys
from cluster.sandbox import seccomp
from cluster.sandbox.__main__ import main
seccomp.load()  # it forbids namespaces, as a container's filter would
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def no_memory_of_probes():
    for asked in (layer.probe, layer.probe_layer):
        asked.cache_clear()
    yield
    for asked in (layer.probe, layer.probe_layer):
        asked.cache_clear()


@pytest.fixture
def nothing_contains(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(layer, "_fails", lambda *_, **__: "namespaces: unshare: not permitted")


def test_bubblewrap_comes_first():
    assert layer.probe().layer == "bwrap"
    assert layer.probe().missing == ()


def test_without_bubblewrap_namespaces_contain_and_the_log_says_so(monkeypatch, caplog):
    monkeypatch.setenv("PATH", "/nowhere")
    with caplog.at_level(logging.INFO), Sandbox(preload=(HERE,)) as box:
        assert box.layer == "unshare"
        assert box.call(f"{HERE}:echo", 1).value == 1
    assert caplog.messages == ["sandbox layer: unshare; no bwrap: bubblewrap is not installed"]


def test_a_bubblewrap_that_fails_is_quoted(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = layer.probe()
    assert found.layer == "unshare"
    assert "No permissions to create new namespace" in found.missing[0].reason


def test_untrusted_programs_are_refused_where_nothing_contains(nothing_contains):
    with pytest.raises(SandboxUnavailable) as refused:
        Sandbox()
    said = str(refused.value)
    assert "bwrap: bubblewrap is not installed. To do: apt-get install bubblewrap" in said
    assert "unshare: namespaces: unshare: not permitted" in said
    assert "--allow-unsandboxed" in said and "CWM_ALLOW_UNSANDBOXED=1" in said
    with pytest.raises(NotContainedError, match="apt-get install bubblewrap"):
        containment()


def test_trusted_programs_run_where_nothing_contains(nothing_contains, caplog):
    limits = Limits(cpu_seconds=1, wall_seconds=2, processes=16, output_bytes=1 << 20)
    with Sandbox(preload=(HERE,), trust="trusted", limits=limits) as box:
        assert box.layer == "rlimit-only"
        assert box.call(f"{HERE}:echo", [1]).value == [1]
        assert box.call(f"{HERE}:spin", None).outcome == "timeout"
        assert box.call(f"{HERE}:eat", None).outcome == "memory"
        assert box.call(f"{HERE}:leave_daemon", None).value == "done"
        assert box.call(f"{HERE}:descendants", None).value == 1  # only the asker
        assert "SECRET" not in str(box.call(f"{HERE}:environment", None).value)
        assert box.starts == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_untrusted_programs_run_uncontained_when_asked_for(nothing_contains, monkeypatch, caplog):
    monkeypatch.setenv("CWM_ALLOW_UNSANDBOXED", "1")
    layer._warn_once.cache_clear()
    assert Sandbox().layer == containment() == "rlimit-only"
    assert sum("hides nothing" in message for message in caplog.messages) == 1


def test_a_layer_that_is_asked_for_and_missing_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailable, match="the layer bwrap is missing: bubblewrap is not"):
        Sandbox(layer="bwrap")


def test_the_command_prints_the_layer_and_its_parts():
    run = subprocess.run(
        [sys.executable, "-m", "cluster.sandbox"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    lines = run.stdout.splitlines()
    assert lines[0].startswith("sandbox layer: bwrap (")
    assert [line.split("  ")[1] for line in lines[1:]] == [
        "seccomp filter",
        "own user",
        "control group",
    ]


def test_the_command_says_what_is_missing_where_the_kernel_refuses():
    run = subprocess.run(
        [sys.executable, "-c", FORBIDDEN], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run
    assert "sandbox layer: rlimit-only (limits, but nothing is hidden" in run.stdout
    assert "missing layer: bwrap: bwrap: " in run.stdout
    assert "missing layer: unshare: namespaces: [Errno 1] unshare: Operation not" in run.stdout
    assert "docs/sandbox.md" in run.stdout


def test_the_report_says_why_a_part_is_missing():
    found = layer.Probe(layer="bwrap", control_group="[Errno 30] Read-only file system")
    assert "control group   no: [Errno 30] Read-only file system" in report(found)


def test_a_directory_closed_to_others_keeps_the_callers_user(tmp_path):
    (tmp_path / "note").write_text("mine")
    tmp_path.chmod(0o700)
    with Sandbox(preload=(HERE,), read_only=(tmp_path,)) as box:
        assert (str(tmp_path) in box.own_user) == (os.geteuid() == 0)
        assert box.call(f"{HERE}:read", str(tmp_path / "note")).value == "mine"


def test_the_filter_is_whole_instructions_for_each_architecture():
    for machine in ("x86_64", "aarch64"):
        program = seccomp.filter_program(machine)
        assert len(program) % 8 == 0 and len(program) // 8 < 4096
        assert program[-8:] == seccomp._allow()


def test_an_architecture_without_a_list_has_no_filter(monkeypatch):
    monkeypatch.setattr(seccomp, "_COLUMN", {})
    assert "no list of system calls" in seccomp.unavailable()
