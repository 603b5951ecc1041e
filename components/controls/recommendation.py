"""The method that a page takes first for a model, why, and the study behind it."""

from pathlib import Path

import attribution
from attribution import list_methods
from attribution.studies.recommendation import EVIDENCE, PLAUSIBLE, Kind, Recommended, recommended
from attribution.types import Task

from .choices import task_of

LIVE_SECONDS = 1.0
"""What a sentence may take on a page that follows the typing."""
WRITERS: dict[Task, Kind] = {"causal": "decoder", "seq2seq": "encoder-decoder"}
MEASURED: Task = "classification"
"""The only task of the study."""
LINK = "./quality?tab=people"


def first(model: str) -> Recommended:
    """The row for a model, by its task; for a model that shows its task only once it is loaded, that of a writer, which fits all."""
    task = task_of(model) or "causal"
    return recommended(task, WRITERS.get(task, "encoder"), LIVE_SECONDS)


def first_method(model: str) -> str:
    """Its method's name."""
    return first(model).method


def why(model: str) -> str:
    """The row for a person, in Markdown: the method, the reason, what was measured, and where that stands."""
    row, known = first(model), list_methods()
    said = [
        f"**Recommended for this model: {known[row.method].title}.** {row.why}",
        _agreement(row, task_of(model)),
    ]
    if evidence():
        said.append(f"[How this was measured]({LINK})")
    said.append(
        f"\n\n*Closest to human rationales: {known[PLAUSIBLE.method].title}{_figure(PLAUSIBLE)}. {PLAUSIBLE.why}*"
    )
    return " ".join(filter(None, said))


def _agreement(row: Recommended, task: Task | None) -> str:
    if row.agreement is None:
        return ""
    transfer = "" if task == MEASURED else " (measured on another task, sentiment)"
    return f"Agreement with human rationales{transfer}{_figure(row)}; measured with one English model."


def _figure(row: Recommended) -> str:
    """Somers' D and its interval, where it is measured."""
    if row.agreement is None:
        return ""
    mean, low, high = row.agreement
    return f": Somers' D {mean:.2f} ({low:.2f} to {high:.2f})"


def evidence() -> str:
    """The study in Markdown, without its title; "" where the documentation was not installed."""
    path = Path(attribution.__file__).parent.parent / EVIDENCE
    if not path.is_file():
        return ""
    return path.read_text(encoding="utf-8").partition("\n# ")[2].partition("\n")[2].strip()
