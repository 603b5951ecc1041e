"""The report of an assessment: explanations of one text, ranked against random orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribution.export.reports.report import Chart, Column, Dot, Interval, Report, Row, Table
from attribution.metrics import list_metrics

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.evaluation import Figure

CHANCE = 0.5
"""The share of random orders that another random order beats on average."""
COLUMNS = ("rank", "place", "method", "title", "score", "low", "high", "chance_best", "convincing")


def assessment_report(assessment: Assessment) -> Report:
    """Report the ranking with its intervals, and the faithfulness metrics behind it."""
    ranking = [
        (entry, Interval(entry.score, entry.low, entry.high, k == 0))
        for k, entry in enumerate(assessment.ranking)
    ]
    columns = (
        Column("Random orders beaten", "higher"),
        Column("Best of the draws", "higher"),
        Column("Above every random order"),
    )
    rows = tuple(
        Row(entry.title, (interval, f"{entry.chance_best * 100:.0f} %", "yes" if entry.convincing else "no"))
        for entry, interval in ranking
    )
    return Report(
        f"Faithfulness of explanations of {assessment.model} on one text",
        (Table("", "method", columns, rows), *_figures(assessment)),
        tuple(_notes(assessment)),
        COLUMNS,
        tuple(
            (
                *(k, entry.place, entry.method, entry.title, entry.score, entry.low, entry.high),
                *(entry.chance_best, entry.convincing),
            )
            for k, entry in enumerate(assessment.ranking, 1)
        ),
        (
            Chart(
                "Share of random orders beaten · higher is better",
                tuple(Dot(entry.title, interval) for entry, interval in ranking),
                CHANCE,
            ),
        ),
    )


def _figures(assessment: Assessment) -> list[Table]:
    """The metrics of each explanation in ranking order; empty if the file does not hold all of them."""
    metrics = list(dict.fromkeys(figure.metric for figure in assessment.figures))
    places = sorted(entry.place for entry in assessment.ranking)
    if not metrics or len(assessment.figures) != len(places) * len(metrics):
        return []
    by_place = {
        place: assessment.figures[k * len(metrics) : (k + 1) * len(metrics)] for k, place in enumerate(places)
    }
    rows = tuple(
        Row(entry.title, tuple(map(_interval, by_place[entry.place]))) for entry in assessment.ranking
    )
    return [
        Table(
            "Mean, smallest and largest value over the ways of hiding",
            "method",
            tuple(map(_column, metrics)),
            rows,
        )
    ]


def _interval(figure: Figure) -> Interval:
    return Interval(figure.mean, figure.low, figure.high)


def _column(metric: str) -> Column:
    entry = list_metrics().get(metric)
    return Column(metric) if entry is None else Column(entry.title, entry.better)


def _notes(assessment: Assessment) -> list[str]:
    notes = list(assessment.sentences)
    notes += [f"Explanation {place + 1} is left out: {reason}" for place, reason in assessment.left_out]
    notes.append("In brackets 95 % of the bootstrap draws over ways of hiding and shares of words.")
    return notes
