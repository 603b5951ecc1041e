"""How many tokens fit a model: the positions that it has, what its tokenizer says, what is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from attribution.errors import TooLong
from attribution.models.checkpoint import positions

RELATIVE = frozenset({"xlnet", "funnel", "t5", "mt5", "umt5", "longt5", "switch_transformers", "bloom"})
"""Model types that know distances between tokens and no positions: texts of any length fit them."""
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""Names of the number of positions in configurations."""


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """The longest input in tokens, and why: a phrase that follows "at most"."""

    tokens: int
    reason: str = "fit this model"

    def check(self, count: int, reserve: int = 0) -> None:
        """Raise ``TooLong`` for an input of ``count`` tokens where ``reserve`` more must fit."""
        limit = self.tokens - reserve
        if count > limit:
            raise TooLong(
                f"The text has {count:,} tokens; {limit:,} at most {self.reason}.",
                f"Please shorten it by about {1 - limit / count:.0%}.",
            )


def token_limit(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, most: int, own: int | None = None
) -> TokenLimit:
    """The limit of a model that reads a text in one pass.

    ``most`` is the limit of this machine; ``own`` the length that a checkpoint names instead of its
    tokenizer's.
    """
    named = own or _positive(tokenizer.model_max_length)
    limits = [TokenLimit(most), TokenLimit(_count_positions(model) or most)]
    if named:
        reason = "are what this model is set up for (max_seq_length)"
        limits.append(
            TokenLimit(named, reason if own else "are what its tokenizer allows (model_max_length)")
        )
    return min(limits, key=lambda limit: limit.tokens)


def _positive(value: Any) -> int | None:
    """A limit; None for the numbers that stand for none (−1, 0, 10³⁰)."""
    return int(value) if isinstance(value, int | float) and 0 < value < 1e9 else None


def _count_positions(model: PreTrainedModel) -> int | None:
    """The number of positions that a model can read; None where there is no limit."""
    config = model.config
    if getattr(config, "model_type", "") in RELATIVE or _only_relative(config):
        return None
    counts = [count for name in POSITIONS if (count := _positive(getattr(config, name, None)))]
    tables = positions.count_positions(model, config)
    return min([*counts, *([] if tables is None else [tables])], default=None)


def _only_relative(config: Any) -> bool:
    """Whether a DeBERTa adds no positions to its embeddings, or a Falcon uses ALiBi."""
    return bool(getattr(config, "alibi", False)) or (
        bool(getattr(config, "relative_attention", False))
        and not getattr(config, "position_biased_input", True)
    )
