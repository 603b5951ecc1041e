from __future__ import annotations

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case


@metric(
    title="One person with the others",
    summary="How well each person agrees with the mean of the others, by Somers' D: the yardstick for a "
    "method.",
    caveat="It is the same for every method. A person's marks are 0 or 1, so many are tied, and a tie "
    "counts as half right: scores can be higher.",
    kind="plausibility",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def person_agreement(case: Case) -> Measurement:
    """Agreement of one person with the others: the mean Somers' D given the mean of the others' marks.

    This leave-one-out mean is the human ceiling.

    Somers 1962, "A New Asymmetric Measure of Association for Ordinal Variables", equation 1, as in
    ``somers_d``. That annotators are compared with each other before a model is compared with them follows
    Sen et al. 2020, "Human Attention Maps for Text Classification: Do Humans and Neural Networks Focus on the
    Same Words?".
    """
    people = case.annotators
    if people is None or len(people) < 2:
        return no_value("Fewer than two people have marked this text.")
    agreements = []
    for k, person in enumerate(people):
        others = np.delete(people, k, axis=0)
        judged_words = ~np.isnan(person) & ~np.isnan(others).any(axis=0)
        higher = np.subtract.outer(*[others.mean(axis=0)[judged_words]] * 2) > 0
        if higher.any():
            agreements.append(
                float(np.sign(np.subtract.outer(person[judged_words], person[judged_words]))[higher].mean())
            )
    if not agreements:
        return no_value("The other people always marked all words alike.")
    return Measurement(float(np.mean(agreements)))
