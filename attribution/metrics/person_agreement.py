from __future__ import annotations

import numpy as np

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case


@metric(
    title="One person with the others",
    summary="How well each person agrees with the mean of the others, by Somers' D: what to hold a method "
    "against.",
    caveat="It is the same for every method. A person's marks are 0 or 1 and so have ties, each of which "
    "counts as half right: scores can be "
    "higher.",
    kind="plausibility",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def person_agreement(case: Case) -> Measured:
    """The mean over people of Somers' D of one person's marks given the mean of the others': the human ceiling, leaving one out.

    Somers 1962, "A New Asymmetric Measure of Association for Ordinal Variables", equation 1, as in
    ``somers_d``. That annotators are compared with each other before a model is compared with them follows
    Sen et al. 2020, "Human Attention Maps for Text Classification: Do Humans and Neural Networks Focus on the
    Same Words?".
    """
    people = case.annotators
    if people is None or len(people) < 2:
        return undefined("Fewer than two people's marks are known.")
    found = []
    for k, one in enumerate(people):
        rest = np.delete(people, k, axis=0)
        known = ~np.isnan(one) & ~np.isnan(rest).any(axis=0)
        over = np.subtract.outer(*[rest.mean(axis=0)[known]] * 2) > 0
        if over.any():
            found.append(float(np.sign(np.subtract.outer(one[known], one[known]))[over].mean()))
    if not found:
        return undefined("Each time the others marked all words alike.")
    return Measured(float(np.mean(found)))
