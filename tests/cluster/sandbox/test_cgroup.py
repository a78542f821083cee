"""Control groups, with made-up hierarchies of both versions."""

import errno
import os
from pathlib import Path

import pytest

from cluster.sandbox.cgroup import ControlGroup

V1 = """30 1 0:26 / {root}/pids rw - cgroup cgroup rw,pids
31 1 0:27 / {root}/memory rw - cgroup cgroup rw,memory
"""
V2 = "32 1 0:28 / {root} rw - cgroup2 cgroup2 rw\n"


class Hierarchy:
    """A folder that behaves like a mounted hierarchy: new groups have files in them."""

    def __init__(self, tmp_path, mountinfo, own):
        self.proc = tmp_path / "proc"
        self.root = tmp_path / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self/mountinfo").write_text(mountinfo.format(root=self.root))
        (self.proc / "self/cgroup").write_text(own)


@pytest.fixture
def kernel(monkeypatch):
    """Give every new group the files of its controllers, and take them with it."""
    files = {}
    make, remove = os.mkdir, os.rmdir

    def mkdir(path, *more, **named):
        make(path, *more, **named)
        parent = str(Path(path).parent)
        for name in next((names for end, names in files.items() if parent.endswith(end)), ()):
            Path(path, name).write_text("1000")

    def rmdir(path, *more, **named):
        for file in Path(path).iterdir():
            file.unlink()
        remove(path, *more, **named)

    monkeypatch.setattr(os, "mkdir", mkdir)
    monkeypatch.setattr(os, "rmdir", rmdir)
    return files


def test_the_first_version_has_a_folder_for_each_controller(tmp_path, kernel):
    made = Hierarchy(tmp_path, V1, "8:pids:/\n4:memory:/job\n")
    for folder in ("pids", "memory/job"):
        (made.root / folder).mkdir(parents=True)
    kernel |= {
        "cgroup/pids": ["pids.max"],
        "memory/job": ["memory.limit_in_bytes", "memory.usage_in_bytes"],
    }
    group = ControlGroup(made.proc)
    group.started()
    group.limit(8, 5000)
    pids, memory = (next((made.root / name).glob("cwm-*")) for name in ("pids", "memory/job"))
    assert (pids / "pids.max").read_text() == "9"  # the server is in it too
    assert (memory / "memory.limit_in_bytes").read_text() == "6000"
    assert sorted(group.entrances) == sorted(f"{path}/cgroup.procs" for path in (pids, memory))
    group.remove()
    assert not pids.exists() and not memory.exists()


def test_in_the_second_version_it_is_a_sibling_with_one_folder(tmp_path, kernel):
    made = Hierarchy(tmp_path, V2, "0::/user/scope\n")
    (made.root / "user/scope").mkdir(parents=True)
    kernel["cgroup/user"] = ["pids.max", "memory.max", "memory.current", "memory.swap.max"]
    group = ControlGroup(made.proc)
    group.started()
    group.limit(8, 5000)
    (folder,) = (made.root / "user").glob("cwm-*")
    assert (folder / "memory.max").read_text() == "6000"
    assert (folder / "memory.swap.max").read_text() == "0"
    assert group.entrances == [f"{folder}/cgroup.procs"]
    assert list((made.root / "user/scope").iterdir()) == []
    group.remove()
    assert not folder.exists()


def test_what_a_killed_maker_left_goes(tmp_path, kernel):
    made = Hierarchy(tmp_path, V2, "0::/a/b\n")
    left = made.root / "a/b/cwm-sandbox-4194305-0"  # a number no process has
    left.mkdir(parents=True)
    kernel["a/b"] = ["pids.max", "memory.max"]
    ControlGroup(made.proc).remove()
    assert not left.exists()


def test_why_there_is_none_is_said(tmp_path, kernel):
    made = Hierarchy(tmp_path, V2, "0::/a/b\n")
    (made.root / "a/b").mkdir(parents=True)
    with pytest.raises(PermissionError, match="does not hand the controller pids down"):
        ControlGroup(made.proc)
    (made.proc / "self/mountinfo").write_text("")
    with pytest.raises(FileNotFoundError, match="no control groups for pids are mounted"):
        ControlGroup(made.proc)
    (made.proc / "self/mountinfo").write_text("30 1 0:26 /docker/x /sys rw - cgroup2 cgroup2 rw\n")
    with pytest.raises(FileNotFoundError, match="not below /docker/x"):
        ControlGroup(made.proc)


def test_a_read_only_hierarchy_is_an_error_with_its_number(tmp_path, kernel, monkeypatch):
    made = Hierarchy(tmp_path, V2, "0::/\n")
    made.root.mkdir()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(OSError, match="Read-only"):
        ControlGroup(made.proc)
