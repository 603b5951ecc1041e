"""Log an attribution, a run over a table or an evaluation to a tracker.

These functions neither raise nor block: pictures are drawn on the session's own thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attribution import export
from attribution.trackers.delivery.session import Session, harmless
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.batch.result import Progress, Result
    from attribution.batch.run import Run
    from attribution.studies.evaluation import Evaluation

FILES = {
    "report.html": "text/html",
    "summary.csv": "text/csv",
    "wrong.csv": "text/csv",
    "words.csv": "text/csv",
    "plan.json": "application/json",
}
"""Files of a run's folder by media type. The results themselves stay there: they may be large."""
PICTURES = ("html", "png", "json")


@harmless
def log_attribution(session: Session, attribution: Attribution, name: str = "attribution") -> None:
    """Log request, figures, words and pictures under ``name``, unique for each attribution of a run."""
    request = attribution.request
    parameters = {
        "model": request.model,
        "method": request.method,
        **_target(attribution),
        **dict(request.options),
    }
    session.parameters({f"{name}.{word}": value for word, value in parameters.items() if value is not None})
    session.figures(
        {
            f"{name}.seconds": attribution.seconds,
            f"{name}.tokens": len(attribution.tokens),
            **_outputs(attribution, name),
        }
    )
    words = attribution.words()
    columns = ["word", *(output.text for output in words.outputs)]
    session.table(
        f"{name}-words",
        columns,
        [[token.text, *words.scores[:, i].tolist()] for i, token in enumerate(words.tokens)],
    )
    for kind in PICTURES:
        session.artifact(
            f"{name}.{kind}", _draw_later(attribution, kind), export.list_formats()[kind].media_type
        )


@harmless
def log_progress(session: Session, progress: Progress) -> None:
    """Log how far a run is, over the attributions that were tried."""
    figures = {"done": progress.done, "failed": progress.failed, "rate": progress.rate}
    session.figures(figures, step=progress.done + progress.failed)


@harmless
def log_plan(session: Session, plan: Any) -> None:
    """Log what a run computes: models, methods, options, the table's name and fingerprint."""
    options = {
        f"{method}.{name}": value for method, values in plan.options.items() for name, value in values.items()
    }
    arguments = {name: value for name, value in plan.arguments.items() if value is not None}
    session.parameters(
        {
            "table": Path(plan.table).name,
            "rows": plan.count,
            "fingerprint": plan.fingerprint,
            "models": ", ".join(plan.models),
            "methods": ", ".join(plan.methods),
            **arguments,
            **options,
        }
    )


@harmless
def log_run(session: Session, run: Run) -> None:
    """Log the plan, figures for each model and method, and the report and tables of the run's folder."""
    log_plan(session, run.plan)
    tallies = tally_results(run.results())
    for (model, method), tally in tallies.items():
        session.figures({f"{model}.{method}.{name}": value for name, value in tally.figures.items()})
    if tallies:
        columns = ["model", "method", *next(iter(tallies.values())).figures]
        session.table(
            "summary", columns, [[*pair, *tally.figures.values()] for pair, tally in tallies.items()]
        )
    for name, media_type in FILES.items():
        if (path := Path(run.folder) / name).is_file():
            session.artifact(name, path.read_bytes, media_type)


@harmless
def log_evaluation(session: Session, evaluation: Evaluation) -> None:
    """Log every method by every metric, as figures, as a table and as a picture."""
    session.parameters(
        {
            "model": evaluation.model,
            "methods": ", ".join(evaluation.methods),
            "metrics": ", ".join(evaluation.metrics),
            "texts": len(evaluation.texts),
            "seed": evaluation.seed,
        }
    )
    session.figures({f"{figure.metric}.{figure.method}": figure.mean for figure in evaluation.figures})
    columns = ["metric", "method", "mean", "low", "high", "count", "undefined"]
    session.table(
        "evaluation", columns, [[getattr(figure, name) for name in columns] for figure in evaluation.figures]
    )
    session.artifact("evaluation.svg", lambda: evaluation.plot().encode(), "image/svg+xml")


@dataclass
class Tally:
    """Figures over the results of one model and method."""

    answered: int = 0
    failed: int = 0
    labelled: int = 0
    correct: int = 0
    probability: float = 0.0
    classified: int = 0
    residual: float = 0.0
    complete: int = 0

    def add(self, result: Result) -> None:
        if result.attribution is None:
            self.failed += 1
            return
        self.answered += 1
        if result.correct is not None:
            self.labelled += 1
            self.correct += result.correct
        if result.probability is not None:
            self.classified += 1
            self.probability += result.probability
        if checks := result.attribution.residual:
            self.complete += len(checks)
            self.residual += sum(map(abs, checks))

    @property
    def figures(self) -> Mapping[str, float | None]:
        """Figures by name; None where there is nothing to average."""
        return {
            "answered": self.answered,
            "failed": self.failed,
            "accuracy": self.correct / self.labelled if self.labelled else None,
            "mean_probability": self.probability / self.classified if self.classified else None,
            "mean_residual": self.residual / self.complete if self.complete else None,
        }


def tally_results(results: Iterable[Result]) -> dict[tuple[str, str], Tally]:
    """A tally for each model and method."""
    tallies: dict[tuple[str, str], Tally] = {}
    for result in results:
        tallies.setdefault((result.model, result.method), Tally()).add(result)
    return tallies


def _target(attribution: Attribution) -> dict[str, Any]:
    request = attribution.request
    return {name: getattr(request, name) for name in ("target", "contrast", "position", "quantity")}


def _outputs(attribution: Attribution, name: str) -> dict[str, float | None]:
    """Figures of the explained outputs, numbered by position."""
    figures: dict[str, float | None] = {}
    for i, output in enumerate(attribution.outputs):
        figures |= {f"{name}.{i}.value": output.value, f"{name}.{i}.probability": output.probability}
        if attribution.residual is not None:
            figures[f"{name}.{i}.residual"] = attribution.residual[i]
    return figures


def _draw_later(attribution: Attribution, kind: str) -> Any:
    return lambda: export.render(attribution, kind)
