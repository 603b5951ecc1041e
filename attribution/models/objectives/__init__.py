"""How each task reads its numbers off a model: one file a task."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from attribution.errors import BadOption, InputError
from attribution.models.adapter import Adapter
from attribution.models.function import Function, FunctionObjective
from attribution.models.objective import Deadline, Objective, Perturbable
from attribution.models.objectives.causal import Causal
from attribution.models.objectives.classification import Classification
from attribution.models.objectives.masked import Masked
from attribution.models.objectives.question_answering import QuestionAnswering
from attribution.models.objectives.seq2seq import Seq2Seq
from attribution.models.objectives.similarity import Similarity
from attribution.models.objectives.token_classification import TokenClassification
from attribution.types import WRITERS, Target, Task

OBJECTIVES: dict[Task, type[Objective]] = {
    "classification": Classification,
    "token_classification": TokenClassification,
    "masked": Masked,
    "question_answering": QuestionAnswering,
    "similarity": Similarity,
    "causal": Causal,
    "seq2seq": Seq2Seq,
}
PAIRS: dict[Task, str] = {
    "question_answering": "A question needs the text that answers it: give it as second.",
    "similarity": "Two texts are compared: give the other one as second.",
}
"""Tasks that need two texts, with what to say where there is one."""
ALONE: tuple[Task, ...] = ("token_classification", "masked", "causal", "seq2seq")
"""Tasks that take one text only."""
PLACELESS: tuple[Task, ...] = ("classification", "question_answering", "similarity")
"""Tasks whose answer is about the whole text."""


def objective(
    adapter: Adapter | Function,
    text: str,
    target: Target,
    deadline: Deadline,
    *,
    second: str | None = None,
    gradient: bool = False,
    first: Callable[[Objective], Tensor] | None = None,
    previews: bool = False,
) -> Perturbable:
    """The explained function for a cleaned text; ``gradient`` computes that at the text itself together with the prediction,
    and that at the points which ``first`` names; ``previews`` as in ``Perturbable``.

    Raises ``InputError`` where a second text is missing or too much, ``BadOption`` for a position or continuation where there can
    be none, and what the task raises.
    """
    if isinstance(adapter, Function):
        return FunctionObjective(adapter, text, target, deadline, second=second)
    if second is None and adapter.task in PAIRS:
        raise InputError("There is no second text.", PAIRS[adapter.task])
    if second is not None and adapter.task in ALONE:
        raise InputError("This model takes one text.", "Leave second out.")
    if target.position is not None and adapter.task in PLACELESS:
        raise BadOption("This model's answer has no positions.", "Leave position out.")
    if target.continuation is not None and adapter.task not in WRITERS:
        raise BadOption("This model writes no text that could be given.", "Leave continuation out.")
    task = OBJECTIVES[adapter.task]
    return task(
        adapter, text, target, deadline, second=second, gradient=gradient, first=first, previews=previews
    )
