"""Weights & Biases: https://docs.wandb.ai/ ."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from attribution.registry import Length
from attribution.trackers import Item, Status, TrackedRun, tracker

STEP = "step"
"""The figure on the x axis of the others.

W&B's own steps count items, so that an item that is sent again is recognised.
"""


class Runs:
    """One run of Weights & Biases."""

    lasting = False

    def __init__(self, run: TrackedRun, project: str, entity: str, mode: str, directory: str) -> None:
        import wandb

        self.folder = Path(directory or os.environ.get("WANDB_DIR") or ".").resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        offline = (os.environ.get("WANDB_MODE", "online") if mode == "auto" else mode) in (
            "offline",
            "dryrun",
        )
        if offline:
            self._remove_earlier_attempt(run.id)
        self.run = wandb.init(
            project=project,
            entity=entity or None,
            id=run.id,
            name=run.name,
            dir=str(self.folder),
            mode="offline" if offline else "online",
            resume=None if offline else "allow",
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                disable_code=True,
                save_code=False,
                disable_job_creation=True,
                init_timeout=20.0,
                program="attribution",
                host="",
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
            ),
        )
        self.run.define_metric("*", step_metric=STEP)

    def _remove_earlier_attempt(self, run_id: str) -> None:
        """Remove what an earlier attempt left of this run, which is written from the start again."""
        for folder in (self.folder / "wandb").glob(f"offline-run-*-{run_id}"):
            if not (folder / "over").exists() and not any(folder.glob("*.synced")):
                shutil.rmtree(folder, ignore_errors=True)

    def parameters(self, item: Item) -> None:
        self.run.config.update(dict(item.data["values"]), allow_val_change=True)

    def figures(self, items: Sequence[Item]) -> None:
        for item in items:
            values, step = dict(item.data["values"]), item.data["step"]
            if step is None:
                self.run.summary.update(values)
            else:
                self.run.log({**values, STEP: step}, step=item.number)

    def table(self, item: Item, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import wandb

        table = wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)
        self.run.log({Path(item.data["name"]).stem: table}, step=item.number)

    def artifact(self, item: Item, path: str) -> None:
        import wandb

        name, kind = item.data["name"], item.data["media_type"].partition(";")[0]
        if kind == "text/html":
            self.run.log({name: wandb.Html(path, inject=False)}, step=item.number)
        elif kind in ("image/png", "image/jpeg"):
            self.run.log({name: wandb.Image(path)}, step=item.number)
        else:
            copy = Path(self.run.dir) / name
            shutil.copyfile(path, copy)
            self.run.save(str(copy), base_path=self.run.dir, policy="now")

    def finish(self, status: Status) -> None:
        folder = Path(self.run.dir).parent
        self.run.finish(exit_code=0 if status == "finished" else 1)
        (folder / "over").touch()


@tracker(
    title="Weights & Biases",
    package="wandb",
    summary="A run in a project of Weights & Biases, or a folder for wandb sync.",
    sign_in="wandb login, or WANDB_API_KEY",
    environment={"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"},
)
def wandb(
    run: TrackedRun,
    *,
    project: Annotated[str, Length(128), "The project that the run belongs to."] = "attribution",
    entity: Annotated[str, Length(128), "The user or team; empty: your own."] = "",
    mode: Annotated[
        Literal["auto", "online", "offline"], "offline writes a folder for wandb sync; auto: WANDB_MODE."
    ] = "auto",
    directory: Annotated[
        str, Length(1000), "Where the folder wandb is created; empty: WANDB_DIR, or the current folder."
    ] = "",
) -> Runs:
    """The run with this id.

    W&B sends in the background, so items count as sent only when the entire run is: until then, all of it
    is sent again. Nothing is collected about the machine, the console, the code or the command line.
    """
    return Runs(run, project, entity, mode, directory)
