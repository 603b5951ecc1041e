"""The report of an evaluation: a table of methods by metrics, and a chart for each metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribution.export.reports.report import Chart, Column, Dot, Interval, Report, Row, Table

if TYPE_CHECKING:
    from attribution.studies.evaluation import Evaluation, Figure

CONTROL = "random"
"""The method whose mean is drawn as the baseline of chance."""
COLUMNS = ("method", "metric", "better", "mean", "low", "high", "texts", "undefined", "ceiling")


def evaluation_report(evaluation: Evaluation) -> Report:
    """Report the means with their intervals; the best method of each metric is bold, the control last."""
    columns = tuple(Column(evaluation.title(c.name), c.better) for c in evaluation.columns)
    best = {metric: evaluation.best(metric).method for metric in evaluation.metrics}
    rows = tuple(
        Row(
            _name(evaluation, method),
            tuple(
                _interval(evaluation.figure(method, metric), best[metric] == method)
                for metric in evaluation.metrics
            ),
        )
        for method in evaluation.methods
    )
    return Report(
        _title(evaluation),
        (Table("", "method", columns, rows),),
        tuple(_notes(evaluation)),
        COLUMNS,
        tuple(
            (
                f.method,
                f.metric,
                evaluation.column(f.metric).better,
                f.mean,
                f.low,
                f.high,
                f.count,
                f.undefined,
                f.ceiling,
            )
            for f in evaluation.figures
        ),
        tuple(_chart(evaluation, metric) for metric in evaluation.metrics),
    )


def _interval(figure: Figure, best: bool = False) -> Interval:
    return Interval(figure.mean, figure.low, figure.high, best)


def _chart(evaluation: Evaluation, metric: str) -> Chart:
    ranking = evaluation.ranking(metric)
    control = next((figure.mean for figure in ranking if figure.method == CONTROL), None)
    dots = (Dot(_name(evaluation, f.method), _interval(f), f.method == CONTROL) for f in ranking)
    title = f"{evaluation.title(metric)} · {evaluation.column(metric).better} is better"
    return Chart(title, tuple(dots), control)


def _title(evaluation: Evaluation) -> str:
    texts = "one text" if evaluation.total == 1 else f"{evaluation.total} texts"
    if not evaluation.finished and evaluation.total != 1:
        texts = f"{evaluation.done} of {texts}"
    return f"Quality of explanations of {evaluation.model} on {texts}"


def _name(evaluation: Evaluation, method: str) -> str:
    return f"{evaluation.title(method)} (control)" if method == CONTROL else evaluation.title(method)


def _notes(evaluation: Evaluation) -> list[str]:
    """The best methods, the failures, and how the numbers were computed."""
    notes = [evaluation.best(metric).sentence for metric in evaluation.metrics]
    if len(evaluation.metrics) > 1 and evaluation.best().method is not None:
        notes.append(evaluation.best().sentence)
    if evaluation.failures:
        place, method, reason = evaluation.failures[0]
        notes.append(
            f"{len(evaluation.failures)} explanations failed, the first ({method}, text {place + 1}): "
            f"{reason}"
        )
    undefined = sum(figure.undefined for figure in evaluation.figures)
    if undefined:
        notes.append(f"{undefined} values are undefined and left out of the means.")
    notes.append(
        f"Means over texts; in brackets 95 % of {evaluation.bootstrap:,} bootstrap draws over the texts. "
        f"Seed {evaluation.seed}. The control gives each word a random score."
    )
    return notes
