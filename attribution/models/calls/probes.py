"""Probes: short calls that tell, once, how a model can be called."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import Unsupported
from attribution.models.calls import AS_FUNCTION, call, translate_errors
from attribution.models.scoring.arguments import EMBEDDED, join_arguments
from attribution.models.tasks import Task
from attribution.models.twin import is_close

LENGTH = 8
"""Tokens of a probe: enough for architectures that pool neighbours (Funnel)."""


class Probed(Protocol):
    """What a probe needs of an adapter."""

    model: PreTrainedModel
    task: Task

    @property
    def device(self) -> torch.device:
        """The device that the model computes on."""

    @property
    def decoder_embedding(self) -> torch.nn.Module:
        """The table of the decoder's input embeddings."""

    @property
    def takes_types(self) -> bool:
        """Whether the model takes token types."""

    def pieces(self, text: str) -> list[int]:
        """The ids of a text on its own, without special tokens."""

    def decoder_arguments(self, embeddings: Tensor, *, wraps: bool | None = None) -> dict[str, Any]:
        """What a decoder that reads the text too is given."""

    def embed(self, ids: Tensor) -> Tensor:
        """The input embeddings of ``ids`` [batch, inputs], [batch, inputs, hidden]."""


def input_table(model: PreTrainedModel) -> torch.nn.Module:
    """The table of the (encoder's) input embeddings. Raises ``Unsupported`` for a model without one."""
    try:
        table = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):  # Canine hashes characters
        table = None
    if not isinstance(table, torch.nn.Module):
        raise Unsupported(f"{type(model).__name__} has no table of input embeddings.", AS_FUNCTION)
    return table


def decoder_table(model: PreTrainedModel) -> torch.nn.Module:
    """The table of a decoder's input embeddings, by default the encoder's."""
    decoder = model.get_decoder()
    table = getattr(decoder, "embed_tokens", None)
    with suppress(NotImplementedError, AttributeError):  # FSMT's decoder is no model of its own
        table = decoder.get_input_embeddings()
    return table if isinstance(table, torch.nn.Module) else input_table(model)


def look_up(model: PreTrainedModel, table: torch.nn.Module, ids: Tensor) -> Tensor:
    """The embeddings [batch, inputs, hidden] of ``ids``. Raises ``Unsupported`` for anything else."""
    with translate_errors(model, "forward"):
        vectors = table(ids)
    if not isinstance(vectors, Tensor) or vectors.shape[:-1] != ids.shape:
        raise Unsupported(f"{type(model).__name__} does not look its embeddings up as vectors.", AS_FUNCTION)
    return vectors


def answer_short(
    adapter: Probed, model: PreTrainedModel, *, embedded: bool = False, wraps: bool | None = None
) -> Tensor:
    """The logits of a model for a few tokens, passed as ids or as embeddings."""
    ids = torch.tensor([_probe(adapter)], device=adapter.device)
    parts: dict[str, Any] = {EMBEDDED: adapter.embed(ids)} if embedded else {"input_ids": ids}
    if adapter.task.encoder_decoder:
        first = getattr(model.config, "decoder_start_token_id", None) or 0
        start = torch.full((1, 2), first, device=adapter.device)
        parts |= (
            {"decoder_inputs_embeds": look_up(model, adapter.decoder_embedding, start)}
            if embedded
            else {"decoder_input_ids": start}
        )
    if embedded:
        parts |= adapter.decoder_arguments(parts[EMBEDDED], wraps=wraps)
    with torch.no_grad():
        logits: Tensor = call(model, **parts)[0].float()
    return logits


def _probe(adapter: Probed, length: int = LENGTH) -> list[int]:
    return ((adapter.pieces("a b") or [0]) * length)[:length]


def pads(adapter: Probed) -> bool:
    """Whether texts give the same numbers in a padded and masked batch as on their own."""
    model, device = adapter.model, adapter.device
    rows = [adapter.embed(torch.tensor([_probe(adapter, 3) * count], device=device)) for count in (1, 3)]
    others: list[dict[str, Any]]
    if adapter.task.encoder_decoder:
        starts = [torch.zeros(1, count, dtype=torch.long, device=device) for count in (1, 3)]
        others = [{"decoder_inputs_embeds": adapter.decoder_embedding(start)} for start in starts]
    else:
        types = torch.zeros(1, 1, dtype=torch.long, device=device)
        others = [adapter.decoder_arguments(row) for row in rows]
        if adapter.takes_types:
            others = [{"token_type_ids": types.expand(1, row.shape[1])} for row in rows]
    each = [{EMBEDDED: row.detach(), **other} for row, other in zip(rows, others, strict=True)]
    try:
        with torch.no_grad():
            together = call(model, **join_arguments(each))[0]
            singles = [call(model, **arguments)[0][0] for arguments in each]
    except Exception:
        return False
    unpadded = [
        row[: len(single)] if single.shape != row.shape else row
        for single, row in zip(singles, together, strict=True)
    ]
    return all(
        single.shape == row.shape and is_close(single, row, 1e-4)
        for single, row in zip(singles, unpadded, strict=True)
    )
