"""Recording in MLflow, by the conventions that make its UI walkable from a number to the crawl.

One experiment; the pipeline is a parent run, each attempt a child. A checkpoint is a LoggedModel,
an output of its run and an input of the runs that use it. Every other artifact is a dataset whose
source is the *address of the run that made it*, so that the UI's "Open dataset" leads there; the
producer logs it first, because the first writer's source is the one that MLflow keeps. An
evaluation's metrics name their model and dataset.

Only `MlflowClient` is used: nothing here depends on a process-wide active run.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from cluster.tracking import notes
from cluster.tracking.address import connect
from cluster.tracking.contract import InputRef
from cluster.tracking.evaluation import evaluation_metrics
from cluster.tracking.mirror import MetricsMirror
from cluster.tracking.names import MAX_BATCH, MAX_TAG, metric_name, numbers, parameters, run_link
from cluster.tracking.origin import close_dead_runs, code_version, process_tags
from cluster.tracking.products import Product, Products, small_files
from cluster.tracking.system_metrics import system_metrics
from cluster.tracking.timeline import read_timeline

CHECKPOINT = "checkpoint"
EVALUATION = "evaluation"


class MlflowTracker:
    """A `Tracker` that records at an MLflow tracking address; ``store`` is what artifact paths are
    relative to.
    """

    def __init__(self, uri: str, store: Path) -> None:
        self.uri = uri
        self.store = store.resolve()
        self.client, self.experiment = connect(uri, store)
        self._products = Products(self.client, self.experiment, self.store)

    def start_pipeline(
        self, name: str, preset: str, command: str, params: Mapping[str, Any]
    ) -> str:
        """Start the parent run; runs that a killed driver on this host left open are closed
        first.
        """
        close_dead_runs(self.client, self.experiment)
        tags = process_tags() | code_version()
        tags |= {"cwm.pipeline": name, "cwm.preset": preset, "cwm.command": command[:MAX_TAG]}
        tags |= {"cwm.store": str(self.store), "mlflow.source.name": command[:MAX_TAG]}
        run_id = self._create(f"{name} {preset}", tags)
        self._log(run_id, params=parameters(params))
        return run_id

    def finish_pipeline(self, run_id: str, status: str) -> None:
        """End the parent run and describe it by the table of its steps."""
        children = self.client.search_runs(
            [self.experiment],
            filter_string=f"tags.`mlflow.parentRunId` = '{run_id}'",
            order_by=["attributes.start_time ASC"],
            max_results=1000,
        )
        rows = [self._row(child) for child in children]
        self.client.set_tag(run_id, notes.TAG, notes.step_table(self.experiment, rows)[:MAX_TAG])
        self.client.set_terminated(run_id, status)

    def start_attempt(
        self,
        pipeline_run_id: str,
        *,
        step: str,
        stage: str,
        fingerprint: str,
        attempt: str,
        settings: Mapping[str, Any],
        inputs: Sequence[InputRef],
    ) -> str:
        """Start a child run with its settings as parameters and its inputs as models and
        datasets.
        """
        tags = process_tags() | code_version() | self._step_tags(pipeline_run_id, step, stage)
        tags |= {"cwm.status": "run", "cwm.fingerprint": fingerprint, "cwm.attempt": attempt}
        run_id = self._create(step, tags)
        products = [self._products.find(ref) for ref in inputs]
        self._products.log_inputs(run_id, products)
        note = self._note(products)
        self._log(run_id, params=parameters(settings), tags={notes.TAG: note})
        return run_id

    def finish_attempt(
        self,
        run_id: str,
        *,
        artifact: Mapping[str, Any],
        path: Path,
        status: str,
        error: str = "",
    ) -> None:
        """Record what the attempt made, its statistics and small files, and end its run.

        Where its time went is recorded of one that failed, too.
        """
        if error:
            self.client.set_tag(run_id, "cwm.error", error[:MAX_TAG])
        self._log_timeline(run_id, artifact.get("step", ""), path)
        if artifact and status == "FINISHED":
            self._record_result(run_id, artifact, path)
        self.client.set_terminated(run_id, status)

    def record_cached(
        self, pipeline_run_id: str, *, step: str, artifact: Mapping[str, Any], path: Path
    ) -> str:
        """Record a child run with the inputs and the product of the attempt that made ``artifact``.

        When that attempt was never tracked here, the cached run stands in for it: the walk goes
        through it.
        """
        product = self._products.of_record(artifact, path)
        known = bool(product.run_id)
        tags = process_tags() | self._step_tags(pipeline_run_id, step, artifact.get("stage", ""))
        tags |= {"cwm.status": "cached", "cwm.fingerprint": artifact.get("fingerprint", "")}
        tags |= {"cwm.attempt": artifact.get("attempt", ""), "cwm.artifact": product.path}
        if known:
            tags["cwm.cached_from"] = product.run_id
        run_id = self._create(step, tags)
        inputs = [self._products.find(ref) for ref in self._products.input_refs(artifact)]
        self._products.log_inputs(run_id, inputs)
        if not known:
            self._record_result(run_id, artifact, path)
        else:
            self._products.log_output(run_id, product)
            origin = notes.link(product.run_id[:8], run_link(self.experiment, product.run_id))
            note = self._note(inputs, product=product, state=f"cached: made by run {origin}")
            metrics = evaluation_metrics(path) if product.kind == EVALUATION else []
            self._log(
                run_id,
                tags={notes.TAG: note},
                metrics=[_metric(m.name, m.value) for m in metrics],
            )
        self.client.set_terminated(run_id, "FINISHED")
        return run_id

    @contextmanager
    def mirror(self, run_id: str, metrics_file: Path) -> Iterator[None]:
        """Return a context in which ``metrics_file`` reaches the run, as ``STAGE/name``, and the
        use of the machine as ``system/name``.

        The UI matches metrics to models by name alone, so that equal names in two stages would be
        mixed up. An evaluation's numbers are its results, recorded once with model and dataset.
        """
        stage = self.client.get_run(run_id).data.tags["cwm.stage"]
        mirrored = (
            nullcontext() if stage == "evaluate" else self._mirrored(run_id, stage, metrics_file)
        )
        with system_metrics(run_id, self.uri), mirrored:
            yield

    def _mirrored(self, run_id: str, stage: str, file: Path) -> AbstractContextManager[Any]:
        def send(points: list[tuple[str, float, int, int]]) -> None:
            metrics = [
                Metric(metric_name(f"{stage}/{name}"), value, stamp, step)
                for name, value, step, stamp in points
            ]
            self.client.log_batch(run_id, metrics=metrics)

        return MetricsMirror(file, send, errors=(MlflowException,))

    def link(self, run_id: str) -> str:
        """Return the run's address below the UI's root, wherever ``make ui`` or the server shows
        it.
        """
        base = f"{self.uri.rstrip('/')}/" if self.uri.startswith("http") else ""
        return base + run_link(self.experiment, run_id)

    def _log_timeline(self, run_id: str, step: str, folder: Path) -> None:
        """Leave ``timeline.svg`` and ``timeline.json`` where the step told the phases of its
        steps."""
        found = read_timeline(folder / "metrics.jsonl")
        if found is not None:
            from cluster.tracking.timeline_figure import timeline_figure  # imports matplotlib

            self.client.log_text(run_id, timeline_figure({step: found}), "timeline.svg")
            self.client.log_dict(run_id, found.numbers(), "timeline.json")

    def _record_result(self, run_id: str, artifact: Mapping[str, Any], path: Path) -> None:
        product = self._products.publish(run_id, artifact, path)
        run = self.client.get_run(run_id)
        statistics = numbers(artifact.get("statistics", {}))
        model = product.model_id if product.kind == CHECKPOINT else None
        stage = artifact.get("stage", "step")
        metrics = self._linked_metrics(run, path) if product.kind == EVALUATION else []
        known = {metric.key for metric in metrics}  # an evaluation's statistics repeat its results
        metrics += [
            _metric(f"{stage}/{name}", value, model=model)
            for name, value in statistics.items()
            if name not in known
        ]
        inputs = [self._products.find(ref) for ref in self._products.input_refs(artifact)]
        note = self._note(inputs, product=product)
        tags = {
            notes.TAG: note,
            "cwm.artifact": product.path,
            "cwm.digest": product.digest,
            "cwm.kind": product.kind,
        }
        self._log(run_id, metrics=metrics, tags=tags)
        self.client.log_dict(
            run_id, dict(artifact), "record.json"
        )  # artifact.json marks a store's own
        for file in small_files(path):
            self.client.log_artifact(run_id, str(file))

    def _linked_metrics(self, run: Run, path: Path) -> list[Metric]:
        """Return an evaluation's metrics, each tied to the model and the dataset that the run took
        as inputs.
        """
        models = [m.model_id for m in run.inputs.model_inputs]
        datasets = {
            tag.value: entry.dataset
            for entry in run.inputs.dataset_inputs
            for tag in entry.tags
            if tag.key == "cwm.input"
        }
        metrics = []
        for found in evaluation_metrics(path):
            if found.dataset is None:
                metrics.append(_metric(found.name, found.value))
                continue
            dataset = datasets.get(found.dataset)
            measured = (dataset.name, dataset.digest) if dataset else None
            model = models[0] if models else None
            metrics.append(_metric(found.name, found.value, model=model, dataset=measured))
        return metrics

    def _note(
        self, inputs: Sequence[Product], *, product: Product | None = None, state: str = ""
    ) -> str:
        """Return the description of a step's run: where its inputs came from, where its product
        went.
        """
        sources = [(p.step, p.run_id, p.model_id) for p in inputs]
        rows = [("state", state), ("made from", notes.made_from(self.experiment, sources))]
        if product is not None:
            used = notes.used_by(self.experiment, product.kind, product.digest, product.model_id)
            rows += [("used by", used), ("artifact", f"`{notes.short_path(product.path)}`")]
        return notes.table(rows)[:MAX_TAG]

    def _row(self, child: Run) -> dict[str, Any]:
        tags = child.data.tags
        outputs = child.outputs.model_outputs if child.outputs else []
        return {
            "step": tags.get("cwm.step", ""),
            "run": child.info.run_id,
            "status": child.info.status.lower(),
            "origin": tags.get("cwm.cached_from", ""),
            "model": outputs[0].model_id if outputs else "",
        }

    def _step_tags(self, parent: str, step: str, stage: str) -> dict[str, str]:
        tags = {"cwm.step": step, "cwm.stage": stage}
        return tags | {"mlflow.parentRunId": parent} if parent else tags

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        user = os.environ.get("USER") or getpass.getuser()
        run = self.client.create_run(
            self.experiment, run_name=name, tags={**tags, "mlflow.user": user}
        )
        return str(run.info.run_id)

    def _log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Sequence[Metric] = (),
    ) -> None:
        entries = [Param(k, v) for k, v in (params or {}).items()]
        labels = [RunTag(k, v) for k, v in (tags or {}).items()]
        for start in range(0, max(len(entries), len(metrics), len(labels), 1), MAX_BATCH):
            part = slice(start, start + MAX_BATCH)
            self.client.log_batch(
                run_id, metrics=list(metrics[part]), params=entries[part], tags=labels[part]
            )


def _metric(
    name: str,
    value: float,
    *,
    model: str | None = None,
    dataset: tuple[str, str] | None = None,
) -> Metric:
    return Metric(
        metric_name(name),
        value,
        int(time.time() * 1000),
        0,
        model_id=model or None,
        dataset_name=dataset[0] if dataset else None,
        dataset_digest=dataset[1] if dataset else None,
    )
