"""Asking MLflow about runs that made no artifact themselves: cached steps and whole pipelines."""

from __future__ import annotations

import os


def artifact_of_run(uri: str, experiment: str, run_id: str) -> str | None:
    """Return the store-relative path of the artifact that a run stands for.

    A cached step's run stands for the attempt that made it, a pipeline's for its last evaluation,
    or else its last step. None when MLflow has no such run or the run made nothing.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.exceptions import MlflowException  # two seconds of import
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    children = client.search_runs(
        [experiment],
        filter_string=f"tags.`mlflow.parentRunId` = '{run_id}'",
        order_by=["attributes.start_time DESC"],
    )
    evaluations = [c for c in children if c.data.tags.get("cwm.stage") == "evaluate"]
    for candidate in (run, *evaluations, *children):
        if place := candidate.data.tags.get("cwm.artifact"):
            return str(place)
    return None


def newest_pipeline(uri: str, experiment: str) -> str | None:
    """Return the id of the pipeline run that started last."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.tracking import MlflowClient

    found = MlflowClient(tracking_uri=uri).search_runs(
        [experiment],
        filter_string="tags.`cwm.pipeline` LIKE '%'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return str(found[0].info.run_id) if found else None
