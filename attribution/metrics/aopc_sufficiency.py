from __future__ import annotations

from typing import Annotated

from attribution.metrics import Curve, Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.shares import BINS, NO_ORDER, counts
from attribution.models.features import HIDE_HELP, Hide


@metric(
    title="Sufficiency (AOPC)",
    summary="How far the probability falls when only the words with the highest scores stay: the mean "
    "over five shares of the words.",
    caveat="A text of a few words is not like those that the model was trained on. In a short text "
    "several of the shares are the same single word.",
    kind="faithfulness",
    better="lower",
    low=-1.0,
    high=1.0,
    cost="up to 6 forward passes, in one batch",
    needs=("model",),
)
def aopc_sufficiency(case: Case, *, hide: Annotated[Hide, HIDE_HELP] = "auto") -> Measurement:
    """Sufficiency, area over the perturbation curve: the mean over the shares b of p(x) − p(r_b).

    r_b are the words with the highest scores, b of their number: 1, 5, 10, 20 and 50 per cent. DeYoung et al.
    2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4, whose published code takes
    this mean too; the area is that of Samek et al. 2017, "Evaluating the Visualization of What a Deep Neural
    Network Has Learned".
    """
    if case.constant:
        return no_value(NO_ORDER)
    falls = case.full - case.values(~case.without(counts(len(case.words), BINS)), hide)
    curve = Curve(BINS, tuple(falls.tolist()), "share of words kept", "fall of the probability")
    return Measurement(float(falls.mean()), curve=curve)
