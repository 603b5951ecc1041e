"""shap: ``Explanation`` of one text, in both directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribution.errors import InputError, NotInstalled
from attribution.interchange import Parts, Tool, array


def read(explanation: Any) -> Parts:
    """Read the explanation of one text; the tokens of shap's text maskers hold the spaces between them.

    Raises ``InputError`` for several texts, and for one without tokens.
    """
    values, tokens = explanation.values, explanation.data
    if tokens is None:
        tokens = explanation.feature_names
    if isinstance(tokens, tuple | list) and len(tokens) and not isinstance(tokens[0], str):
        if len(tokens) > 1:
            raise InputError(
                f"This shap.Explanation holds {len(tokens)} texts.",
                "Make an attribution of each: Attribution.of(explanation[0]).",
            )
        # A slice such as explanation[:1] keeps the axis of the texts.
        return read(explanation[0])
    if tokens is None or isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens):
        raise InputError(
            "This shap.Explanation has no tokens.", "Explain texts, so that its data are their tokens."
        )
    scores = array(values)
    names = explanation.output_names
    targets = (names,) if isinstance(names, str) else tuple(map(str, () if names is None else names))
    baselines = np.ravel(array(explanation.base_values if explanation.base_values is not None else []))
    rows = scores.T if scores.ndim == 2 else scores[None] if scores.ndim == 1 else scores
    if len(baselines) != len(rows):
        baselines = np.zeros(0)
    errors = explanation.error_std
    return Parts(
        tokens=list(tokens),
        scores=rows,
        targets=targets if len(targets) == len(rows) else (),
        values=(baselines + rows.sum(axis=1)).tolist() if len(baselines) else (),
        baselines=baselines.tolist(),
        errors=None if errors is None else array(errors).T.reshape(rows.shape),
        method="shap",
        title="SHAP",
        signed=True,
    )


def explanation_of(
    tokens: list[str], values: np.ndarray, base_values: np.ndarray | float, outputs: list[str]
) -> Any:
    """A ``shap.Explanation`` of one text, values [inputs] or [inputs, outputs]. Raises ``NotInstalled``."""
    try:
        from shap import Explanation
    except ImportError as error:
        raise NotInstalled("to_shap needs shap, which is not installed here.", "pip install shap.") from error
    columns = values[:, None] if values.ndim == 1 else values
    bases = np.atleast_1d(base_values)
    data = np.array(tokens, dtype=object)
    explanation = Explanation(np.array(columns), bases, data, feature_names=tokens, output_names=outputs)
    return explanation if values.ndim > 1 else explanation[:, 0]


TOOL = Tool("shap", "SHAP", ("Explanation",), read)
