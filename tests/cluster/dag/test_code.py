"""Code drift: what a program does counts, how it is written about does not."""

import dataclasses
import sys

import pytest

from cluster.dag.code import CodeNotFoundError, code_digest, drifted_files
from cluster.dag.stage import Kind, Stage
from tests.cluster.dag.toy.settings import KeepSettings

STAGE = Stage(
    name="s", revision=1, run="drifting.run:run", settings=KeepSettings, output=Kind(name="k")
)
SOURCE = '''"""A module."""


def run(context):
    """Run it."""
    return 1  # one
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "drifting"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "run.py").write_text(SOURCE)
    (folder / "page.html").write_text("<p>")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    sys.modules.pop("drifting", None)


def test_comments_docstrings_and_layout_do_not_count(package):
    before = code_digest(STAGE)
    new = SOURCE.replace("Run it", "Do it").replace("# one", "# 1").replace("\n\n\n", "\n\n# …\n\n")
    (package / "run.py").write_text(new)
    assert code_digest(STAGE) == before
    assert list(before) == ["drifting/__init__.py", "drifting/page.html", "drifting/run.py"]


def test_code_and_templates_count_and_are_named(package):
    before = code_digest(STAGE)
    (package / "run.py").write_text(SOURCE.replace("return 1", "return 2"))
    (package / "page.html").write_text("<b>")
    (package / "more.py").write_text("")
    (package / "__init__.py").unlink()
    (package / "__init__.py").symlink_to(package / "more.py")
    after = code_digest(STAGE)
    assert drifted_files(before, after) == [
        "drifting/more.py (new)",
        "drifting/page.html",
        "drifting/run.py",
    ]
    assert drifted_files(after, before)[0] == "drifting/more.py (gone)"


def test_named_modules_belong_to_the_stage(package):
    stage = dataclasses.replace(STAGE, modules=("cluster.dag.lease",))
    assert "cluster/dag/lease.py" in code_digest(stage)


def test_a_module_that_is_not_there_is_named(package):
    with pytest.raises(CodeNotFoundError, match=r"stage s: no module cluster\.nothing"):
        code_digest(dataclasses.replace(STAGE, modules=("cluster.nothing",)))
