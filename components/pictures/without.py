"""What the model predicts without the words that a visitor struck out."""

from typing import Any

from attribution.studies.counterfactual import Counterfactual

from .picture import Picture


class Without(Picture):
    """Draws the value of ``answer``, or an error, or a hint for None."""

    mounts = "AttributionWithout"
    assets = ("without",)


def answer(result: Counterfactual) -> dict[str, Any]:
    """The value for a finished counterfactual."""
    return {
        "removed": list(result.removed),
        "text": result.text,
        "changes": [
            {"label": label, "before": before, "after": after} for label, before, after in result.changes()
        ],
        "before": _prediction(result.before),
        "after": _prediction(result.after),
    }


def _prediction(prediction: Any) -> str:
    """The prediction of a model without probabilities of labels: a text, an answer or a number."""
    if prediction.text is not None:
        return prediction.text
    return ", ".join(
        f"{label} {value:.3g}" for label, value in zip(prediction.labels, prediction.logits, strict=True)
    )
