"""Every way out of the sandbox that is known, tried from inside, and every limit, struck."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cluster.sandbox import Limits, Sandbox, SandboxError

SHORT = Limits(
    cpu_seconds=1, wall_seconds=2, memory_bytes=256 << 20, processes=32, output_bytes=1 << 20
)
CLIENT = """
import sys
from cluster.sandbox import Limits, Sandbox
limits = Limits(wall_seconds=300)
with Sandbox(layer=sys.argv[1], trust="trusted", limits=limits) as box:
    box.call("operator:truth", 1)
    print("ready", flush=True)
    box.call("time:sleep", 300)
"""
HERE = "tests.cluster.sandbox.programs"


@pytest.fixture(scope="module")
def box():
    with Sandbox(preload=(HERE,), limits=SHORT) as shared:
        yield shared


@pytest.fixture
def run(box):
    def call(name, payload=None, **more):
        result = box.call(f"{HERE}:{name}", payload, **more)
        assert box.call(f"{HERE}:echo", "alive").value == "alive", "the next call suffers"
        return result

    return call


def test_a_value_comes_back(run):
    value = {"a": [1, 2.5, None, "ü\ud800"], "b": {}}
    result = run("echo", value)
    assert (result.outcome, result.value) == ("ok", value)
    assert 0 < result.cpu_seconds <= result.wall_seconds + 0.1


def test_an_exception_is_an_error_that_says_where(run):
    result = run("boom")
    assert result.outcome == "error"
    assert "a stranger's words" in result.error and "in boom" in result.error


def test_what_json_cannot_say_is_an_error(run):
    assert run("bad_value").outcome == "error"
    assert run("recurse").outcome == "error"
    assert run("surrogate").value == "\ud800"


@pytest.mark.parametrize(
    ("how", "outcome", "said"),
    [
        ("exit", "error", "SystemExit: 3"),
        ("_exit", "crash", "status 3"),
        ("segv", "crash", "SIGSEGV"),
    ],
)
def test_leaving_ends_only_the_call(run, box, how, outcome, said):
    starts = box.starts
    result = run("leave", how)
    assert result.outcome == outcome and said in result.error
    assert box.starts == starts


@pytest.mark.parametrize("name", ["spin", "spin_in_c", "shrug_off_cpu_limit"])
def test_cpu_limit(run, name):
    result = run(name)
    assert result.outcome == "timeout"
    assert result.wall_seconds < 2.5


def test_wall_limit(run):
    started = time.monotonic()
    result = run("sleep", 30)
    assert result.outcome == "timeout" and "wall" in result.error
    assert time.monotonic() - started < 4


def test_memory_limit(run):
    assert run("eat").outcome == "memory"


def test_output_limit(run):
    assert run("talk", 2 << 20).outcome == "output"
    assert run("talk", 1 << 19).outcome == "ok"
    assert run("write", {"path": "big", "size": 2 << 20}).outcome == "output"
    assert run("flood").outcome == "output"


def test_no_network(run):
    assert "Network is unreachable" in run("connect", ["192.0.2.1", 80]).error
    with socket.create_server(("127.0.0.1", 0)) as server:  # the host's, not the sandbox's
        assert "Connection refused" in run("connect", server.getsockname()).error


@pytest.mark.parametrize("path", ["/usr/x", "/x", "/dev/shm/x", "/dev/x", "/etc/x", __file__])
def test_the_file_system_is_read_only(run, path):
    result = run("write", {"path": path})
    assert "Read-only file system" in result.error or "No such file" in result.error


def test_secrets_of_the_host_are_not_there(run):
    assert "FileNotFoundError" in run("read", "/etc/shadow").error
    assert "FileNotFoundError" in run("read", "/etc/passwd").error
    assert "FileNotFoundError" in run("read", str(Path("~/.bashrc").expanduser())).error
    assert "FileNotFoundError" in run("read", str(Path("pyproject.toml").absolute())).error


def test_the_servers_memory_is_closed(run):
    assert "PermissionError" in run("open_memory").error


def test_the_servers_pipes_are_closed(run):
    # standard streams, the own result pipe, and the directory that listdir holds open
    assert run("descriptors").value == [0, 1, 2, 3, 4]


def test_a_program_can_forge_no_more_than_its_own_result(run):
    assert run("forge", '{"ok": 1}').value == 1
    assert run("forge", "not json").outcome == "crash"
    assert run("forge", "[" * 100_000).outcome == "crash"
    assert run("forge", "[]").outcome == "crash"


def test_files_do_not_reach_the_next_program(run):
    assert run("write", {"path": "mine"}).outcome == "ok"
    assert run("write", {"path": "/tmp/everybodys"}).outcome == "ok"
    run("locked_folder")
    assert "everybodys" not in (left := run("listing").value)
    assert all(name.startswith("call") or Path(f"/tmp/{name}").is_dir() for name in left)
    assert sum(name.startswith("call") for name in left) == 1


def test_processes_do_not_outlive_the_call(run):
    for name in ("daemon", "leave_daemon"):
        started = time.monotonic()
        run(name)
        assert time.monotonic() - started < 3
        assert len(run("processes").value) == 2  # the server and the asker


def test_a_fork_bomb_is_contained(run):
    started = time.monotonic()
    result = run("fork_bomb")
    assert result.outcome in ("crash", "timeout")
    assert time.monotonic() - started < 10
    assert len(run("processes").value) == 2


def test_a_crowd_of_threads_ends_the_call(run):
    assert run("threads").outcome in ("crash", "error")


def test_signals_do_not_reach_the_server(run, box):
    starts = box.starts
    assert run("kill_others").value == "still here"
    assert box.starts == starts


def test_a_server_that_was_tampered_with_is_replaced(run, box):
    run("cripple_server")
    assert run("echo", 1).value == 1
    assert run("listing").outcome == "ok"


def test_environment_is_fixed(run, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    first, second = run("environment").value, run("environment").value
    assert first["hash"] == second["hash"] and first["flags"] == 0
    assert not {name for name in first["env"] if "SECRET" in name or "MLFLOW" in name}


def test_no_capability_is_held(run):
    fields = dict(line.split(":", 1) for line in run("status").value.splitlines())
    assert all(int(fields[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))
    assert fields["NoNewPrivs"].strip() == "1"


def test_standard_streams_by_choice(run):
    assert run("speak", capture=True).stdout == "hello\nworld\n"
    assert run("speak").stdout == ""


def test_own_limits_of_a_call(run):
    result = run("sleep", 30, limits=Limits(wall_seconds=0.2))
    assert result.outcome == "timeout" and result.wall_seconds < 1


def test_an_interrupted_call_ends_the_server_and_stays_an_interrupt(run, box, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cluster.sandbox.client.read_frame", interrupted)
        with pytest.raises(KeyboardInterrupt):
            box.call(f"{HERE}:echo", 1)
    assert run("echo", 2).value == 2


@pytest.mark.parametrize("layer", ["bwrap", "unshare", "rlimit-only"])
def test_nothing_outlives_a_client_that_is_killed(layer):
    client = subprocess.Popen([sys.executable, "-c", CLIENT, layer], stdout=subprocess.PIPE)
    assert client.stdout is not None and client.stdout.readline() == b"ready\n"
    while len(processes := psutil.Process(client.pid).children(recursive=True)) < 2:
        time.sleep(0.01)
    client.kill()
    client.wait()
    assert psutil.wait_procs(processes, timeout=20)[1] == []


def test_a_module_that_cannot_be_imported_is_named():
    with pytest.raises(SandboxError, match="no_such_module"), Sandbox(preload=("no_such_module",)):
        pass


def test_read_only_paths_are_shown(tmp_path):
    (tmp_path / "note").write_text("seen")
    with Sandbox(preload=(HERE,), read_only=(tmp_path,)) as box:
        assert box.call(f"{HERE}:read", str(tmp_path / "note")).value == "seen"
        written = box.call(f"{HERE}:write", {"path": str(tmp_path / "other")})
        assert "Read-only" in written.error


def test_limits_refuse_nonsense():
    with pytest.raises(ValueError, match=r"Limits\.cpu_seconds is 0"):
        Limits(cpu_seconds=0)
