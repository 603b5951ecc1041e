"""MLflow: https://mlflow.org/docs/latest/ml/tracking/ ."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from attribution.registry import Length
from attribution.trackers import Item, Refusal, Status, TrackedRun, tracker

TAG = "attribution.run"
"""The tag that identifies a run."""
STATUS: Mapping[Status, str] = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
FIGURES, PARAMETERS = 1000, 100
"""Limits of one request; source: the REST API's page on ``runs/log-batch``."""


class Runs:
    """One run at an MLflow server."""

    lasting = True

    def __init__(self, run: TrackedRun, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri or None)
        experiment_id = self._find_or_create_experiment(experiment)
        runs = self.client.search_runs([experiment_id], f"tags.`{TAG}` = '{run.id}'", max_results=1)
        if runs:
            self.id = runs[0].info.run_id
            if runs[0].info.status != "RUNNING":
                self.client.update_run(self.id, status="RUNNING")
        else:
            created = self.client.create_run(experiment_id, int(run.started * 1000), {TAG: run.id}, run.name)
            self.id = created.info.run_id

    def _find_or_create_experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except MlflowException as error:
            # Another run has created it in the meantime.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)

    def parameters(self, item: Item) -> None:
        from mlflow.entities import Param

        parameters = [Param(name, value) for name, value in item.data["values"].items()]
        for start in range(0, len(parameters), PARAMETERS):
            with refusals():
                self.client.log_batch(self.id, params=parameters[start : start + PARAMETERS])

    def figures(self, items: Sequence[Item]) -> None:
        from mlflow.entities import Metric

        numbers = [
            Metric(name, value, int(item.time * 1000), item.data["step"] or 0)
            for item in items
            for name, value in item.data["values"].items()
        ]
        for start in range(0, len(numbers), FIGURES):
            with refusals():
                self.client.log_batch(self.id, metrics=numbers[start : start + FIGURES])

    def table(self, item: Item, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Store the table in the format of ``mlflow.load_table``.

        The client's own ``log_table`` would append the rows when an item is sent again.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / item.data["name"]
            path.write_text(json.dumps({"columns": columns, "data": rows}), encoding="utf-8")
            self._log_file(path)
        with refusals():
            logged = json.loads(self.client.get_run(self.id).data.tags.get("mlflow.loggedArtifacts", "[]"))
            entry = {"path": item.data["name"], "type": "table"}
            if entry not in logged:
                self.client.set_tag(self.id, "mlflow.loggedArtifacts", json.dumps([*logged, entry]))

    def artifact(self, item: Item, path: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / item.data["name"]
            shutil.copyfile(path, copy)
            self._log_file(copy)

    def _log_file(self, path: Path) -> None:
        with refusals():
            self.client.log_artifact(self.id, str(path))

    def finish(self, status: Status) -> None:
        self.client.set_terminated(self.id, STATUS[status])


@contextmanager
def refusals() -> Iterator[None]:
    """Context manager: raise ``Refusal`` for an item that the server rejects as invalid.

    Other errors may be temporary, and pass unchanged.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"):
            raise Refusal from error
        raise


@tracker(
    title="MLflow",
    package="mlflow",
    summary="A run in an experiment of an MLflow server.",
    sign_in="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    environment={
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    },
)
def mlflow(
    run: TrackedRun,
    *,
    uri: Annotated[str, Length(1000), "The server's address; empty: MLFLOW_TRACKING_URI."] = "",
    experiment: Annotated[
        str, Length(250), "The experiment that the run belongs to; created if needed."
    ] = "attribution",
) -> Runs:
    """The run with the tag ``attribution.run``, or a new one.

    MLflow stores one value for each figure, step and time, one value for each parameter and one file for each
    name, so sending an item again changes nothing.
    """
    return Runs(run, uri, experiment)
