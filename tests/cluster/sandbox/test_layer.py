"""Where untrusted code cannot be contained, the refusal names what to type."""

import subprocess
import sys

import pytest

from cluster.sandbox import Sandbox, SandboxUnavailable, layer


@pytest.fixture
def no_memory_of_the_probe():
    layer.probe.cache_clear()
    yield
    layer.probe.cache_clear()


def test_without_bubblewrap_the_sandbox_refuses(no_memory_of_the_probe, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert layer.probe().layer == ""
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        Sandbox()


def test_a_bubblewrap_that_fails_is_refused_with_its_words(
    no_memory_of_the_probe, monkeypatch, tmp_path
):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SandboxUnavailable, match="No permissions to create new namespace"):
        Sandbox()


def test_the_command_prints_the_layer():
    run = subprocess.run(
        [sys.executable, "-m", "cluster.sandbox"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "sandbox layer: bwrap\n")
