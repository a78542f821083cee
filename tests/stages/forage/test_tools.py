"""The agent's tools, one by one, in a workspace of the test's own."""

import pytest

from stages.forage import tools
from stages.forage.tools import call_tool, edit_call, prepare

TEXT = "def f(a):\n    b = a\n    b = a\n    return b\n"


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "WORKSPACE", tmp_path / "work")
    monkeypatch.chdir(tmp_path)
    prepare({"f.py": TEXT})
    return tmp_path / "work"


def test_edit_replaces_one_block_and_shows_it(workspace):
    said = call_tool("edit", edit_call("f.py", "    return b", "    return b + 1"), 1)
    assert said == "   3     b = a\n   4     return b + 1"
    assert (workspace / "f.py").read_text() == TEXT.replace("return b", "return b + 1")
    call_tool("edit", edit_call("f.py", TEXT.replace("b\n", "b + 1\n").strip(), "pass"), 1)
    assert (workspace / "f.py").read_text() == "pass\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (edit_call("f.py", "    b = a", "    b = 1"), "there 2 times"),
        (edit_call("f.py", "return b", "return 1"), "there 0 times"),  # not a whole line
        (edit_call("g.py", "x", "y"), "g.py is not there"),
        ("f.py\nno block", "SEARCH/REPLACE block"),
    ],
)
def test_a_wrong_edit_changes_nothing_and_says_why(workspace, content, complaint):
    assert complaint in call_tool("edit", content, 1)
    assert (workspace / "f.py").read_text() == TEXT


def test_create_makes_new_files_only(workspace):
    assert call_tool("create", "g.py\nx = 1\n", 1) == "created g.py"
    assert (workspace / "g.py").read_text() == "x = 1\n"
    assert "exists" in call_tool("create", "f.py\nx", 1)
    assert "not there" in call_tool("create", "no/g.py\nx", 1)


def test_bash_and_python_print_what_they_print(workspace):
    assert call_tool("bash", "cat f.py | head -1; false", 1) == "def f(a):\n"
    (workspace / "p.py").write_text(
        "import sys\nprint(1)\nprint(2, file=sys.stderr)\nsys.exit(3)\n"
    )
    assert call_tool("bash", "python p.py", 1) == "1\n2\n"
    (workspace / "bad.py").write_text("x = 1 / 0\n")
    assert "ZeroDivisionError" in call_tool("bash", "python bad.py", 1)


def test_a_script_that_never_ends_is_stopped(workspace):
    (workspace / "loop.py").write_text("print(1)\nwhile True: pass\n")
    assert call_tool("bash", "python loop.py", 0.2) == f"1\n{tools.STOPPED} 0.2 s\n"


def test_an_unknown_tool_is_an_error_the_agent_reads():
    assert "no tool 'view'" in call_tool("view", "f.py", 1)
