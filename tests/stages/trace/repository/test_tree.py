"""The files of a repository at a revision, read without touching it."""

import subprocess
from pathlib import Path

import pytest

from stages.trace.repository.__main__ import main
from stages.trace.repository.errors import RepositoryError
from stages.trace.repository.history import earlier_commits, fix_commits, parent_of
from stages.trace.repository.licence import licence_of_tree
from stages.trace.repository.settings import RepositorySettings
from stages.trace.repository.tree import _is_safe, tree_at
from tests.stages.trace.repository.conftest import FILES, FIXED, Repository, write


def test_a_tree_is_what_is_committed_and_the_checkout_is_left_alone(
    repository: Repository, tmp_path: Path
) -> None:
    untidy = repository.path / "src/shop/untidy.py"
    untidy.write_text("x = 1\n")
    before = sorted(p.stat().st_mtime_ns for p in repository.path.rglob("*"))
    tree = tree_at(repository.path, repository.first)
    tree.export(tmp_path / "out")
    out = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_text()
        for p in (tmp_path / "out").rglob("*")
        if p.is_file()
    }
    assert out == FILES
    assert tree.revision == repository.first
    assert sorted(p.stat().st_mtime_ns for p in repository.path.rglob("*")) == before
    untidy.unlink()


def test_a_folder_has_a_digest_of_what_counts(tmp_path: Path) -> None:
    write(tmp_path / "a", FILES)
    write(
        tmp_path / "b",
        {**FILES, "src/__pycache__/x.pyc": ""},
    )
    (tmp_path / "b/.tox").mkdir()
    (tmp_path / "b/.tox/x.py").write_text("")
    one, other = tree_at(tmp_path / "a"), tree_at(tmp_path / "b")
    assert one.revision == other.revision
    (tmp_path / "b/LICENSE").write_text("another")
    assert tree_at(tmp_path / "b").revision != one.revision


def git_in(path: Path, *arguments: str, given: bytes = b"") -> bytes:
    command = ["git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t", *arguments]
    return subprocess.run(command, check=True, capture_output=True, input=given).stdout


def commit(path: Path) -> None:
    git_in(path, "init", "-q")
    git_in(path, "add", "-A")
    git_in(path, "commit", "-qm", "x")


def test_links_and_paths_that_lead_out_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "linked"
    path.mkdir()
    run = lambda *a: subprocess.run(["git", "-C", str(path), *a], check=True, capture_output=True)  # noqa: E731
    run("init", "-q")
    (path / "in.py").write_text("")
    (path / "good").symlink_to("in.py")
    (path / "bad").symlink_to("../../etc/passwd")
    (path / "worse").symlink_to("/etc/passwd")
    run("add", "-A")
    run("-c", "user.name=t", "-c", "user.email=t", "commit", "-qm", "x")
    tree_at(path).export(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["good", "in.py"]


def test_no_chain_of_links_leads_out(tmp_path: Path) -> None:
    path = tmp_path / "chain"
    (path / "a/b").mkdir(parents=True)
    (path / "a/b/up").symlink_to("../..")  # the tree's own folder: inside
    (path / "out").symlink_to("a/b/up/../../etc")  # by its text inside, too
    commit(path)
    tree_at(path).export(tmp_path / "out")
    assert (tmp_path / "out/a/b/up").is_symlink() and not (tmp_path / "out/out").is_symlink()


@pytest.mark.parametrize("name", ["/etc/x.py", "../x.py", "a/../../x.py", ".git/hooks/x"])
def test_names_that_lead_out_are_unsafe(name: str) -> None:
    assert not _is_safe(name) and _is_safe("a/x..py")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    path, out = tmp_path / "through", tmp_path / "out"
    (path / "test_a.py").mkdir(parents=True)
    (path / "test_a.py/x.py").write_text("")
    (path / "b.py").write_text("")
    commit(path)
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    (out / "test_a.py").symlink_to(tmp_path / "elsewhere")
    tree_at(path).export(out)
    assert (out / "b.py").is_file() and not list((tmp_path / "elsewhere").iterdir())


def test_the_environment_of_a_hook_names_no_other_repository(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other"
    path.mkdir()
    (path / "x.py").write_text("")
    commit(path)
    monkeypatch.setenv("GIT_DIR", str(path / ".git"))
    assert tree_at(repository.path).revision == repository.head


def test_an_id_says_what_is_read(repository: Repository, tmp_path: Path) -> None:
    path = tmp_path / "replaced"
    git_in(tmp_path, "clone", "-q", str(repository.path), str(path))
    git_in(path, "replace", repository.first, repository.head)
    assert tree_at(path, repository.first).files == tree_at(repository.path, repository.first).files


def test_a_repository_names_no_program_to_run(repository: Repository, tmp_path: Path) -> None:
    path, ran = tmp_path / "signed", tmp_path / "ran"
    git_in(tmp_path, "clone", "-q", str(repository.path), str(path))
    (tmp_path / "gpg").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (tmp_path / "gpg").chmod(0o755)
    text = git_in(path, "cat-file", "commit", "HEAD")
    head, _, rest = text.partition(b"\n\n")
    signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    given = head + b"\n" + signature + b"\n\n" + rest
    signed = git_in(path, "hash-object", "-t", "commit", "-w", "--stdin", given=given)
    git_in(path, "config", "log.showSignature", "true")
    git_in(path, "config", "gpg.program", str(tmp_path / "gpg"))
    settings = RepositorySettings(name="signed", path=str(path), max_fixes=1)
    fix_commits(settings, signed.decode().strip(), 0)
    assert not ran.exists()


def test_what_is_missing_is_named(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(RepositoryError, match="is no folder"):
        tree_at(tmp_path / "nowhere")
    with pytest.raises(RepositoryError, match="rev-parse"):
        tree_at(repository.path, "no-such-branch")


def test_commits_are_chosen_by_the_seed(repository: Repository) -> None:
    assert earlier_commits(repository.settings(), repository.head, 0) == []
    found = earlier_commits(repository.settings(commits=2), repository.head, 0)
    assert sorted(found) == sorted([repository.first, repository.fix])
    assert found == earlier_commits(repository.settings(commits=2), repository.head, 0)
    one = repository.settings(commits=1, tried_commits=1)
    assert len(earlier_commits(one, repository.head, 0)) == 1


def test_fixes_are_commits_that_change_tests_and_source(repository: Repository) -> None:
    # the first commit changes both, too: that it has no parent is found out when it is tried
    found = fix_commits(repository.settings(max_fixes=1), repository.head, 0)
    assert sorted(found) == sorted([repository.first, repository.fix])
    given = fix_commits(repository.settings(fixes=("HEAD~1",)), repository.head, 0)
    assert given == [repository.fix]
    assert parent_of(repository.path, repository.first) is None
    assert parent_of(repository.path, repository.fix) == repository.first
    assert "src/shop/words.py" in FIXED


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"pyproject.toml": '[project]\nname="x"\nlicense="Apache-2.0"\n'}, "Apache-2.0"),
        ({"pyproject.toml": '[project]\nname="x"\nlicense={text="MIT License"}\n'}, "MIT"),
        ({"PKG-INFO": "Metadata-Version: 2.1\nName: x\nLicense: ISC\n\n"}, "ISC"),
        (
            {
                "PKG-INFO": "Metadata-Version: 2.1\nName: x\n"
                "Classifier: License :: OSI Approved :: BSD License\n\n",
                "LICENSE.txt": "Redistribution and use in source and binary forms …\n"
                "Neither the name of x",
            },
            "BSD-3-Clause",
        ),
    ],
)
def test_the_licence_is_found(tmp_path: Path, files: dict[str, str], found: str) -> None:
    write(tmp_path, files)
    settings = RepositorySettings(name="x", path=str(tmp_path))
    assert licence_of_tree(tree_at(tmp_path), settings) == found


def test_a_licence_is_stated_or_there_is_none(tmp_path: Path) -> None:
    write(tmp_path, {"x.py": ""})
    tree = tree_at(tmp_path)
    with pytest.raises(RepositoryError, match="state it"):
        licence_of_tree(tree, RepositorySettings(name="x", path=str(tmp_path)))
    stated = RepositorySettings(name="x", path=str(tmp_path), licence="mit")
    assert licence_of_tree(tree, stated) == "MIT"
    wrong = RepositorySettings(name="x", path=str(tmp_path), licence="my own")
    with pytest.raises(RepositoryError, match="no SPDX"):
        licence_of_tree(tree, wrong)


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("a b", (), "names no licence"),  # whatever the folder is called
        ("fine", ("--pytest", "'"), "No closing quotation"),
        ("nowhere", (), "is no folder"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, name: str, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in ("a b", "fine"):
        (tmp_path / each).mkdir()
    try:
        code = main([str(tmp_path / name), "--out", str(tmp_path / "out"), *words])
    except SystemExit as error:  # argparse ends the program itself
        code = int(str(error.code))
    assert code == 2
    assert said in capsys.readouterr().err
