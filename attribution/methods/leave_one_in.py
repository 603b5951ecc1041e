"""Leave one in: each feature alone."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.methods import Scores, method
from attribution.models.features import HIDE_HELP, SPANS, SPANS_HELP, UNIT_HELP, Hide, Unit, features_of
from attribution.models.perturbable import Perturbable


@method(
    title="Leave one in",
    summary="The prediction for each word alone, less the prediction for an empty text.",
    caveat="It asks about a word without its sentence: 'not' has the score of a lone 'not', whatever it "
    "turns round here, and the scores do not add up. It says what a word means to the model, not what it "
    "does in this text.",
    cost="one forward pass for each feature, and one more, in batches",
    signed=True,
    unit="{quantity}",
    needs="texts",
    aliases=("include_individual", "one_feature_in"),
)
def leave_one_in(
    f: Perturbable,
    *,
    features: Annotated[Unit, UNIT_HELP] = "words",
    spans: Annotated[str, SPANS, SPANS_HELP] = "",
    hide: Annotated[Hide, HIDE_HELP] = "delete",
) -> Scores:
    """Leave one in: s_i = f(only i) − f(nothing), for each feature i.

    Covert, Lundberg & Lee 2021, "Explaining by Removing: A Unified Framework for Model Explanation",
    section 6 (summaries by feature attribution, "include individual"). Occlusion removes a feature from the
    full text, this method adds it to nothing: the two extremes of the contexts that its Shapley value
    averages over. By default all others are deleted, so that the model sees a short text rather than one
    with holes. A feature's score is shared equally by its tokens.
    """
    groups = features_of(f, features, spans)
    count = len(groups)
    present = np.vstack([np.eye(count, dtype=bool), np.zeros((1, count), dtype=bool)])
    values = f.evaluate_features(groups, present, hide).double().cpu()  # [outputs, features + 1]
    return Scores(groups.spread(values[:, :-1] - values[:, -1:], len(f.tokens), f.visible.cpu()))
