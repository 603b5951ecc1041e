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
from attribution.trackers import Item, Refused, Status, Tracked, tracker

TAG = "attribution.run"
"""The tag by which a run is found again."""
STATUS: Mapping[Status, str] = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
FIGURES, PARAMETERS = 1000, 100
"""What one request may hold: the REST API's page on ``runs/log-batch``."""


class Runs:
    """One run at an MLflow server."""

    lasting = True

    def __init__(self, run: Tracked, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri or None)
        place = self._experiment(experiment)
        runs = self.client.search_runs([place], f"tags.`{TAG}` = '{run.id}'", max_results=1)
        if runs:
            self.id = runs[0].info.run_id
            if runs[0].info.status != "RUNNING":
                self.client.update_run(self.id, status="RUNNING")
        else:
            created = self.client.create_run(place, int(run.started * 1000), {TAG: run.id}, run.name)
            self.id = created.info.run_id

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except MlflowException as error:
            # Another run created it in between.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)

    def parameters(self, item: Item) -> None:
        from mlflow.entities import Param

        given = [Param(name, value) for name, value in item.data["values"].items()]
        for start in range(0, len(given), PARAMETERS):
            with refusals():
                self.client.log_batch(self.id, params=given[start : start + PARAMETERS])

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
        """As ``mlflow.load_table`` reads it.

        The client's own ``log_table`` would add the rows a second time.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / item.data["name"]
            path.write_text(json.dumps({"columns": columns, "data": rows}), encoding="utf-8")
            self._file(path)
        with refusals():
            known = json.loads(self.client.get_run(self.id).data.tags.get("mlflow.loggedArtifacts", "[]"))
            tables = {"path": item.data["name"], "type": "table"}
            if tables not in known:
                self.client.set_tag(self.id, "mlflow.loggedArtifacts", json.dumps([*known, tables]))

    def artifact(self, item: Item, path: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / item.data["name"]
            shutil.copyfile(path, named)
            self._file(named)

    def _file(self, path: Path) -> None:
        with refusals():
            self.client.log_artifact(self.id, str(path))

    def finish(self, status: Status) -> None:
        self.client.set_terminated(self.id, STATUS[status])


@contextmanager
def refusals() -> Iterator[None]:
    """What the server finds wrong with an item is ``Refused``: it would find so again.

    Everything else may pass.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"):
            raise Refused from error
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
    run: Tracked,
    *,
    uri: Annotated[str, Length(1000), "The server's address; empty: MLFLOW_TRACKING_URI."] = "",
    experiment: Annotated[
        str, Length(250), "The experiment that the run belongs to; made if there is none."
    ] = "attribution",
) -> Runs:
    """The run whose tag ``attribution.run`` is the run's id, or a new one.

    MLflow keeps one value a figure, step and time, one value a parameter and one file a name: to send an item
    again changes nothing.
    """
    return Runs(run, uri, experiment)
