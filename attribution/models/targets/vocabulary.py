"""Which token of a vocabulary a target names."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from attribution.errors import BadOption, UnknownTarget, quote
from attribution.models.adapter import Adapter
from attribution.models.targets.labels import RUNNER_UP, runner_up
from attribution.types import Label


def token_id(adapter: Adapter, label: Label) -> int:
    """The token that ``label`` names: by id, or by text, read as the continuation of a text or literally.

    Raises ``UnknownTarget`` where it is not a single token.
    """
    size = getattr(adapter.embedding, "num_embeddings", len(adapter.tokenizer))
    if isinstance(label, int):
        if 0 <= label < size:
            return label
        raise UnknownTarget(
            f"There is no token number {label}.", f"This model's tokens are numbered from 0 to {size - 1}."
        )
    unknown = adapter.tokenizer.unk_token_id
    for form in (label, " " + label) if label.startswith(" ") else (" " + label, label):
        ids = adapter.pieces(form)
        if len(ids) == 1 and ids[0] != unknown:
            return ids[0]
    # A piece inside a word, which is never the tokenization of a text by itself.
    inner = adapter.tokenizer.convert_tokens_to_ids(label)
    if isinstance(inner, int) and inner != unknown:
        return inner
    first = adapter.text_of(adapter.pieces(label)[:1])
    raise UnknownTarget(
        f"{quote(label)} is not one token of this model.",
        f"Its first token is {quote(first)}; or give a token's number.",
    )


def against_ids(
    adapter: Adapter, contrast: Label | None, logits: Sequence[Tensor], chosen: Sequence[int]
) -> list[int] | None:
    """The token that each chosen token is contrasted with.

    Raises ``BadOption`` where that is the token itself.
    """
    if contrast is None:
        return None
    same = None if contrast == RUNNER_UP else token_id(adapter, contrast)
    others = [runner_up(row, c) if same is None else same for row, c in zip(logits, chosen, strict=True)]
    if len(chosen) == 1 and others[0] == chosen[0]:
        raise BadOption(
            f"The contrast is the explained token itself, {quote(adapter.text_of(others))}.",
            "Choose another one, or 'runner-up'.",
        )
    return others
