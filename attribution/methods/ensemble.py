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

MEMBERS_HELP = "Names of methods with signs, with commas between them; each has its own defaults."
MOST = 8
"""Members at most."""


@method(
    title="Ensemble",
    summary="The mean of several methods, each with the same weight: where they agree it is large, where "
    "they contradict each other small.",
    caveat="A mean hides that its members disagree, and it is no better founded than they are. Look at them "
    "beside each other too.",
    cost="that of all members together",
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
    signs stay. A member whose scores are all 0 adds nothing.
    """
    chosen = _members(members, f)
    scores = [_normalized(each.run(f, **_options(each, seed)).values.double().cpu()) for each in chosen]
    return Scores(
        torch.stack(scores).mean(0), notes=(f"The mean of {', '.join(each.title for each in chosen)}.",)
    )


def _members(names: str, f: Objective) -> list[Method]:
    """The methods of these names.

    Raises ``UnknownMethod``, and ``BadOption`` for one that cannot be a member.
    """
    found = {each.name: each for each in map(find, filter(str.strip, names.split(",")))}
    if not 2 <= len(found) <= MOST:
        raise BadOption(
            f"members is {quote(names)}.",
            f"Please name 2 to {MOST} methods, such as integrated_gradients, lime.",
        )
    for each in found.values():
        if each.function is ensemble.function or not each.signed or each.companion:
            raise BadOption(
                f"{each.title} cannot be a member.",
                "Members are methods with signs that need no other model.",
            )
        if reason := each.why_not(f.adapter.task):
            raise BadOption(f"{each.title} cannot be a member here.", reason)
    return list(found.values())


def _options(member: Method, seed: int) -> dict[str, Option]:
    """The member's defaults, with the seed where it has one."""
    return {
        **dict(member.check_options({})),
        **({"seed": seed} if any(o.name == "seed" for o in member.options) else {}),
    }


def _normalized(scores: Tensor) -> Tensor:
    """[outputs, inputs] → absolute values that add up to 1 for each output, or all 0."""
    return scores / scores.abs().sum(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
