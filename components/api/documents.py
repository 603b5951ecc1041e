"""The responses of REST: flat lists that are easy to read in any language."""

from dataclasses import asdict
from typing import Any

from attribution.errors import AttributionError
from attribution.settings import VERSION
from attribution.studies.agreement import MEASURES
from attribution.studies.comparison import Comparison
from attribution.studies.evaluation import Evaluation
from attribution.types import Attribution, Prediction, Token


def describe_attribution(result: Attribution, requested: object = None) -> dict[str, Any]:
    """One attribution; ``attributions`` and ``residual`` are those of the first output.

    ``requested`` is the model's name in the request.
    """
    outputs = _describe_outputs(result)
    first = result.outputs[0]
    return {
        "attributions": outputs[0]["attributions"],
        "outputs": outputs,
        "prediction": _describe_prediction(result.prediction),
        "target": {
            "label": first.text,
            "index": first.id,
            "quantity": result.request.quantity,
            "value": first.value,
        },
        "residual": outputs[0]["residual"],
        "method": result.method,
        "signed": result.signed,
        "unit": result.unit,
        "model": {
            "requested": requested if isinstance(requested, str) else result.model.name,
            "resolved": result.model.name,
            "revision": result.model.revision,
            "note": result.model.note,
        },
        "notes": list(result.notes),
        "version": VERSION,
    }


def _describe_outputs(result: Attribution) -> list[dict[str, Any]]:
    """Each explained number with a score for each token."""
    count = len(result.outputs)
    no_errors = [[None] * len(result.tokens)] * count
    errors = no_errors if result.errors is None else result.errors.tolist()
    columns = (
        result.outputs,
        result.scores.tolist(),
        errors,
        result.residual or (None,) * count,
        result.fit or (None,) * count,
    )
    return [
        {
            "text": output.text,
            "contrast": output.contrast or None,
            "position": output.position,
            "value": output.value,
            "probability": output.probability,
            "residual": residual,
            "fit": fit,
            "attributions": [
                _describe_token(token, score, error)
                for token, score, error in zip(result.tokens, scores, row_errors, strict=True)
            ],
        }
        for output, scores, row_errors, residual, fit in zip(*columns, strict=True)
    ]


def _describe_token(token: Token, score: float, error: float | None) -> dict[str, Any]:
    return {
        "token": token.text,
        "score": score,
        "error": error,
        "start": token.start,
        "end": token.end,
        "special": token.special,
        "word": token.word,
        "segment": token.segment,
    }


def _describe_prediction(prediction: Prediction) -> dict[str, Any]:
    """The prediction: the most probable label, or the generated text."""
    numbers = prediction.probabilities or prediction.logits
    best = max(range(len(prediction.labels)), key=numbers.__getitem__)
    is_label = prediction.text is None
    return {
        "label": prediction.labels[best] if is_label else prediction.text,
        "probability": prediction.probabilities[best] if is_label and prediction.probabilities else None,
        "values": list(prediction.logits),
        "labels": list(prediction.labels),
        "probabilities": list(prediction.probabilities),
        "text": prediction.text,
    }


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """A comparison: each attribution or its error, and their agreement."""
    pairs = [(model, method) for model in comparison.models for method in comparison.methods]
    attributions = [
        describe_attribution(result, model)
        if isinstance(result, Attribution)
        else {"model": {"requested": model}, "method": method, **_describe_error(result)}
        for (model, method), result in zip(pairs, comparison.attributions, strict=True)
    ]
    return {
        "text": comparison.text,
        "attributions": attributions,
        **describe_agreement(comparison),
        "version": VERSION,
    }


def _describe_error(error: AttributionError | None) -> dict[str, Any]:
    return {} if error is None else error.to_dict()


def describe_agreement(comparison: Comparison) -> dict[str, Any]:
    """The parts of a comparison beside its attributions: names, agreement by every measure, notes."""
    return {
        "names": list(comparison.names),
        "agreement": {measure: _plain(asdict(comparison.agreement(measure))) for measure in MEASURES},
        "disagreements": [
            {**_plain(asdict(entry)), "spread": entry.spread, "sentence": entry.sentence}
            for entry in comparison.disagreements()
        ],
        "notes": list(comparison.notes),
    }


def describe_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """The document of ``Evaluation.from_dict``, and the best method over all metrics of faithfulness."""
    best = evaluation.best()
    overall = {
        "method": best.method,
        "chance": best.chance,
        "rivals": list(best.rivals),
        "sentence": best.sentence,
    }
    return {**evaluation.to_dict(), "overall": overall, "version": VERSION}


def _plain(value: Any) -> Any:
    """Convert tuples to lists."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
