"""The report of a hand-made store: its numbers are the records' numbers."""

import io
import json
from html.parser import HTMLParser

import pytest
from rich.console import Console

from cluster.dag.stage import Input, StepContext
from stages.kind_checks import check_report
from stages.kinds import REPORT
from stages.report import STAGE
from stages.report.run import run
from stages.report.settings import ReportSettings
from stages.report.terminal import print_summary
from tests.cluster.tracking.toy import build_chain

VOID = {"meta", "img", "br"}


class Tables(HTMLParser):
    """Collects the rows of all tables, and checks that every element is closed in order."""

    def __init__(self):
        super().__init__()
        self.rows, self.open, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def inputs_of(toy, *steps):
    records = {step: toy.records[step] for step in steps or toy.records}
    return {
        step.replace(".", "_"): Input(
            path=toy.paths[step],
            kind=record["kind"],
            digest=record["content_digest"],
            statistics=record["statistics"],
        )
        for step, record in records.items()
    }


def make(folder, inputs):
    folder.mkdir()
    run(
        StepContext(
            step="report",
            settings=ReportSettings(),
            placement=None,
            inputs=inputs,
            output=folder,
            scratch=folder,
        )
    )
    check_report(folder)
    return folder


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return build_chain(tmp_path_factory.mktemp("store"))[0]


@pytest.fixture(scope="module")
def report(toy, tmp_path_factory):
    return make(tmp_path_factory.mktemp("report") / "out", inputs_of(toy))


@pytest.fixture(scope="module")
def page(report):
    parser = Tables()
    parser.feed((report / "index.html").read_text())
    assert parser.open == []
    return parser


def row(page, first):
    return next(cells for cells in page.rows if cells and cells[0] == first)


def test_stage_declares_the_report(toy):
    assert STAGE.output == REPORT and not STAGE.deterministic
    assert {kind.name for kind in STAGE.more} == {r["kind"] for r in toy.records.values()}


def test_metrics_equal_the_results(page):
    cells = row(page, "traces.changed_state")
    assert cells[1:4] == ["higher is better", "400", "0.05 copying"]
    assert cells[4] == "0.0525 ±0.01"
    assert cells[5] == "0.4375 ±0.01*▲ better"
    assert "≈ not significant" in row(page, "output.direct")[5]
    assert row(page, "code.bits_per_byte")[5].endswith("▲ better")  # lower is better


def test_tokens_made_fitted_and_trained_on(page):
    assert row(page, "code") == ["code", "3", "30", "3", "pretrain", "2", "900"]
    assert row(page, "traces") == ["traces", "3", "77", "–", "midtrain", "–", "700"]


def test_drop_reasons_and_licences(page):
    assert row(page, "crawl") == ["crawl", "documents 3", "3", "no-licence 2, not-utf8 1"]
    assert row(page, "MIT") == ["MIT", "1", "2", "51"]
    assert row(page, "python") == ["python", "3.11.7", "PSF-2.0", "1", "27"]


def test_steps_have_cost_and_fingerprint(page, toy):
    cells = next(c for c in page.rows if c[:2] == ["midtrain", "checkpoint"])
    assert cells[2:5] == ["1.5", "2.5", toy.records["midtrain"]["fingerprint"][:16]]


def test_page_refers_to_nothing_outside(page, report):
    assert page.addresses and all(a.startswith("data:image/svg+xml") for a in page.addresses)
    assert "def f(a): &lt;b&gt;" in (report / "index.html").read_text()  # escaped


def test_figures_are_there(report):
    drawn = {file.name for file in report.glob("*.svg")}
    assert drawn == {  # nobody logged a reward
        "loss.svg",
        "timeline.svg",
        "metrics.svg",
        "funnel.svg",
    }


def test_same_records_give_the_same_page(toy, report, tmp_path):
    again = make(tmp_path / "again", inputs_of(toy))
    assert (again / "index.html").read_bytes() == (report / "index.html").read_bytes()


def test_terminal_prints_the_summary(toy, report):
    console = Console(file=io.StringIO(), width=160)
    print_summary(
        inputs_of(toy) | {"report": Input(path=report, kind="report", digest="")}, console
    )
    text = console.file.getvalue()
    assert "0.4375 ±0.01* ▲" in text and "0.101 ±0.01* ≈" in text
    assert "prediction" in text and "a = 2" in text and "a = 3" in text
    assert "18.0" in text  # twelve steps of 1.5 s


def test_terminal_needs_no_report(toy):
    console = Console(file=io.StringIO(), width=160)
    print_summary(inputs_of(toy), console, steps=False)
    text = console.file.getvalue()
    assert "traces.changed_state" in text and "CPU s" not in text


def test_a_run_of_the_early_stages_alone_is_reported(toy, tmp_path):
    folder = make(tmp_path / "out", inputs_of(toy, "crawl", "curate"))
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["metrics"] == [] and len(summary["steps"]) == 2
    assert "no data" in (folder / "index.html").read_text()


def test_settings_are_checked():
    with pytest.raises(ValueError, match=r"significance = 0.*above 0"):
        ReportSettings(significance=0)
    with pytest.raises(ValueError, match=r"examples = -1"):
        ReportSettings(examples=-1)
