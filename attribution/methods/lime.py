from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch

from attribution import text as texts
from attribution.errors import BadOption
from attribution.methods import Scores, method
from attribution.models.objective import Classification
from attribution.registry import Between


@method(
    title="LIME",
    summary="Hides random words many times and fits a linear model to what the prediction does.",
    caveat="It is a random sample: another seed gives other scores, the less so the more samples. R² says how well the "
    "linear model fits.",
    cost="one forward pass for each different sample",
    signed=True,
    unit="{quantity}",
    needs="texts",
    tasks=("classification",),
)
def lime(
    f: Classification,
    *,
    samples: Annotated[int, Between(10, 5000), "Perturbed texts."] = 500,
    kernel_width: Annotated[float, Between(0.1, 1000.0), "Width of the kernel over 100 × cosine distance."] = 25.0,
    hide: Annotated[
        Literal["auto", "mask", "remove"], "How a word is hidden: by the mask token, or removed. auto: mask if there is one."
    ] = "auto",
    seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the random samples."] = 0,
) -> Scores:
    """LIME: the coefficients of a locally weighted ridge regression on which words are present.

    Ribeiro, Singh & Guestrin 2016, "'Why Should I Trust You?'", equation 1 and algorithm 1, by the ``lime`` package with every
    word a feature. A word's coefficient is shared equally by its tokens, so that it is again the sum over the word.
    """
    from lime.lime_text import LimeTextExplainer

    spans = texts.words(f.text)
    mask = f.adapter.tokenizer.mask_token if hide != "remove" else None
    if hide == "mask" and mask is None:
        raise BadOption("This model has no mask token.", "Use hide='remove'.")
    sampler = LimeTextExplainer(
        kernel_width=kernel_width,
        class_names=f.prediction.labels,
        feature_selection="none",
        split_expression=lambda text: [text[a:b] for a, b in spans],
        bow=False,
        mask_string=mask or "",
        random_state=np.random.RandomState(seed),
    )
    label = f.outputs[0].id
    fitted = sampler.explain_instance(
        f.text, lambda rows: f.classify(rows).cpu().numpy(), labels=(label,), num_features=len(spans), num_samples=samples
    )
    coefficient = dict(fitted.local_exp[label])
    holders: dict[int, list[int]] = {}
    for i, token in enumerate(f.tokens):
        if token.word is not None:
            holders.setdefault(token.word, []).append(i)
    scores = torch.zeros(1, len(f.tokens), dtype=torch.float64)
    for word, places in holders.items():
        scores[0, places] = coefficient.get(word, 0.0) / len(places)
    fit = fitted.score[label] if isinstance(fitted.score, dict) else fitted.score
    return Scores(scores, notes=(f"R² of the local linear model: {fit:.2f} (1 is a perfect fit), from {samples} samples.",))
