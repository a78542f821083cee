"""Environments of a repository's tests: one that exists, one made from wheels."""

from pathlib import Path

from stages.trace.repository.environment import environment_of, wheel_digests
from stages.trace.repository.runs import read_folder, trace_tests
from tests.stages.trace.repository.conftest import Repository
from tests.stages.trace.repository.wheels import pack_installed

_PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")


def test_an_environment_is_made_from_wheels_alone(repository: Repository, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    pack_installed(_PYTEST, wheels)
    settings = repository.settings(wheels=str(wheels))
    environment = environment_of(settings)
    assert {name.lower() for name, _ in environment.distributions} == set(_PYTEST)
    assert environment_of(settings) == environment
    assert len(wheel_digests(str(wheels))) == len(_PYTEST)
    folder = tmp_path / "repository"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests/test_x.py").write_text(
        "import importlib.util\n\ndef test_x():\n    assert not importlib.util.find_spec('numpy')\n"
    )
    traced = trace_tests(read_folder(folder), environment, settings, ["tests/test_x.py"])
    assert list(traced.recordings) == ["tests/test_x.py::test_x"]
    assert traced.dropped == []
