"""The weights of every attention module, in calling order, indexed by the objective's inputs.

The inputs of an encoder-decoder are the source tokens followed by the decoder's: encoder self-attention
covers [source, source], decoder self-attention [decoder, decoder], cross-attention [decoder, source]. Two
texts that pass through a model separately cover one diagonal block each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import BadOption, Unsupported
from attribution.models.calls import differentiate
from attribution.models.inside.observation import attention_modules, observe_attention
from attribution.models.objective import Objective
from attribution.models.twin import make_twin

Kind = Literal["self", "cross"]


@dataclass(frozen=True)
class Map:
    """One call of an attention module: ``weights`` [heads, queries, keys].

    ``queries`` and ``keys`` are places among the inputs; ``layer`` counts the calls of this kind with these
    queries from 0.
    """

    kind: Kind
    layer: int
    queries: slice
    keys: slice
    weights: Tensor


@dataclass(frozen=True)
class Call:
    """The input and output of one call of an attention function, for one text.

    ``value`` [1, heads, keys, width], ``output`` [1, queries, heads, width], ``weights`` [1, heads, queries,
    keys].
    """

    kind: Kind
    encoder: bool
    weights: Tensor
    value: Tensor
    output: Tensor


@dataclass(frozen=True)
class Step:
    """How a layer or attention module mixes the inputs: ``matrix`` [queries, inputs]; other inputs stay."""

    layer: int
    queries: slice
    matrix: Tensor


class Watch:
    """A private twin that records its attention calls, in order, in ``calls``; ``f`` is the objective on it.

    Raises ``Unsupported`` for an architecture that implements its own attention.
    """

    def __init__(self, f: Objective) -> None:
        self.calls: list[Call] = []
        self.model = observe_attention(f.adapter.eager, self._observe)
        self.f = f.on(self.model)
        self._encoder: frozenset[int] = frozenset()
        self._cross: set[int] = set()
        self._states: Tensor | None = None
        if getattr(f.adapter.config, "is_encoder_decoder", False):
            self._follow(self.model.get_encoder())

    def run(self, embeddings: Tensor | None = None) -> list[Map]:
        """One forward pass, without a graph, of the text itself or of other embeddings [inputs, hidden]."""
        self.calls.clear()
        self.f.evaluate((self.f.embeddings if embeddings is None else embeddings)[None])
        return locate_maps(self.f, self.calls)

    def value(self, value: Tensor) -> Tensor:
        """Replace an attention module's value vectors; called before each attention call."""
        return value

    def _observe(
        self,
        eager: Any,
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        **kwargs: Any,
    ) -> Any:
        value = self.value(value)
        output, weights = eager(module, query, key, value, mask, **kwargs)
        kind: Kind = "cross" if id(module) in self._cross else "self"
        self.calls.append(Call(kind, id(module) in self._encoder, weights, value, output))
        return output, weights

    def _follow(self, encoder: torch.nn.Module) -> None:
        """Recognise cross-attention modules: they receive the very tensor that the encoder returned.

        Lengths may coincide and names differ between architectures, so neither identifies them.
        """
        self._encoder = frozenset(map(id, encoder.modules()))

        def remember(_module: Any, _args: Any, output: Any) -> None:
            self._states = output[0]

        def compare(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if self._states is not None and any(value is self._states for value in (*args, *kwargs.values())):
                self._cross.add(id(module))

        encoder.register_forward_hook(remember)
        for _, module in attention_modules(self.model):
            if id(module) not in self._encoder:
                module.register_forward_pre_hook(compare, with_kwargs=True)


def compute_maps(f: Objective, embeddings: Tensor | None = None) -> list[Map]:
    """Compute the attention maps of the text itself, or of other ``embeddings`` [inputs, hidden].

    Raises ``Unsupported`` where the model does not expose them.
    """
    try:
        return Watch(f).run(embeddings)
    except Unsupported as why:
        g, calls = _request_attentions(f, why)
        g.evaluate((g.embeddings if embeddings is None else embeddings)[None])
        return locate_maps(g, calls, why)


def compute_maps_with_gradients(f: Objective) -> tuple[list[Map], Iterator[list[Tensor]]]:
    """Compute the attention maps and, for each output, the gradients of f with respect to them, in order.

    Raises ``Unsupported`` where the model does not expose its maps, or where f does not depend on them.
    """
    try:
        watch = Watch(f)
        calls = watch.calls
        _, values = watch.f.traced()
        maps = locate_maps(f, calls)
    except Unsupported as why:
        g, calls = _request_attentions(f, why)
        _, values = g.traced()
        maps = locate_maps(f, calls, why)
    return maps, _gradients(f, values, [call.weights for call in calls])


def _gradients(f: Objective, values: Tensor, weights: list[Tensor]) -> Iterator[list[Tensor]]:
    for value in values:
        f.deadline.check()
        rows = differentiate(f.model, value, weights, retain_graph=True, allow_unused=True)
        if all(row is None for row in rows):
            raise Unsupported(
                "The attention weights that this model returns are not those that it computes with."
            )
        yield [
            torch.zeros_like(w[0]) if row is None else row[0] for row, w in zip(rows, weights, strict=True)
        ]


def _request_attentions(f: Objective, why: Unsupported) -> tuple[Objective, list[Call]]:
    """Call a private twin with ``output_attentions``, for models that implement their own attention."""
    private: PreTrainedModel = make_twin(f.adapter.eager)
    calls: list[Call] = []

    def ask(
        _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, {**kwargs, "output_attentions": True}

    def take(_module: Any, _args: Any, output: Any) -> None:
        def call(kind: Kind, encoder: bool, weights: Any) -> None:
            if not isinstance(weights, Tensor):  # PegasusX gives several kinds at once
                raise why
            nothing = weights.new_zeros(0)
            calls.append(Call(kind, encoder, weights, nothing, nothing))

        for weights in output.get("encoder_attentions") or ():
            call("self", True, weights)
        crosses = output.get("cross_attentions") or ()
        for i, weights in enumerate(output.get("attentions") or output.get("decoder_attentions") or ()):
            call("self", False, weights)
            if i < len(crosses):
                call("cross", False, crosses[i])

    private.register_forward_pre_hook(ask, with_kwargs=True)
    private.register_forward_hook(take)
    return f.on(private), calls


def locate_maps(f: Objective, calls: Sequence[Call], why: Unsupported | None = None) -> list[Map]:
    """Convert the attention calls of one forward pass into maps over the inputs.

    Raises ``Unsupported`` where the weights are not tokens × tokens, with ``why`` where there was no call.
    """
    inputs, config = len(f.tokens), f.adapter.config
    if not calls:
        raise why or Unsupported(
            "This model has no attention.",
            "Gradient methods and those that only change the text work for it.",
        )
    both = bool(getattr(config, "is_encoder_decoder", False))
    source = next((c.weights.shape[-1] for c in calls if c.encoder), 0)
    segments = f.segments
    each = len(calls) // len(segments)
    if not both and each != getattr(config, "num_hidden_layers", each):
        raise Unsupported(
            f"Only {each} of this model's {config.num_hidden_layers} layers are attention: "
            "the others mix tokens unseen.",
            "Gradient methods and those that only change the text work for it.",
        )
    count: dict[tuple[str, int], int] = {}
    maps = []
    for i, call in enumerate(calls):
        if both:
            queries = slice(0, source) if call.encoder else slice(source, inputs)
            keys = slice(0, source) if call.encoder or call.kind == "cross" else slice(source, inputs)
        else:
            queries = keys = segments[min(i // each, len(segments) - 1)]
        shape = tuple(call.weights.shape)
        if len(shape) != 4 or (shape[0], *shape[2:]) != (
            1,
            queries.stop - queries.start,
            keys.stop - keys.start,
        ):
            raise Unsupported(
                f"An attention module of this model gives weights of the shape {shape}, "
                "which is not tokens × tokens.",
                "Gradient methods and those that only change the text work for it.",
            )
        layer = count.get((call.kind, queries.start), 0)
        count[call.kind, queries.start] = layer + 1
        maps.append(Map(call.kind, layer, queries, keys, call.weights.detach()[0].float()))
    return maps


def output_rows(f: Objective) -> Tensor:
    """The attention rows that each output is read from, as weights [outputs, inputs] that sum to 1.

    Classification: the token that the head reads. Token-level tasks: that token. Generation: the decoder
    token before the generated one; for a whole sequence the mean over these. Similarity: the tokens that the
    texts' embeddings are pooled from.
    """
    task, inputs = f.adapter.task, len(f.tokens)
    rows = torch.zeros(len(f.outputs), inputs, dtype=torch.float64, device=f.embeddings.device)
    for k, output in enumerate(f.outputs):
        if task.writes:
            last = int(f.visible[k].nonzero().max())
            first = _first_read(f) if f.target.position == "sequence" else last
            rows[k, first : last + 1] = 1 / (last + 1 - first)
        elif task.pools:
            for part in f.segments:
                weights = f.adapter.bi_encoder.weights(part.stop - part.start, f.adapter.unpooled)
                rows[k, part] = weights.to(rows) / len(f.segments)
        elif output.position is not None:
            rows[k, output.position] = 1
        else:
            rows[k, -1 if f.adapter.reads_last else 0] = 1
    return rows


def _first_read(f: Objective) -> int:
    """The input from which the first generated token is predicted."""
    generated = [i for i, token in enumerate(f.tokens) if token.segment == "generated"]
    if f.adapter.task.encoder_decoder:
        return generated[-len(f.prediction.labels)]
    return generated[0] - 1 if generated else len(f.tokens) - 1


def describe_output_rows(f: Objective) -> str:
    """Describe in a sentence which rows ``output_rows`` selects."""
    if f.adapter.task.read_off:
        return f.adapter.task.read_off
    if f.outputs[0].position is not None:
        return "Read off: for each output, the row of its own token."
    place = -1 if f.adapter.reads_last else 0
    token = f.tokens[place].text or "the last token"
    return f"Read off: the row of {token}, which the classification head reads."


def roll_out(rows: Tensor, steps: Iterable[Step]) -> Tensor:
    """Multiply ``rows`` [outputs, inputs] by the matrices of ``steps``: rows · last ⋯ first."""
    for step in reversed(list(steps)):
        moved = rows[:, step.queries]
        rows = rows.clone()
        rows[:, step.queries] = 0
        rows = rows + moved @ step.matrix
    return rows


Layered = TypeVar("Layered", Map, Step)


def pick_layer(entries: Sequence[Layered], rows: Tensor, layer: int) -> list[Layered]:
    """Select the maps or steps of one layer (-1: the last) that the rows are read from.

    Raises ``BadOption``.
    """
    matches = [entry for entry in entries if rows[:, entry.queries].any()]
    last = max(entry.layer for entry in matches)
    if layer > last:
        raise BadOption(f"layer is {layer}.", f"This model's layers are 0 to {last}; -1 is the last.")
    return [entry for entry in matches if entry.layer == (last if layer < 0 else layer)]
