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

ROUNDING = 100
"""How far, in units of the number type's precision and the largest number, a block's parts may be from adding
up.
"""
NUMBERS = 2**22
"""Numbers of T that are held at once."""


@method(
    title="ALTI",
    summary="What each token contributes to each attention block's output, followed through all layers.",
    caveat="It looks at attention blocks with their residual connection and normalisation; the feed-forward "
    "layers between are taken "
    "to leave the mixture as it is. It is the same for every class.",
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

    Ferrando, Gállego & Costa-jussà 2022, "Measuring the Mixing of Contextual Information in the Transformer",
    section 3: a block's output is y_i = Σ_j T_i(x_j) + bias, with T_i(x_j) = L_i(Σ_h A^h_ij W_O^h v^h_j + [i
    = j] x_i); v is the value vector and L_i the layer normalisation at the standard deviation that it has
    there. The contribution is c_ij = max(0, ‖y_i‖₁ − ‖y_i − T_i(x_j)‖₁) / Σ_k max(0, ‖y_i‖₁ − ‖y_i −
    T_i(x_k)‖₁). Where the norm stands before attention (GPT-2, Llama, T5), it is inside v_j, and L_i is the
    identity. Encoder-decoder: ALTI+ (Ferrando et al. 2022, "Towards Opening the Black Box of Neural Machine
    Translation", section 3): in a cross-attention block the source tokens and the decoder's token share one
    row. The row that the prediction is read from is shown. That the parts add up to the model's own y is
    checked.
    """
    rows = output_rows(f)
    blocks = Blocks(f)
    steps = list(blocks.steps(blocks.run()))
    if layer >= 0:
        steps = pick_layer(steps, rows, layer)
    return Scores(roll_out(rows, steps), notes=(describe_output_rows(f),))


@dataclass
class Block:
    """One attention call and what surrounds it. Tensors but the call's are [tokens, hidden]."""

    call: Call
    projection: nn.Linear | Conv1D
    projected: Tensor
    """The attention's output after the projection."""
    outer: nn.Module | None
    """A norm on that alone, before the residual connection (Gemma 2)."""
    stream: Tensor
    """The residual stream before the block."""
    norm: nn.Module
    """The first norm after the residual connection, its input and its output."""
    summed: Tensor
    normed: Tensor
    raw: bool
    """Whether attention reads the residual stream itself, not its norm."""


Event = tuple[nn.Module, Tensor, Tensor]
"""A linear map or a norm, its input and its output, [tokens, hidden]."""


class Blocks(Watch):
    """A private twin whose attention blocks are recognised by what linear maps and norms get and give."""

    def __init__(self, f: Objective) -> None:
        super().__init__(f)
        self.blocks: list[Block] = []
        self._before: list[Event] = []
        self._after: list[Event] = []
        self._call: Call | None = None
        for module in self.model.modules():
            if isinstance(module, nn.Linear | Conv1D) or is_norm(module):
                module.register_forward_hook(self._see)

    def _observe(self, *args: Any, **more: Any) -> Any:
        said = super()._observe(*args, **more)
        if self._call is not None:
            raise unsupported()
        self._call = self.calls[-1]
        return said

    def _see(self, module: nn.Module, args: tuple[Any, ...], said: Tensor) -> None:
        event = (module, flat(args[0]), flat(said))
        if self._call is None:
            self._before.append(event)
            return
        if not self._after:
            # The first linear map after the call must take the heads' outputs side by side, as they are.
            if is_norm(module) or not torch.equal(args[0].flatten(), self._call.output.flatten()):
                raise unsupported()
            self._after = [event]
        elif is_norm(module):
            self._after.append(event)
            if len(self._after) == 3 or not alike(event[1], self._after[0][2]):
                self._close(self._call)
                # This norm may be the one before the next block, so that block sees it.
                self._before, self._after, self._call = [event], [], None

    def _close(self, call: Call) -> None:
        (projection, _, projected), *inner, (norm, summed, normed) = self._after
        stream = summed - (inner[0][2] if inner else projected)
        read = [given for module, given, _ in self._before if not is_norm(module)]
        norms = [gave for module, given, gave in self._before if is_norm(module) and alike(given, stream)]
        raw = any(alike(given, stream) for given in read)
        if not raw and not any(alike(given, gave) for given in read for gave in norms):
            raise unsupported()
        outer = inner[0][0] if inner else None
        self.blocks.append(Block(call, projection, projected, outer, stream, norm, summed, normed, raw))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def steps(self, found: list[Map]) -> Iterator[Step]:
        """Each block's contributions with rows that add up to 1, from the first block to the last."""
        if len(self.blocks) != len(found):
            raise unsupported()
        # A first layer may read the stream itself in a model whose other layers read its norm (ModernBERT).
        after = all(block.raw for block in self.blocks)
        for one, block in zip(found, self.blocks, strict=True):
            parts = Parts(one, block, after and block.outer is None)
            raw = []
            size = max(1, NUMBERS // parts.size)
            for start in range(0, len(parts.whole), size):
                self.f.deadline.check()
                raw.append(parts.contributions(slice(start, start + size)))
            yield Step(one.layer, one.queries, spread(torch.cat(raw), one, len(self.f.tokens)))


class Parts:
    """The sum that one block's output is: y_i = Σ_j T_i(x_j) + rest_i.

    ``after``: the norm stands after the residual connection, and y is its output.
    """

    def __init__(self, one: Map, block: Block, after: bool) -> None:
        self.weights, self.stream = one.weights.double(), block.stream.double()
        self.vectors = moved(block)
        self.whole = (block.normed if after else block.summed).double()
        self.inside = None if block.outer is None else Linearised(block.outer, block.projected.double())
        self.outside = Linearised(block.norm, block.summed.double()) if after else None
        bias = offloading.weight_of(block.projection, "bias")
        self.rest = torch.zeros_like(self.stream) if bias is None else bias.double().expand_as(self.stream)
        for norm in (self.inside, self.outside):
            if norm is not None:
                self.rest = norm(self.rest, slice(None)) + norm.shift
        self.own = one.kind == "self"
        self.rounding = ROUNDING * torch.finfo(block.summed.dtype).eps * float(self.whole.abs().max())

    @property
    def size(self) -> int:
        """Numbers in the parts of one token."""
        return int((self.vectors.shape[1] + 1) * self.vectors.shape[2])

    def of(self, rows: slice) -> Tensor:
        """T_i(x_j) for some rows i, [rows, keys + 1, hidden].

        The last column is the residual of cross-attention, else 0.
        """
        pieces = torch.einsum("hij,hjd->ijd", self.weights[:, rows], self.vectors)
        if self.inside is not None:
            pieces = self.inside(pieces, rows)
        pieces = torch.cat([pieces, torch.zeros_like(pieces[:, :1])], dim=1)
        places = torch.arange(len(self.whole), device=pieces.device)[rows]
        column = places if self.own else torch.full_like(places, pieces.shape[1] - 1)
        pieces[torch.arange(len(places), device=pieces.device), column] += self.stream[rows]
        return pieces if self.outside is None else self.outside(pieces, rows)

    def contributions(self, rows: slice) -> Tensor:
        """max(0, ‖y_i‖₁ − ‖y_i − T_i(x_j)‖₁), [rows, keys + 1].

        Raises ``Unsupported`` where the parts do not add up to y.
        """
        pieces, whole = self.of(rows), self.whole[rows]
        if (pieces.sum(1) + self.rest[rows] - whole).abs().max() > self.rounding:
            raise unsupported()
        return (whole.abs().sum(-1, keepdim=True) - (whole[:, None] - pieces).abs().sum(-1)).clamp_min(0)


def spread(raw: Tensor, one: Map, inputs: int) -> Tensor:
    """Contributions [queries, keys + 1] as shares over all inputs, [queries, inputs]."""
    sums = raw.sum(-1, keepdim=True)
    shares = raw / torch.where(sums > 0, sums, 1.0)
    matrix = torch.zeros(len(raw), inputs, dtype=raw.dtype, device=raw.device)
    matrix[:, one.keys] = shares[:, :-1]
    # A row without any positive contribution stays at its own token.
    matrix[:, one.queries] += torch.diag(shares[:, -1] + (sums[:, 0] == 0).to(raw.dtype))
    return matrix


class Linearised:
    """A norm with its scale held fixed, a linear map: v ↦ γ (v − mean v) / σ_i; an RMS norm has no mean."""

    def __init__(self, norm: nn.Module, given: Tensor) -> None:
        kind = next(norm.parameters()).dtype
        hidden = given.shape[-1]
        self.centred = isinstance(norm, nn.LayerNorm)
        eps = float(getattr(norm, "eps", 0.0) or getattr(norm, "variance_epsilon", 0.0))
        centre = given - given.mean(-1, keepdim=True) if self.centred else given
        self.scale = (centre.square().mean(-1, keepdim=True) + eps).rsqrt()
        self.shift = norm(torch.zeros(1, 1, hidden, dtype=kind, device=given.device))[0].double()
        if self.centred:
            weight = offloading.weight_of(norm)
            self.gain = (
                torch.ones(hidden, dtype=torch.float64, device=given.device)
                if weight is None
                else weight.double()
            )
        else:
            # Asked of the norm itself: Gemma's multiplies by 1 + weight.
            ones = norm(torch.ones(1, 1, hidden, dtype=kind, device=given.device))[0, 0].double()
            self.gain = ones * (1 + eps) ** 0.5

    def __call__(self, vectors: Tensor, rows: slice) -> Tensor:
        """Vectors [rows, ..., hidden] that belong to ``rows`` of the norm's input."""
        scale = self.scale[rows].view(-1, *[1] * (vectors.ndim - 1))
        centre = vectors - vectors.mean(-1, keepdim=True) if self.centred else vectors
        return self.gain * centre * scale


def moved(block: Block) -> Tensor:
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


def flat(given: Tensor) -> Tensor:
    """[tokens, hidden] without the batch of one."""
    return given.reshape(-1, given.shape[-1])


def alike(one: Tensor, other: Tensor) -> bool:
    """Equal but for rounding."""
    return one.shape == other.shape and bool((one - other).abs().max() <= 1e-4 * other.abs().max())


def unsupported() -> Unsupported:
    """The error for a block of another kind."""
    return Unsupported(
        "An attention block of this model is not a residual plus the projected attention and nothing else: "
        "it may stand beside its "
        "feed-forward layer (GPT-NeoX, Phi), or be scaled.",
        "Attention rollout and value zeroing work for it.",
    )
