"""Generated text against inseq: every token of a continuation, explained by all that precedes it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import attribution
from benchmarks.measure import Duel, Outcome
from benchmarks.rows import Case, Row
from benchmarks.subjects import CONTINUATION

PROMPT = 17
"""Tokens of the prompt."""
DEFAULTS = "each with its default: points until the residual is at most 1 %, and 50 points"


def rows() -> list[Row]:
    same: dict[str, Any] = {"rule": "gausslegendre", "steps": 50}
    rows_ = []
    for model in ("gpt2", "t5-small"):
        where = {"peer": "inseq", "models": (model,), "tokens": (PROMPT,), "threads": (2,)}
        short = model.split("-")[0]
        rows_ += [
            Row(
                f"{short}_saliency",
                "saliency of generated tokens",
                make=partial(_duel, method="saliency"),
                **where,
            ),
            Row(
                f"{short}_ig",
                "IG of generated tokens to 1 %; 50 points",
                make=partial(_duel, method="integrated_gradients"),
                note=DEFAULTS,
                **where,
            ),
            Row(
                f"{short}_ig_same_points",
                "IG of generated tokens, 50 points",
                make=partial(_duel, method="integrated_gradients", options=same),
                **where,
            ),
            Row(
                f"{short}_occlusion",
                "occlusion of generated tokens",
                make=partial(_duel, method="occlusion"),
                **where,
            ),
        ]
    return rows_


def _duel(case: Case, text: str, method: str, options: dict[str, Any] | None = None) -> Duel:
    """Both are asked for probabilities and hide tokens behind the unknown token, as inseq does by default."""
    import inseq

    subject = case.subject
    theirs = inseq.load_model(subject.model, method, tokenizer=subject.tokenizer)
    causal = not subject.adapter.task.encoder_decoder
    prefix = text + CONTINUATION if causal else CONTINUATION.strip()
    more = {**(options or {})}
    kind = {"integrated_gradients": "baseline", "occlusion": "hide"}.get(method)
    if kind:
        # GPT-2's unknown token is its end token.
        more[kind] = "eos" if causal else "unk"
    if method == "occlusion":
        more["features"] = "tokens"
    prompt = subject.count(text)

    def mine() -> Outcome:
        result = attribution.attribute(
            text, subject.adapter, method, continuation=CONTINUATION, quantity="probability", **more
        )
        scores = np.abs(result.scores) if method == "occlusion" else result.scores
        facts = {}
        if result.residual is not None:
            shares = np.abs(result.residual) / np.abs(result.scores).sum(1)
            facts["our residual %"] = 100 * float(shares.max())
        return Outcome(scores[:, :prompt], facts)

    def other() -> Outcome:
        place = (
            {}
            if causal
            else {"attr_pos_end": subject.count(CONTINUATION.strip()) - 1, "attribute_target": True}
        )
        made = theirs.attribute(text, prefix, show_progress=False, **place).sequence_attributions[0]
        raw = made.target_attributions if causal else made.source_attributions
        # [inputs, generated] or [inputs, generated, hidden]
        scores = (
            raw[:prompt]
            if raw.ndim == 2
            else raw[:prompt].norm(dim=-1)
            if method == "saliency"
            else raw[:prompt].sum(-1)
        )
        return Outcome(scores.double().numpy().T)

    return Duel(mine, other)
