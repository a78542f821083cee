"""What the crawl keeps, what it drops and why."""

import hashlib
import subprocess

import pytest

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import StepContext
from stages.crawl.run import crawl, git_blob, run
from stages.crawl.settings import CrawlSettings
from stages.crawl.sources import installed, installed_distributions
from stages.kind_checks import check_documents
from stages.tables import read_table

MIT = "License-Expression: MIT\n"


def crawled(site, **settings):
    found = [installed(d) for d in installed_distributions(["open-cwm"], [str(site)])]
    result = crawl(found, CrawlSettings(**settings))
    return [row for _, row in result.documents], {r["key"]: r["reason"] for r in result.dropped}


def test_bad_files_and_missing_licences_are_dropped_with_their_reason(install, site):
    install(
        "good",
        {
            "good/a.py": b"x = 1\n",
            "good/latin.py": "# \xe9\n".encode("latin-1"),
            "good/huge.py": b"#" * 2000,
            "good/_vendor/other.py": b"x = 1\n",
            "good/tests/test_a.py": b"x = 1\n",
            "good/gone.py": b"",
            "good/data.txt": b"not code",
        },
        MIT,
    )
    (site / "good/gone.py").unlink()
    (site / "good/gone.py").mkdir()  # unreadable for everyone, root included
    install("closed", {"closed.py": b"x = 1\n"})
    install("copyleft", {"copyleft.py": b"x = 1\n"}, "License-Expression: GPL-3.0-only\n")
    install("open_cwm", {"own.py": b"x = 1\n"}, MIT)
    documents, dropped = crawled(site, max_file_bytes=1000)
    assert [row["path"] for row in documents] == ["good/a.py"]
    assert dropped == {
        "good:good/latin.py": "not-utf8",
        "good:good/huge.py": "too-large",
        "good:good/_vendor/other.py": "vendored",
        "good:good/tests/test_a.py": "excluded",
        "good:good/gone.py": "unreadable",
        "closed:closed.py": "no-licence",
        "copyleft:copyleft.py": "not-permissive",
    }


def test_a_document_says_where_it_is_from(install, site):
    install("good", {"good/a.py": b"x = 1\r\n"}, MIT, version="2.5")
    ((row,), _) = crawled(site)
    assert row["sha256"] == hashlib.sha256(b"x = 1\r\n").hexdigest()
    assert row["text"] == "x = 1\r\n"
    assert (row["source"], row["origin"], row["revision"]) == ("installed", "good", "2.5")
    assert (row["licence"], row["licence_method"]) == ("MIT", "license-expression")


def test_git_agrees_on_the_blob_id():
    data = b"x = 1\n"
    git = subprocess.run(
        ["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True
    )
    assert git_blob(data) == git.stdout.decode().strip()


def test_budgets_take_files_with_doctests_first_and_record_the_rest(install, site):
    files = {f"good/f{i}.py": b"x = 1  # padding\n" for i in range(20)}
    files["good/shown.py"] = b'"""\n>>> 1\n1\n"""\n'
    install("good", files, MIT)
    documents, dropped = crawled(site, distribution_bytes=60)
    assert "good/shown.py" in [row["path"] for row in documents]
    assert sum(len(row["text"]) for row in documents) <= 60
    taken = {f"good:{row['path']}" for row in documents}
    assert dropped == dict.fromkeys({f"good:{path}" for path in files} - taken, "over-budget")


def test_the_standard_library_is_crawled_without_its_tests(tmp_path):
    context = StepContext(
        step="crawl",
        settings=CrawlSettings(sources=("stdlib",), stdlib_bytes=300_000),
        placement=None,
        inputs={},
        output=tmp_path,
        scratch=tmp_path,
    )
    run(context)
    check_documents(tmp_path)
    rows = list(read_table(tmp_path / "documents"))
    assert rows and {row["origin"] for row in rows} == {"cpython"}
    assert {row["licence"] for row in rows} == {"Python-2.0.1"}
    assert not [row for row in rows if "test" in row["path"].split("/")]
    assert read_statistics(context.statistics_file)["documents"] == len(rows)


def test_settings_refuse_an_unknown_source():
    with pytest.raises(ValueError, match="sources="):
        CrawlSettings(sources=("github",))
    with pytest.raises(ValueError, match="total_bytes=0"):
        CrawlSettings(total_bytes=0)
