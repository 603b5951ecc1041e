"""The readers of the tasks, which the records in ``models/tasks`` name."""

from __future__ import annotations

from attribution.errors import BadOption, InputError
from attribution.models.adapter import Adapter
from attribution.models.baselines import FirstPoints
from attribution.models.deadline import Deadline
from attribution.models.function import Function, FunctionObjective
from attribution.models.objective import Objective
from attribution.models.perturbable import Perturbable
from attribution.request import Target


def make_objective(
    adapter: Adapter | Function,
    text: str,
    target: Target,
    deadline: Deadline,
    *,
    second: str | None = None,
    gradient: bool = False,
    first: FirstPoints | None = None,
    previews: bool = False,
) -> Perturbable:
    """Make the explained function of a cleaned text.

    ``gradient`` computes the gradients at the text itself and at the ``first`` points in the same pass as the
    prediction; ``previews`` as in ``Perturbable``.

    Raises ``InputError`` where a second text is missing or superfluous, ``BadOption`` for a position or
    continuation that the task does not have, and what the reader raises.
    """
    if isinstance(adapter, Function):
        return FunctionObjective.explain(adapter, text, target, deadline, second=second)
    task = adapter.task
    if second is None and task.second == "required":
        raise InputError("There is no second text.", task.second_hint)
    if second is not None and task.second == "none":
        raise InputError("This model takes one text.", "Leave second out.")
    if target.position is not None and not task.has_positions:
        raise BadOption("This model's answer has no positions.", "Leave position out.")
    if target.continuation is not None and not task.writes:
        raise BadOption(
            "This model generates no text, so there is no continuation.", "Leave continuation out."
        )
    reader = task.load_reader().prepare(adapter, text, target, deadline, second=second)
    return Objective.explain(reader, deadline, gradient=gradient, first=first, previews=previews)
