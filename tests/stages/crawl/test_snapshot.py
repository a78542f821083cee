"""What changes a crawl's identity."""

from stages.crawl.settings import CrawlSettings
from stages.crawl.snapshot import snapshot


def test_a_newly_installed_distribution_changes_the_snapshot(install, site):
    path = [str(site)]
    install("one", {"one.py": b""})
    before = snapshot(CrawlSettings(), path)
    assert snapshot(CrawlSettings(), path) == before
    install("two", {"two.py": b""})
    assert snapshot(CrawlSettings(), path) != before


def test_the_record_counts_and_the_project_itself_does_not(install, site):
    path = [str(site)]
    info = install("one", {"one.py": b""})
    before = snapshot(CrawlSettings(), path)
    install("open_cwm", {"own.py": b""})
    assert snapshot(CrawlSettings(), path) == before
    (info / "RECORD").write_text("one.py,sha256=other,0\n")
    assert snapshot(CrawlSettings(), path) != before


def test_without_installed_sources_only_the_interpreter_counts():
    assert list(snapshot(CrawlSettings(sources=("stdlib",)))) == ["python"]


def test_importing_ray_changes_nothing():
    """Ray puts a folder with its own copies of other packages on sys.path."""
    before = snapshot(CrawlSettings())
    import ray  # noqa: F401

    assert snapshot(CrawlSettings()) == before
