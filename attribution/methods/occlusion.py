"""Occlusion: f without each feature in turn."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from attribution.methods import Scores, method
from attribution.models.features import HIDE_HELP, SPANS, SPANS_HELP, UNIT_HELP, Hide, Unit, features_of
from attribution.models.perturbable import Perturbable
from attribution.registry import Between


@method(
    title="Occlusion",
    summary="How much the prediction drops when a word is hidden and everything else stays.",
    caveat="It hides one word (or window) at a time: of two words that say the same thing, neither seems "
    "to matter, and the scores do not add up. What stands for a hidden word matters too.",
    cost="one forward pass for each feature, in batches",
    signed=True,
    unit="{quantity}",
    needs="texts",
    aliases=("erasure", "leave_one_out", "feature_ablation"),
)
def occlusion(
    f: Perturbable,
    *,
    window: Annotated[int, Between(1, 50), "Neighbouring features that are hidden together."] = 1,
    features: Annotated[Unit, UNIT_HELP] = "words",
    spans: Annotated[str, SPANS, SPANS_HELP] = "",
    hide: Annotated[Hide, HIDE_HELP] = "auto",
) -> Scores:
    """Occlusion: s_i = mean over the windows W that hold i of f(x) − f(x without W).

    For a window of one that is f(x) − f(x without i).

    Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2 (the window that
    slides over the input); Li, Monroe & Jurafsky 2016, "Understanding Neural Networks through Representation
    Erasure", section 3, whose equation is the same difference of log-probabilities, relative to f(x),
    averaged over a data set. The window moves by one feature and never leaves the text, so a feature at the
    edge is in fewer windows. A feature's score is shared equally by its tokens.
    """
    groups = features_of(f, features, spans)
    size = min(window, len(groups))
    count = len(groups) - size + 1
    offsets = np.arange(len(groups))[None, :] - np.arange(count)[:, None]
    hidden = (offsets >= 0) & (offsets < size)  # [windows, features]
    drops = f.values.double().cpu()[:, None] - f.evaluate_features(groups, ~hidden, hide).double().cpu()
    inside = torch.from_numpy(hidden).double()
    return Scores(groups.spread(drops @ inside / inside.sum(0), len(f.tokens), f.visible.cpu()))
