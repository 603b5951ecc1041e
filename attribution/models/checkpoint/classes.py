"""The classes of a head: how many there are, what they are called, and which function makes probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from attribution.errors import BadOption

Link = Literal["softmax", "sigmoid", "none"]
"""The function from logits to probabilities; "none" for numbers that have none."""
ACTIVATIONS: dict[str, Link] = {"Sigmoid": "sigmoid", "Softmax": "softmax", "Identity": "none"}
"""What cross-encoders of sentence-transformers name, by the class of torch."""


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a head.

    Attributes
    ----------
    names : one for each row of the head.
    link : how their probabilities are computed.
    notes : what the reader of a result should know about the names.
    """

    names: tuple[str, ...]
    link: Link
    notes: tuple[str, ...] = ()


def read_classes(config: Any, rows: int | None, labels: Sequence[str] = (), *, whole_text: bool) -> Classes:
    """The classes of a head with ``rows`` outputs, None where that is not known.

    ``labels`` are the caller's names; ``whole_text`` is false for heads that label each token, whose
    probabilities are always a softmax. Raises ``BadOption`` for another number of labels than outputs.
    """
    stated = getattr(config, "id2label", None) or {}
    rows = rows or len(stated) or 1
    link = read_link(config, rows) if whole_text else "softmax"
    if labels:
        if len(labels) != rows:
            raise BadOption(
                f"labels has {len(labels)} names; the model has {_count(rows)}.",
                "Give one name for each output, in order.",
            )
        return Classes(tuple(labels), link)
    by_number = {int(number): str(name) for number, name in stated.items() if str(number).isdecimal()}
    if sorted(by_number) == list(range(rows)):
        return Classes(tuple(by_number[number] for number in range(rows)), link)
    names = tuple(f"LABEL_{number}" for number in range(rows))
    listed = ", ".join(f"{number}: {name}" for number, name in list(stated.items())[:5])
    note = (
        f"The model's configuration names other classes ({listed or 'none'}) than the {_count(rows)} that it "
        f"has, which {'are' if rows > 1 else 'is'} called {', '.join(names[:3])}{' …' if rows > 3 else ''} "
        "here: load(..., labels=[...]) names them."
    )
    return Classes(names, link, (note,))


def read_link(config: Any, rows: int) -> Link:
    """How a classifier's logits become probabilities: what the checkpoint states, else what pipelines do.

    The rules are those of ``transformers.TextClassificationPipeline``: nothing for a regression, a sigmoid
    for several labels that may hold together and for a single output, else a softmax.
    """
    problem = getattr(config, "problem_type", None)
    if problem == "regression":
        return "none"
    if problem == "multi_label_classification":
        return "sigmoid"
    stated = str(getattr(config, "function_to_apply", None) or "").lower().rpartition(".")[2]
    for link in ACTIVATIONS.values():
        if stated == link:
            return link
    activation = ACTIVATIONS.get(_activation(config).rpartition(".")[2])
    # Cross-encoders of several classes give their logits unless they are asked for probabilities.
    if activation is not None and (rows == 1 or activation != "none"):
        return activation
    return "sigmoid" if rows == 1 else "softmax"


def _activation(config: Any) -> str:
    """The full name of the activation that sentence-transformers stored for a cross-encoder."""
    settings = getattr(config, "sentence_transformers", None)
    name = settings.get("activation_fn") if isinstance(settings, dict) else None
    return str(name or getattr(config, "sbert_ce_default_activation_function", None) or "")


def _count(rows: int) -> str:
    return f"{rows} outputs" if rows != 1 else "1 output"
