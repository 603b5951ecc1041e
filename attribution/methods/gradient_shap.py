"""Gradient SHAP: integrated gradients from random baselines."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.objective import Objective
from attribution.registry import Between

BLOCK = 32
"""Samples in memory at once."""


@method(
    title="Gradient SHAP",
    summary="What each token adds to the prediction on the path to this text from many random ones.",
    caveat="It is a random sample: another seed gives other scores, the less so the more samples; "
    "standard errors are given. Random tokens are no sentence, so the model is asked about texts that "
    "nobody would write.",
    cost="one backward and two forward passes for each sample, in batches",
    signed=True,
    unit="{quantity}",
    needs="gradients",
    aliases=("expected_gradients", "gradientshap"),
)
def gradient_shap(
    f: Objective,
    *,
    samples: Annotated[int, Between(4, 2000), "Points, each on the path from its own baseline."] = 100,
    baseline: Annotated[
        Literal["vocabulary", "auto", "pad", "mask", "unk", "eos", "mean", "zero"],
        "Where the ways begin; special tokens stay. vocabulary: a random token of the vocabulary at each "
        "place, drawn anew for each point.",
    ] = "vocabulary",
    seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the baselines and points."] = 0,
) -> Scores:
    """Gradient SHAP, or expected gradients: s_i = E_{b, α~U(0,1)} [(e_i − b_i) · ∂f/∂e_i(b + α(e − b))].

    e are the embeddings, b the random baselines.

    Lundberg & Lee 2017, "A Unified Approach to Interpreting Model Predictions", whose authors' software named
    it; the equation is the definition of expected gradients by Erion, Janizek, Sturmfels, Lundberg & Lee
    2021, "Improving performance of deep learning models with axiomatic attribution priors and expected
    gradients". With one baseline the expectation is integrated gradients. Nothing is added to the text's own
    embeddings.

    α is stratified: point k of n is uniform in [k/n, (k + 1)/n], which keeps the expectation and lowers the
    variance. Standard errors come from the second differences of neighbouring points, in which a steady
    change along the path cancels; its curvature makes them a little too large. In expectation the scores add
    up to f(x) − E f(b); a note gives the residual.
    """
    generator = torch.Generator().manual_seed(seed)
    products: list[Tensor] = []
    empty: list[Tensor] = []
    for first in range(0, samples, BLOCK):
        count = min(BLOCK, samples - first)
        start = _draw_baselines(f, baseline, count, generator)
        places = (first + torch.arange(count) + torch.rand(count, generator=generator)) / samples
        step = f.embeddings - start
        points = start + places.to(start)[:, None, None] * step
        products += [
            torch.einsum("opih,pih->opi", gradients.float(), step[rows].float())
            for rows, _, gradients in f.gradients(points)
        ]
        if baseline == "vocabulary" or not empty:
            empty.append(f.evaluate(start if baseline == "vocabulary" else start[:1]))
    sample_scores = torch.cat(products, dim=1).double()  # [outputs, samples, inputs]
    scores = sample_scores.mean(1)
    errors = (sample_scores.diff(n=2, dim=1).square().sum(1) / (6 * samples * (samples - 2))).sqrt()
    difference = f.values.double() - torch.cat(empty, dim=1).double().mean(1)
    residual = (difference - scores.sum(-1)).abs() / scores.abs().sum(-1).clamp_min(1e-12)
    k = int(residual.argmax())
    which = "" if len(scores) == 1 else f" for output {k}, the worst"
    return Scores(
        scores,
        errors=errors,
        notes=(
            f"f(x) minus the mean of f over the baselines is {difference[k]:.3g}, the scores of these "
            f"{samples} samples add up to {scores[k].sum():.3g}{which}: a residual of {residual[k]:.1%} "
            "of all absolute scores.",
        ),
    )


def _draw_baselines(f: Objective, baseline: str, count: int, generator: torch.Generator) -> Tensor:
    """Baselines [count, inputs, hidden]."""
    if baseline != "vocabulary":
        return f.baseline(baseline).expand(count, -1, -1)
    return embed_random_tokens(f, count, generator)


@torch.no_grad()  # type: ignore[untyped-decorator]
def embed_random_tokens(f: Objective, count: int, generator: torch.Generator) -> Tensor:
    """Embeddings [count, inputs, hidden] of random tokens of the vocabulary; special tokens stay."""
    tokenizer = f.adapter.tokenizer
    special, size = set(tokenizer.all_special_ids), min(len(tokenizer), f.adapter.embedding.num_embeddings)
    vocabulary = torch.tensor([i for i in range(size) if i not in special])
    ids = vocabulary[torch.randint(len(vocabulary), (count, len(f.tokens)), generator=generator)].to(
        f.embeddings.device
    )
    rows = f.embed(ids)
    stays = torch.tensor([token.special for token in f.tokens], device=rows.device)
    return torch.where(stays[:, None], f.embeddings, rows)
