"""The mean of several methods."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from attribution.errors import BadOption, quote
from attribution.methods import Method, Scores, find, method
from attribution.models.objective import Objective
from attribution.registry import Between, Length
from attribution.types import Option

MEMBERS_HELP = "Names of signed methods, separated by commas; each runs with its default options."
MOST = 8
"""Maximum number of members."""


@method(
    title="Ensemble",
    summary="The mean of several methods, each with the same weight: where they agree it is large, where "
    "they contradict each other small.",
    caveat="A mean hides that its members disagree, and it is no better founded than they are. Look at "
    "them beside each other too.",
    cost="the sum of its members' costs",
    signed=True,
    unit="share of all absolute scores",
    needs="gradients",
    aliases=("mean_of_methods", "agg_mean"),
)
def ensemble(
    f: Objective,
    *,
    members: Annotated[str, Length(200), MEMBERS_HELP] = "integrated_gradients, kernel_shap",
    seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the members that draw samples."] = 0,
) -> Scores:
    """Ensemble: s_i = 1/K Σ_k s_ik / Σ_j |s_jk|, over the scores s_k of K methods.

    Rieger & Hansen 2019, "Aggregating explanation methods for stable and robust explainability", the mean of
    section 2 (AGG-Mean), of scores that are normalized for each output to absolute values that add up to 1;
    signs stay. A member whose scores are all 0 contributes nothing.
    """
    methods = _members(members, f)
    scores = [_normalize(member.run(f, **_options(member, seed)).values.double().cpu()) for member in methods]
    return Scores(
        torch.stack(scores).mean(0), notes=(f"The mean of {', '.join(member.title for member in methods)}.",)
    )


def _members(names: str, f: Objective) -> list[Method]:
    """The methods with these names.

    Raises ``UnknownMethod``, and ``BadOption`` for a method that cannot be a member.
    """
    methods = {member.name: member for member in map(find, filter(str.strip, names.split(",")))}
    if not 2 <= len(methods) <= MOST:
        raise BadOption(
            f"members is {quote(names)}.",
            f"Please name 2 to {MOST} methods, such as integrated_gradients, lime.",
        )
    for member in methods.values():
        if member.function is ensemble.function or not member.signed or member.companion:
            raise BadOption(
                f"{member.title} cannot be a member.",
                "Members are signed methods that need no second model.",
            )
        if reason := member.unsupported_reason(f.adapter.task):
            raise BadOption(f"{member.title} cannot be a member here.", reason)
    return list(methods.values())


def _options(member: Method, seed: int) -> dict[str, Option]:
    """The member's defaults, with the seed where it has one."""
    return {
        **dict(member.check_options({})),
        **({"seed": seed} if any(o.name == "seed" for o in member.options) else {}),
    }


def _normalize(scores: Tensor) -> Tensor:
    """Scale scores [outputs, inputs] so that absolute values add up to 1 for each output; zeros stay."""
    return scores / scores.abs().sum(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
