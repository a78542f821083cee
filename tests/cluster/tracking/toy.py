"""A hand-made store: a small chain of artifacts, with or without a tracker, that the tests walk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cluster.dag.metrics import log_metrics, write_statistics
from cluster.tracking.record import InputRef, NoTracker
from stages.tables import DOCUMENTS, DROPPED, TRACES, TRAJECTORIES, write_table
from tests.stages.rows import PLAIN_TRACE

KINDS = {
    "crawl": "documents",
    "curate": "corpus",
    "trace": "traces",
    "forage": "trajectories",
    "tokenizer": "tokenizer",
    "tasks": "tasks",
    "tokenize": "tokens",
    "pretrain": "checkpoint",
    "midtrain": "checkpoint",
    "evaluate": "evaluation",
    "report": "report",
}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def document(origin, path, text, licence="MIT", revision="1.0"):
    blob = hashlib.sha1(f"blob {len(text)}\0{text}".encode()).hexdigest()
    return {
        "sha256": sha(text),
        "blob": blob,
        "text": text,
        "language": "python",
        "source": "installed",
        "origin": origin,
        "revision": revision,
        "path": path,
        "licence": licence,
        "licence_method": "metadata",
        "fetched_at": "2026-01-01T00:00:00Z",
    }


DOCUMENTS_ROWS = [
    document("python", "bisect.py", "def f(a):\n    return a + 1\n", "PSF-2.0", "3.11.7"),
    document("attrs", "attr/a.py", "def g(a):\n    return [a]\n", "MIT", "26.1.0"),
    document("attrs", "attr/b.py", "def h(a):\n    return (a,)\n", "MIT", "26.1.0"),
]
DROPS = [
    {
        "key": "k1",
        "origin": "x",
        "path": "x/a.py",
        "reason": "no-licence",
        "detail": "",
        "bytes": 7,
    },
    {
        "key": "k2",
        "origin": "x",
        "path": "x/b.py",
        "reason": "no-licence",
        "detail": "",
        "bytes": 8,
    },
    {"key": "k3", "origin": "y", "path": "y/b.py", "reason": "not-utf8", "detail": "", "bytes": 9},
]


def trace(key, row):
    return {
        **PLAIN_TRACE,
        "key": key,
        "source": "function",
        "document": row["sha256"],
        "origin": row["origin"],
        "licence": row["licence"],
        "name": "m:f",
        "context": row["text"],
        "entry": "f",
        "arguments": "1",
        "input_method": "doctest",
        "frames": [],
        "result": "2",
        "group": key,
    }


def trajectory(key, row):
    return {
        "key": key,
        "task": "mutate-fix",
        "document": row["sha256"],
        "origin": row["origin"],
        "licence": row["licence"],
        "name": "m:f",
        "family": "operator",
        "original": row["text"],
        "mutated": row["text"],
        "tests": "[]",
        "turns": [],
        "outcome": "fixed",
        "reward": 1.0,
        "group": key,
        "python": "3.11",
        "sandbox": "bwrap",
    }


class ToyStore:
    """Publishes artifacts by hand, as the executor would, and tells a tracker about them."""

    def __init__(self, root: Path, tracker=None):
        self.root = root
        self.tracker = tracker or NoTracker()
        self.records = {}
        self.paths = {}

    def step(self, parent, step, inputs, fill, *, settings=None, statistics=None, salt=""):
        """Make one artifact of ``step`` from the artifacts of other steps: ``inputs`` is name ->
        step.
        """
        stage = step.split(".")[0]
        settings = settings or {}
        chain = [self.records[s]["content_digest"] for s in inputs.values()]
        fingerprint = sha(json.dumps([step, settings, chain]))
        attempt = sha(fingerprint + salt)[:12]
        path = self.root / stage / fingerprint / attempt
        path.mkdir(parents=True)
        refs = [
            InputRef(
                name,
                self.records[s]["kind"],
                self.records[s]["content_digest"],
                self.paths[s],
                self.records[s]["run_id"],
            )
            for name, s in inputs.items()
        ]
        run_id = self.tracker.start_attempt(
            parent,
            step=step,
            stage=stage,
            fingerprint=fingerprint,
            attempt=attempt,
            settings=settings,
            inputs=refs,
        )
        with self.tracker.mirror(run_id, path / "metrics.jsonl"):
            fill(path)
        write_statistics(path / "statistics.json", statistics or {})
        record = self._record(step, stage, path, fingerprint, attempt, settings, inputs)
        record |= {"statistics": statistics or {}, "run_id": run_id, "pipeline_run_id": parent}
        (path / "artifact.json").write_text(json.dumps(record))
        (path.parent / "current").unlink(missing_ok=True)
        (path.parent / "current").symlink_to(attempt)
        self.tracker.finish_attempt(run_id, artifact=record, path=path, status="FINISHED")
        self.records[step], self.paths[step] = record, path
        return record

    def _record(self, step, stage, path, fingerprint, attempt, settings, inputs):
        files = {
            str(f.relative_to(path)): {
                "bytes": f.stat().st_size,
                "sha256": hashlib.sha256(f.read_bytes()).hexdigest(),
            }
            for f in sorted(path.rglob("*"))
            if f.is_file()
        }
        names = ("step", "stage", "kind", "fingerprint", "attempt")
        taken = {
            name: {k: self.records[s][k] for k in names}
            | {
                "digest": self.records[s]["content_digest"],
                "path": self.paths[s].relative_to(self.root).as_posix(),
            }
            for name, s in inputs.items()
        }
        digest = sha(json.dumps([step, settings, files], sort_keys=True))
        return {
            "format": 1,
            "step": step,
            "stage": stage,
            "revision": 1,
            "kind": KINDS[stage],
            "fingerprint": fingerprint,
            "attempt": attempt,
            "content_digest": digest,
            "settings": settings,
            "placement": {},
            "inputs": taken,
            "snapshot": None,
            "python": "3.11",
            "code": {},
            "files": files,
            "versions": {},
            "started_at": "2026-01-01T00:00:00+00:00",
            "finished_at": f"2026-01-01T00:00:{len(self.records) + 1:02d}+00:00",
            "wall_seconds": 1.5,
            "cpu_seconds": 2.5,
            "host": "toy",
        }


def fill_tables(schema, rows, dropped=()):
    """Return a fill function for a table with a train and a heldout split, or crawl's one table."""

    def fill(path):
        if schema is DOCUMENTS and dropped:
            write_table(path / "documents", schema, rows)
        else:
            write_table(path / "train", schema, rows[1:])
            write_table(path / "heldout", schema, rows[:1])
        write_table(path / "dropped", DROPPED, dropped)

    return fill


def fill_text(**files):
    def fill(path):
        for name, content in files.items():
            (path / name.replace("__", ".")).write_text(content)

    return fill


def fill_training(scale):
    def fill(path):
        (path / "config.json").write_text(json.dumps({"hidden_size": 8}))
        (path / "model.safetensors").write_text(f"weights {scale}")
        for step in range(5):
            log_metrics(
                path / "metrics.jsonl",
                {"loss": scale / (step + 1), "validation_loss": scale, "seconds.forward": 0.5},
                step=step,
            )

    return fill


def metric(name, value, n=400, se=0.01, baseline=0.05, better="higher"):
    return {
        "name": name,
        "value": value,
        "n": n,
        "se": se,
        "baseline": {"name": "copying", "value": baseline},
        "better": better,
    }


def fill_evaluation(changed):
    metrics = [
        metric("code.bits_per_byte", 2.5 - changed, baseline=2.0, better="lower"),
        metric("traces.changed_state", changed),
        metric("output.direct", 0.101),
    ]
    example = {
        "metric": "traces.changed_state",
        "task": "t1",
        "prompt": "def f(a): <b>",
        "prediction": "a = 2",
        "truth": "a = 3",
        "correct": False,
    }
    results = json.dumps({"metrics": metrics, "settings": {}})
    return fill_text(results__json=results, examples__jsonl=json.dumps(example) + "\n")


def build_chain(root: Path, tracker=None, *, finish=True):
    """Build crawl → curate → (trace, forage, tasks, tokens) → pretrain → midtrain, each
    evaluated.
    """
    toy = ToyStore(root, tracker)
    parent = toy.tracker.start_pipeline("full", "smoke", "python pipelines/full.py", {"seed": 0})
    crawled = {"documents": 3, "dropped": 3, "bytes": 80}
    toy.step(
        parent,
        "crawl",
        {},
        fill_tables(DOCUMENTS, DOCUMENTS_ROWS, DROPS),
        settings={"sources": ["stdlib", "installed"]},
        statistics=crawled,
    )
    toy.step(
        parent,
        "curate",
        {"documents": "crawl"},
        fill_tables(DOCUMENTS, DOCUMENTS_ROWS),
        statistics={"kept": 3},
    )
    build_data(toy, parent)
    build_models(toy, parent)
    if finish:
        toy.tracker.finish_pipeline(parent, "FINISHED")
    return toy, parent


def build_data(toy, parent):
    held = DOCUMENTS_ROWS[0]["sha256"]
    traces = [trace(sha(r["path"]), r) for r in DOCUMENTS_ROWS]
    trajectories = [trajectory(sha(r["path"]), r) for r in DOCUMENTS_ROWS]
    corpus = {"corpus": "curate"}
    toy.step(parent, "trace", corpus, fill_tables(TRACES, traces))
    toy.step(parent, "forage", corpus, fill_tables(TRAJECTORIES, trajectories))
    toy.step(
        parent,
        "tokenizer",
        corpus | {"traces": "trace"},
        fill_text(tokenizer__json="{}", tokenizer_config__json="{}"),
    )
    toy.step(
        parent,
        "tasks",
        {"traces": "trace", "trajectories": "forage"},
        fill_text(train__jsonl="", heldout__jsonl=json.dumps({"document": held})),
    )
    for name, source, documents, tokens in (
        ("code", "curate", 3, 30),
        ("traces", "trace", 3, 77),
    ):
        toy.step(
            parent,
            f"tokenize.{name}",
            {"source": source, "tokenizer": "tokenizer"},
            fill_text(meta__json=json.dumps({"rendering": name})),
            settings={"rendering": name},
            statistics={"documents": documents, "tokens": tokens},
        )


def build_models(toy, parent, *, learning_rate=0.001, salt=""):
    """Train and evaluate two checkpoints on the data that is there."""
    toy.step(
        parent,
        "pretrain",
        {"tokenizer": "tokenizer", "code": "tokenize.code"},
        fill_training(4.0),
        settings={"learning_rate": 0.001, "mix": {"code": 1.0}},
        statistics={
            "parameters": 1234,
            "tokens": 900,
            "steps": 5,
            "tokens_seen.code": 900,
            "documents_seen.code": 2,
            "documents_fit.code": 3,
        },
        salt=salt,
    )
    toy.step(
        parent,
        "midtrain",
        {"checkpoint": "pretrain", "tokenizer": "tokenizer", "traces": "tokenize.traces"},
        fill_training(3.0),
        settings={"learning_rate": learning_rate},
        statistics={"tokens": 700, "steps": 5, "tokens_seen.traces": 700},
        salt=salt,
    )
    for name, changed in (("pretrain", 0.0525), ("midtrain", 0.4375)):
        toy.step(
            parent,
            f"evaluate.{name}",
            {"checkpoint": name, "corpus": "curate", "traces": "trace", "tasks": "tasks"},
            fill_evaluation(changed),
            settings={"examples": 400},
            statistics={"examples": 400},
            salt=salt,
        )


def record_cached(toy, *steps):
    """Record a second pipeline in which ``steps`` were all found cached; return its run id."""
    parent = toy.tracker.start_pipeline("full", "smoke", "python pipelines/full.py", {})
    for step in steps:
        toy.tracker.record_cached(
            parent, step=step, artifact=toy.records[step], path=toy.paths[step]
        )
    toy.tracker.finish_pipeline(parent, "FINISHED")
    return parent
