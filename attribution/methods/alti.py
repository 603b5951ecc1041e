"""ALTI: contributions of tokens to the outputs of attention blocks, followed through the layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attribution.errors import Unsupported
from attribution.methods import Scores, method
from attribution.models.inside.attentions import (
    Call,
    Map,
    Step,
    Watch,
    describe_output_rows,
    output_rows,
    pick_layer,
    roll_out,
)
from attribution.models.objective import Objective
from attribution.models.sources import offloading
from attribution.registry import Between

ROUNDING = {torch.float64: 2.3e-14, torch.float32: 1.2e-5, torch.float16: 8e-3, torch.bfloat16: 0.06}
"""Largest error of the sum of a block's parts, relative to its largest number: a hundred times the precision,
eight times where that is a half."""
CLOSE = 1e-4
"""Largest relative difference of two tensors that a model hands on, at single precision or better."""
NUMBERS = 2**22
"""Entries of T in memory at once."""


@method(
    title="ALTI",
    summary="What each token contributes to each attention block's output, followed through all layers.",
    caveat="It looks at attention blocks with their residual connection and normalisation; the "
    "feed-forward layers between them are assumed to leave the mixture unchanged. The same for every class.",
    cost="2 forward passes, and tokens² vectors for each layer",
    signed=False,
    unit="share of contribution",
    needs="attentions",
    aliases=("alti_plus", "token_to_token_interactions"),
)
def alti(
    f: Objective,
    *,
    layer: Annotated[int, Between(-1, 255), "One layer, counted from 0; -1 follows all layers."] = -1,
) -> Scores:
    """ALTI, aggregation of layer-wise token-to-token interactions: a product of contributions C.

    Ferrando, Gállego & Costa-jussà 2022, "Measuring the Mixing of Contextual Information in the
    Transformer", section 3: a block's output is y_i = Σ_j T_i(x_j) + bias, with T_i(x_j) = L_i(Σ_h A^h_ij
    W_O^h v^h_j + [i = j] x_i); v is the value vector and L_i the layer normalisation with its standard
    deviation held fixed. The contribution is c_ij = max(0, ‖y_i‖₁ − ‖y_i − T_i(x_j)‖₁) / Σ_k max(0, ‖y_i‖₁
    − ‖y_i − T_i(x_k)‖₁). Where the norm stands before attention (GPT-2, Llama, T5), it is inside v_j, and
    L_i is the identity. Encoder-decoder: ALTI+ (Ferrando et al. 2022, "Towards Opening the Black Box of
    Neural Machine Translation", section 3): in a cross-attention block the source tokens and the decoder's
    token share one row. The result is the row that the prediction is read from. The parts are checked to
    add up to the model's own y.
    """
    rows = output_rows(f)
    blocks = Blocks(f)
    steps = list(blocks.steps(blocks.run()))
    if layer >= 0:
        steps = pick_layer(steps, rows, layer)
    return Scores(roll_out(rows, steps), notes=(describe_output_rows(f),))


@dataclass
class Block:
    """One attention call with the modules around it. Tensors other than the call's are [tokens, hidden]."""

    call: Call
    projection: nn.Linear | Conv1D
    projected: Tensor
    """The attention's output after the projection."""
    outer: nn.Module | None
    """A norm on the projected output alone, before the residual connection (Gemma 2)."""
    stream: Tensor
    """The residual stream before the block."""
    norm: nn.Module
    """The first norm after the residual connection; its input and output follow."""
    norm_input: Tensor
    norm_output: Tensor
    raw: bool
    """Whether attention reads the residual stream itself, not its norm."""


Event = tuple[nn.Module, Tensor, Tensor]
"""A linear map or a norm, its input and its output, [tokens, hidden]."""


class Blocks(Watch):
    """A private copy of the model that finds attention blocks by their modules' inputs and outputs."""

    def __init__(self, f: Objective) -> None:
        super().__init__(f)
        self.blocks: list[Block] = []
        self._before: list[Event] = []
        self._after: list[Event] = []
        self._call: Call | None = None
        for module in self.model.modules():
            if isinstance(module, nn.Linear | Conv1D) or is_norm(module):
                module.register_forward_hook(self._see)

    def _observe(self, *args: Any, **kwargs: Any) -> Any:
        result = super()._observe(*args, **kwargs)
        if self._call is not None:
            raise make_unsupported()
        self._call = self.calls[-1]
        return result

    def _see(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        event = (module, flatten_batch(args[0]), flatten_batch(output))
        if self._call is None:
            self._before.append(event)
            return
        if not self._after:
            # The first linear map after the call must take the concatenated outputs of the heads unchanged.
            if is_norm(module) or not torch.equal(args[0].flatten(), self._call.output.flatten()):
                raise make_unsupported()
            self._after = [event]
        elif is_norm(module):
            self._after.append(event)
            if len(self._after) == 3 or not is_close(event[1], self._after[0][2]):
                self._close(self._call)
                # This norm may be the one before the next block, so that block sees it.
                self._before, self._after, self._call = [event], [], None

    def _close(self, call: Call) -> None:
        (projection, _, projected), *inner, (norm, norm_input, norm_output) = self._after
        stream = norm_input - (inner[0][2] if inner else projected)
        linear_inputs = [received for module, received, _ in self._before if not is_norm(module)]
        norms = [
            returned
            for module, received, returned in self._before
            if is_norm(module) and is_close(received, stream)
        ]
        raw = any(is_close(received, stream) for received in linear_inputs)
        if not raw and not any(
            is_close(received, returned) for received in linear_inputs for returned in norms
        ):
            raise make_unsupported()
        outer = inner[0][0] if inner else None
        self.blocks.append(
            Block(call, projection, projected, outer, stream, norm, norm_input, norm_output, raw)
        )

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def steps(self, maps: list[Map]) -> Iterator[Step]:
        """Each block's contributions with rows that add up to 1, from the first block to the last."""
        if len(self.blocks) != len(maps):
            raise make_unsupported()
        # A first layer may read the stream itself in a model whose other layers read its norm (ModernBERT).
        after = all(block.raw for block in self.blocks)
        for attention, block in zip(maps, self.blocks, strict=True):
            parts = Parts(attention, block, after and block.outer is None)
            contributions = []
            size = max(1, NUMBERS // parts.size)
            for start in range(0, len(parts.output), size):
                self.f.deadline.check()
                contributions.append(parts.contributions(slice(start, start + size)))
            yield Step(
                attention.layer,
                attention.queries,
                share_over_inputs(torch.cat(contributions), attention, len(self.f.tokens)),
            )


class Parts:
    """One block's output as a sum, y_i = Σ_j T_i(x_j) + rest_i.

    ``after``: the norm follows the residual connection, and y is its output.
    """

    def __init__(self, attention: Map, block: Block, after: bool) -> None:
        self.weights, self.stream = attention.weights.double(), block.stream.double()
        self.vectors = project_values(block)
        self.output = (block.norm_output if after else block.norm_input).double()
        self.inside = None if block.outer is None else LinearNorm(block.outer, block.projected.double())
        self.outside = LinearNorm(block.norm, block.norm_input.double()) if after else None
        bias = offloading.weight_of(block.projection, "bias")
        self.rest = torch.zeros_like(self.stream) if bias is None else bias.double().expand_as(self.stream)
        for norm in (self.inside, self.outside):
            if norm is not None:
                self.rest = norm(self.rest, slice(None)) + norm.shift
        self.own = attention.kind == "self"
        self.rounding = ROUNDING[block.norm_input.dtype] * float(self.output.abs().max())

    @property
    def size(self) -> int:
        """Entries in the parts of one token."""
        return int((self.vectors.shape[1] + 1) * self.vectors.shape[2])

    def of(self, rows: slice) -> Tensor:
        """T_i(x_j) for the tokens ``rows``, [rows, keys + 1, hidden].

        The last column is the residual of cross-attention, otherwise 0.
        """
        pieces = torch.einsum("hij,hjd->ijd", self.weights[:, rows], self.vectors)
        if self.inside is not None:
            pieces = self.inside(pieces, rows)
        pieces = torch.cat([pieces, torch.zeros_like(pieces[:, :1])], dim=1)
        places = torch.arange(len(self.output), device=pieces.device)[rows]
        column = places if self.own else torch.full_like(places, pieces.shape[1] - 1)
        pieces[torch.arange(len(places), device=pieces.device), column] += self.stream[rows]
        return pieces if self.outside is None else self.outside(pieces, rows)

    def contributions(self, rows: slice) -> Tensor:
        """max(0, ‖y_i‖₁ − ‖y_i − T_i(x_j)‖₁), [rows, keys + 1].

        Raises ``Unsupported`` where the parts do not add up to y.
        """
        pieces, output = self.of(rows), self.output[rows]
        if (pieces.sum(1) + self.rest[rows] - output).abs().max() > self.rounding:
            raise make_unsupported()
        return (output.abs().sum(-1, keepdim=True) - (output[:, None] - pieces).abs().sum(-1)).clamp_min(0)


def share_over_inputs(raw: Tensor, attention: Map, inputs: int) -> Tensor:
    """Contributions [queries, keys + 1] as shares over all inputs, [queries, inputs]."""
    sums = raw.sum(-1, keepdim=True)
    shares = raw / torch.where(sums > 0, sums, 1.0)
    matrix = torch.zeros(len(raw), inputs, dtype=raw.dtype, device=raw.device)
    matrix[:, attention.keys] = shares[:, :-1]
    # A row without any positive contribution stays at its own token.
    matrix[:, attention.queries] += torch.diag(shares[:, -1] + (sums[:, 0] == 0).to(raw.dtype))
    return matrix


class LinearNorm:
    """A norm as a linear map, its scale held fixed: v ↦ γ (v − mean v) / σ_i (RMS norm: without the mean)."""

    def __init__(self, norm: nn.Module, norm_input: Tensor) -> None:
        kind = next(norm.parameters()).dtype
        hidden = norm_input.shape[-1]
        self.centred = isinstance(norm, nn.LayerNorm)
        eps = float(getattr(norm, "eps", 0.0) or getattr(norm, "variance_epsilon", 0.0))
        centre = norm_input - norm_input.mean(-1, keepdim=True) if self.centred else norm_input
        self.scale = (centre.square().mean(-1, keepdim=True) + eps).rsqrt()
        self.shift = norm(torch.zeros(1, 1, hidden, dtype=kind, device=norm_input.device))[0].double()
        if self.centred:
            weight = offloading.weight_of(norm)
            self.gain = (
                torch.ones(hidden, dtype=torch.float64, device=norm_input.device)
                if weight is None
                else weight.double()
            )
        else:
            # Evaluate the norm itself, as Gemma's multiplies by 1 + weight.
            ones = norm(torch.ones(1, 1, hidden, dtype=kind, device=norm_input.device))[0, 0].double()
            self.gain = ones * (1 + eps) ** 0.5

    def __call__(self, vectors: Tensor, rows: slice) -> Tensor:
        """The norm of vectors [rows, ..., hidden] that belong to ``rows`` of its input."""
        scale = self.scale[rows].view(-1, *[1] * (vectors.ndim - 1))
        centre = vectors - vectors.mean(-1, keepdim=True) if self.centred else vectors
        return self.gain * centre * scale


def project_values(block: Block) -> Tensor:
    """The value vectors through the output projection, W_O^h v^h_j: [heads, keys, hidden]."""
    value, heads = block.call.value[0].double(), block.call.weights.shape[1]
    if value.shape[0] != heads:  # Grouped queries: several heads share a value.
        value = value.repeat_interleave(heads // value.shape[0], dim=0)
    weight = offloading.weight_of(block.projection)
    assert weight is not None
    matrix = weight.double()
    matrix = matrix if isinstance(block.projection, Conv1D) else matrix.T
    return torch.einsum("hjw,hwd->hjd", value, matrix.reshape(heads, value.shape[-1], -1))


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation with weights."""
    return "Norm" in type(module).__name__ and any(True for _ in module.parameters(recurse=False))


def flatten_batch(states: Tensor) -> Tensor:
    """Drop the batch dimension of one: [tokens, hidden]."""
    return states.reshape(-1, states.shape[-1])


def is_close(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are equal up to rounding."""
    tolerance = max(CLOSE, ROUNDING[second.dtype])
    return first.shape == second.shape and bool(
        (first - second).abs().max() <= tolerance * second.abs().max()
    )


def make_unsupported() -> Unsupported:
    """The error for a block of an unknown structure."""
    return Unsupported(
        "An attention block of this model is not just a residual connection plus the projected "
        "attention: it may run in parallel with its feed-forward layer (GPT-NeoX, Phi), or be scaled.",
        "Attention rollout and value zeroing work for it.",
    )
