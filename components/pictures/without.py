"""What the model says without the words that a person struck out."""

from typing import Any

from attribution.studies.counterfactual import Counterfactual

from .picture import Picture


class Without(Picture):
    """Draws what ``answer`` gave, or an error, or a hint for None."""

    mounts = "AttributionWithout"
    assets = ("without",)


def answer(found: Counterfactual) -> dict[str, Any]:
    """The value for a finished comparison."""
    return {
        "removed": list(found.removed),
        "text": found.text,
        "changes": [
            {"label": label, "before": before, "after": after} for label, before, after in found.changes()
        ],
        "before": _said(found.before),
        "after": _said(found.after),
    }


def _said(prediction: Any) -> str:
    """What a model without probabilities of labels said: a text, an answer or a number."""
    if prediction.text is not None:
        return prediction.text
    return ", ".join(
        f"{label} {value:.3g}" for label, value in zip(prediction.labels, prediction.logits, strict=True)
    )
