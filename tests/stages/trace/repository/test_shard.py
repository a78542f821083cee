"""Shards: the head, earlier commits, fixes; and what stops them before they begin."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from stages.trace.repository.errors import RepositoryEnvironmentError, RepositoryError
from stages.trace.repository.settings import RepositorySettings
from stages.trace.repository.shard import RepositoryShard, repository_shards
from stages.trace.repository.snapshot import snapshot
from stages.trace.settings import TracePlacement, TraceSettings
from tests.stages.trace.repository.conftest import Repository, write

WORDS = "tests/test_words.py"


def shards_of(*repositories: RepositorySettings) -> list[RepositoryShard]:
    settings = TraceSettings(repositories=repositories)
    return list(repository_shards(settings, TracePlacement()))


def test_shards_are_named_by_what_they_do(repository: Repository) -> None:
    settings = repository.settings(files_per_session=3, commits=1, max_fixes=1)
    shards = shards_of(settings)
    assert [(len(each.files), len(each.revisions), each.fixes) for each in shards] == [
        (3, 1, False),
        (1, 1, False),
        (0, 2, False),
        (0, 2, True),
    ]
    names = [each.name for each in shards]
    assert len(set(names)) == len(names)
    assert all(name.startswith("repository-shop-") and "/" not in name for name in names)
    elsewhere = replace(settings, interpreter="/usr/bin/python3")
    assert [each.name for each in shards_of(elsewhere)] == names
    assert [each.name for each in shards_of(replace(settings, events=5))] != names
    assert pickle.loads(pickle.dumps(shards[0])) == shards[0]


def test_a_fix_is_a_pair_of_traces(repository: Repository) -> None:
    *_, shard = shards_of(repository.settings(max_fixes=1))
    made = shard.trace()
    assert made.dropped == []
    assert [(row["test"], row["side"], row["outcome"]) for row in made.rows] == [
        (f"{WORDS}::test_two_spaces", "before", "exception"),
        (f"{WORDS}::test_two_spaces", "after", "return"),
    ]
    before, after = made.rows
    assert before["pair"] == after["pair"] != ""
    assert before["revision"] == after["revision"] == repository.fix
    assert 'split(" ")' in before["context"] and "split()" in after["context"]
    assert before["result"] == "IndexError('string index out of range')"
    assert {row["split"] for row in made.rows} == {before["split"]}


def test_earlier_commits_are_tried_until_enough_come_to_traces(repository: Repository) -> None:
    settings = repository.settings(commits=1, test_files=("test_words.py",))
    shard = shards_of(settings)[-1]
    assert len(shard.revisions) == 2  # of which only the fix has such a file
    made = shard.trace()
    assert {row["revision"] for row in made.rows} == {repository.fix}
    assert {row["test"] for row in made.rows} == {
        f"{WORDS}::test_one_space",
        f"{WORDS}::test_two_spaces",
    }
    assert made.tried["pytest"] == 2 and made.layer


def test_what_was_under_another_licence_is_left_out(repository: Repository) -> None:
    settings = repository.settings(commits=1, max_fixes=1, test_files=("test_words.py",))
    for shard in shards_of(settings)[-2:]:
        made = replace(shard, licence="GPL-3.0-only").trace()
        assert not made.rows and {row["reason"] for row in made.dropped} == {"licence"}
        assert "MIT; the head: GPL-3.0-only" in made.dropped[0]["detail"]


def test_a_shard_comes_to_the_same_rows_every_time(repository: Repository) -> None:
    (shard,) = shards_of(repository.settings(test_files=("test_words.py",)))
    one, other = shard.trace(), shard.trace()
    assert json.dumps(one.rows) == json.dumps(other.rows)
    assert len(one.rows) == 2


def test_a_session_that_pytest_refuses_is_left_out_with_what_it_said(
    repository: Repository,
) -> None:
    settings = repository.settings(test_files=("test_words.py",), pytest_arguments=("--no-such",))
    (shard,) = shards_of(settings)
    (row,) = shard.trace().dropped
    assert row["reason"] == "session-failed"
    assert "--no-such" in row["detail"]


def test_what_lies_there_is_the_snapshot(repository: Repository, tmp_path: Path) -> None:
    write(tmp_path, {"test_x.py": "def test_x():\n    pass\n"})
    other = RepositorySettings(name="plain", path=str(tmp_path), licence="MIT")
    state = snapshot(TraceSettings(repositories=(repository.settings(), other)))
    assert state["shop"]["revision"] == repository.head
    assert state["plain"]["revision"].startswith("sha256:")
    assert "pytest" in {name for name, _ in state["shop"]["distributions"]}
    (shard,) = shards_of(other)
    write(tmp_path, {"test_x.py": "def test_y():\n    pass\n"})
    assert snapshot(TraceSettings(repositories=(other,))) != {"plain": state["plain"]}
    with pytest.raises(RepositoryError, match="is another one"):
        shard.trace()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"interpreter": "/no/such/python"}, "no interpreter"),
        ({"interpreter": "/usr/bin/true"}, "does not start"),
        ({"wheels": "/no/such/folder"}, "holds no wheel"),
    ],
)
def test_an_environment_that_is_not_there_is_named(
    repository: Repository, changes: dict[str, str], said: str
) -> None:
    shard = shards_of(repository.settings(**changes))[0]
    with pytest.raises(RepositoryEnvironmentError, match=said):
        shard.trace()


def test_a_wheel_that_is_missing_is_named(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "other-1-py3-none-any.whl").write_bytes(b"")
    shard = shards_of(repository.settings(wheels=str(tmp_path)))[0]
    with pytest.raises(RepositoryEnvironmentError, match="pytest cannot be installed from"):
        shard.trace()


@pytest.mark.parametrize(
    "changes",
    [{"name": "a/b"}, {"path": ""}, {"commits": 41}, {"events": 0}, {"value_chars": 3}],
)
def test_settings_without_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        RepositorySettings(**{"name": "x", "path": "/x", **changes})  # type: ignore[arg-type]


def test_a_repository_without_tests_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"x.py": ""})
    with pytest.raises(RepositoryError, match=r"no test file: none is called test_\*\.py or"):
        shards_of(RepositorySettings(name="bare", path=str(tmp_path), licence="MIT"))
