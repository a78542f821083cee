"""From an evaluation's page to the checkpoint, the data and the crawl, by clicking links."""

import shutil

import pytest

from cluster.tracking.address import embedded_uri, remembered
from cluster.tracking.record import open_tracker
from cluster.tracking.walk import Store
from tests.cluster.tracking.toy import build_chain, build_models
from tests.ui.browser import RunPage, chromium, served


@pytest.fixture(scope="module")
def page():
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed")  # .ci/run installs them
    with chromium() as driver:
        yield RunPage(driver)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy chain recorded twice: then all was cached but training and the evaluations."""
    store = tmp_path_factory.mktemp("store")
    toy, _ = build_chain(store, open_tracker(embedded_uri(store), store))
    toy.first = dict(toy.records)
    parent = toy.tracker.start_pipeline("full", "smoke", "again", {})
    cached = [s for s in toy.records if s.split(".")[0] not in ("pretrain", "midtrain", "evaluate")]
    toy.cached = {
        step: toy.tracker.record_cached(
            parent, step=step, artifact=toy.records[step], path=toy.paths[step]
        )
        for step in cached
    }
    build_models(toy, parent, learning_rate=0.5, salt="again")
    toy.tracker.finish_pipeline(parent, "FINISHED")
    toy.second = dict(toy.records)
    with served(store) as toy.base:
        yield toy


def walk(page, base, experiment, run, checkpoints):
    """Click from an evaluation through its checkpoints to the tokens, the corpus and the crawl."""
    page.open(base, experiment, run)
    page.expect(f"evaluate.{checkpoints[0]}")
    for checkpoint in checkpoints:
        page.follow_model(checkpoint)
        page.expect(checkpoint)
    for step in ("tokenize.code", "curate", "crawl"):
        page.follow_dataset(step)
        page.expect(step)


def experiment_of(store):
    return remembered(store)["experiment"]


@pytest.mark.parametrize("which", ["first", "second"])
def test_from_evaluation_to_crawl(page, toy, which):
    records = getattr(toy, which)
    run = records["evaluate.midtrain"]["run_id"]
    walk(page, toy.base, experiment_of(toy.root), run, ["midtrain", "pretrain"])
    assert records["crawl"]["run_id"] in page.driver.current_url
    assert "crawl/documents" in page.source()  # the count that the crawl's own run shows


def test_from_evaluation_to_its_traces(page, toy):
    page.open(toy.base, experiment_of(toy.root), toy.second["evaluate.midtrain"]["run_id"])
    page.expect("evaluate.midtrain")
    page.follow_dataset("trace")
    page.expect("trace")
    assert toy.second["trace"]["run_id"] in page.driver.current_url


def test_a_cached_step_leads_to_the_attempt_that_made_it(page, toy):
    page.open(toy.base, experiment_of(toy.root), toy.cached["curate"])
    original = toy.first["curate"]["run_id"]
    page.follow_note(original[:8])
    page.expect("curate")
    assert original in page.driver.current_url


def test_smoke_run_from_evaluation_to_crawl(page, smoke_store):
    store = Store(smoke_store)
    evaluated = store.by_step("evaluate.midtrain")
    run = store.records[evaluated]["run_id"]
    with served(smoke_store) as base:
        walk(page, base, experiment_of(smoke_store), run, ["midtrain", "pretrain"])
    crawled = store.records[store.by_step("crawl")]["run_id"]
    assert crawled in page.driver.current_url
