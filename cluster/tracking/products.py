"""Artifacts as MLflow shows them: a checkpoint is a LoggedModel, anything else a dataset of the run
that made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
)
from mlflow.exceptions import MlflowException

from cluster.tracking import notes
from cluster.tracking.contract import InputRef
from cluster.tracking.names import parameters, run_link, short_digest

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

CHECKPOINT = "checkpoint"
SMALL = 2_000_000  # bytes; larger files stay in the store, their path is recorded
_SHOWN = {".json", ".jsonl", ".html", ".png", ".svg", ".md"}
_NOT_SHOWN = {"metrics.jsonl", "artifact.json", "tokenizer.json"}  # mirrored; logged apart; bulky


@dataclass(frozen=True, slots=True)
class Product:
    """An artifact as a run sees it; ``run_id`` and ``model_id`` are "" where MLflow does not know
    them.
    """

    name: str
    step: str
    kind: str
    digest: str
    path: str
    run_id: str = ""
    model_id: str = ""


def small_files(folder: Path) -> list[Path]:
    """Return the top-level files of an artifact that a person may want to look at in the UI."""
    return [
        file
        for file in sorted(folder.iterdir())
        if file.suffix in _SHOWN
        and file.name not in _NOT_SHOWN
        and file.is_file()
        and file.stat().st_size <= SMALL
    ]


class Products:
    """Finds and logs products in one experiment; ``store`` is what artifact paths are relative
    to.
    """

    def __init__(self, client: MlflowClient, experiment: str, store: Path) -> None:
        self._client = client
        self._experiment = experiment
        self._store = store

    def publish(self, run_id: str, artifact: Mapping[str, Any], path: Path) -> Product:
        """Log what a run made as its output; return the product with its run and model."""
        step, kind = artifact["step"], artifact["kind"]
        digest, place = artifact["content_digest"], self._relative(path)
        model = self._create_model(run_id, artifact, path) if kind == CHECKPOINT else ""
        product = Product(kind, step, kind, digest, place, run_id, model)
        self.log_output(run_id, product)
        return product

    def log_output(self, run_id: str, product: Product) -> None:
        """Log a product as the output of a run: of the one that made it, or of a cached step's."""
        if product.model_id:
            self._client.log_outputs(run_id, [LoggedModelOutput(product.model_id, 0)])
        elif product.kind != CHECKPOINT:
            self._client.log_inputs(run_id, datasets=[self._dataset(product, "output")])

    def log_inputs(self, run_id: str, products: Sequence[Product]) -> None:
        """Log the inputs of a run; a checkpoint that MLflow does not know is left to the
        description.
        """
        models = [LoggedModelInput(p.model_id) for p in products if p.model_id]
        datasets = [self._dataset(p, "input") for p in products if p.kind != CHECKPOINT]
        if models or datasets:
            self._client.log_inputs(run_id, datasets=datasets, models=models)

    def find(self, ref: InputRef) -> Product:
        """Return the product behind an input, with the run and model that made it as far as MLflow
        knows.
        """
        place = self._relative(Path(ref.path))
        step = place.split("/")[0]
        record = self._store / place / "artifact.json"
        if record.exists():
            step = json.loads(record.read_text()).get("step", step)
        return self._with_run(Product(ref.name, step, ref.kind, ref.digest, place), ref.run_id)

    def of_record(self, artifact: Mapping[str, Any], path: Path) -> Product:
        """Return the product that an artifact record describes."""
        kind = artifact["kind"]
        place = self._relative(path)
        product = Product(kind, artifact["step"], kind, artifact["content_digest"], place)
        return self._with_run(product, artifact.get("run_id") or "")

    def input_refs(self, artifact: Mapping[str, Any]) -> list[InputRef]:
        """Return the inputs that an artifact record names, with the runs that made them."""
        refs = []
        for name, entry in artifact.get("inputs", {}).items():
            record = self._store / entry["path"] / "artifact.json"
            run_id = json.loads(record.read_text()).get("run_id") if record.exists() else ""
            refs.append(InputRef(name, entry["kind"], entry["digest"], entry["path"], run_id or ""))
        return refs

    def _with_run(self, product: Product, run_id: str) -> Product:
        run = self._run(run_id) or self._run_by_path(product.path)
        if run is None:
            return product
        outputs = run.outputs.model_outputs if run.outputs else []
        model = outputs[0].model_id if outputs and product.kind == CHECKPOINT else ""
        return Product(
            product.name,
            product.step,
            product.kind,
            product.digest,
            product.path,
            run.info.run_id,
            model,
        )

    def _run(self, run_id: str) -> Run | None:
        if not run_id:
            return None
        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # recorded at another address
                return None
            raise

    def _run_by_path(self, place: str) -> Run | None:
        found = self._client.search_runs(
            [self._experiment], filter_string=f"tags.`cwm.artifact` = '{place}'", max_results=1
        )
        return found[0] if found else None

    def _create_model(self, run_id: str, artifact: Mapping[str, Any], path: Path) -> str:
        made_by = run_link(self._experiment, run_id)
        tags = {
            "mlflow.model.isExternal": "true",  # the weights stay in the store
            "cwm.artifact": self._relative(path),
            "cwm.digest": artifact["content_digest"],
            "cwm.fingerprint": artifact.get("fingerprint", ""),
            notes.TAG: notes.table([("made by", notes.link(artifact["step"], made_by))]),
        }
        model = self._client.create_logged_model(
            self._experiment,
            name=f"cwm-{artifact['step'].replace('.', '-')}",
            source_run_id=run_id,
            tags=tags,
            params=dict(list(parameters(artifact.get("settings", {})).items())[:100]),
            model_type="checkpoint",
        )
        self._client.finalize_logged_model(model.model_id, "READY")
        return str(model.model_id)

    def _dataset(self, product: Product, context: str) -> DatasetInput:
        source = {
            "url": run_link(self._experiment, product.run_id) if product.run_id else "",
            "uri": str(self._store / product.path),
            "producer_run_id": product.run_id,
        }
        dataset = Dataset(
            name=product.step,
            digest=short_digest(product.digest),
            source_type="http",  # one of the few kinds whose source the UI opens by a click
            source=json.dumps(source),
        )
        tags = [InputTag("mlflow.data.context", context), InputTag("cwm.input", product.name)]
        return DatasetInput(dataset, tags)

    def _relative(self, path: Path) -> str:
        absolute = path if path.is_absolute() else self._store / path
        absolute = absolute.resolve()
        if absolute.is_relative_to(self._store):
            return absolute.relative_to(self._store).as_posix()
        return absolute.as_posix()
