"""The method that a page starts with for a model, why, and the study behind it."""

from collections.abc import Mapping
from pathlib import Path

import attribution
from attribution import list_methods
from attribution.models.tasks import Task
from attribution.settings import DEFAULT_MODEL
from attribution.studies.recommendation import EVIDENCE, PLAUSIBLE, WRITING, Recommendation, recommend

from .choices import method_names, method_of, task_of

LIVE_SECONDS = 1.0
"""How long a sentence may take on a page that follows the typing."""
LINK = "./quality?tab=people"


def recommendation(model: str) -> Recommendation:
    """The recommended method for a model, by its task.

    For a model that shows its task only once it is loaded, the one for models that write, which fits all.
    """
    task = task_of(model)
    if task is None:
        return recommend(WRITING, seconds=LIVE_SECONDS)
    return recommend(task.writes, task.kind, LIVE_SECONDS)


def first_method(model: str) -> str:
    """The name of the recommended method."""
    return recommendation(model).method


def linked_method(model: str, query: Mapping[str, str]) -> str:
    """The method that a link names, where it fits the model; else ""."""
    method = method_of(query.get("method", ""))
    return method if method in method_names(model) else ""


def chosen_method(model: str, query: Mapping[str, str]) -> str:
    """The method that a link opens a page with: the one that it names, else the recommended one."""
    return linked_method(model, query) or first_method(model)


def why(model: str) -> str:
    """The recommendation in Markdown: the method, the reason, what was measured, and a link."""
    row, methods = recommendation(model), list_methods()
    plausible = f"{methods[PLAUSIBLE.method].title}{_figure(PLAUSIBLE)}. {PLAUSIBLE.why}"
    parts = [
        f"**Recommended for this model: {methods[row.method].title}.** {row.why}",
        _agreement(row, task_of(model)),
        f"[How this was measured]({LINK})" if evidence() else "",
        f"\n\n*Closest to human rationales: {plausible}*",
    ]
    return " ".join(filter(None, parts))


def _agreement(row: Recommendation, task: Task | None) -> str:
    if row.agreement is None:
        return ""
    transfer = "" if task == task_of(DEFAULT_MODEL) else " (measured on another task, sentiment)"
    return f"Agreement with human rationales{transfer}{_figure(row)}; measured with one English model."


def _figure(row: Recommendation) -> str:
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
