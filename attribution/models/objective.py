"""What is explained, as a function: embeddings [batch, inputs, hidden] → one number for each output and row.

Methods see only this. State is per call; the model is shared and never written to.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attribution import text as texts
from attribution.errors import BadOption, Cancelled, DeadlineExceeded, EmptyInput, NotFinite, UnknownTarget, Unsupported
from attribution.models.adapter import Adapter, Encoding
from attribution.types import Output, Prediction, Target, Token


@dataclass(frozen=True)
class Deadline:
    """When to stop: after ``seconds``, or as soon as ``cancelled()`` is true."""

    seconds: float = float("inf")
    cancelled: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raises ``DeadlineExceeded`` or ``Cancelled``."""
        if self.cancelled():
            raise Cancelled("The request was cancelled.")
        if time.monotonic() - self.started > self.seconds:
            raise DeadlineExceeded(
                f"The computation took longer than {self.seconds:g} seconds.", "Use a shorter text, fewer steps or samples."
            )


class Objective(ABC):
    """The explained function f of one text, model and target.

    Attributes
    ----------
    tokens : the inputs. For generation the generated prefix follows the text.
    outputs : what is explained.
    embeddings : [inputs, hidden], the model's own embeddings of the inputs.
    prediction : what the model said.
    """

    tokens: tuple[Token, ...]
    outputs: tuple[Output, ...]
    prediction: Prediction

    def __init__(self, adapter: Adapter, text: str, target: Target, deadline: Deadline, *, differentiable: bool) -> None:
        self.adapter, self.text, self.target, self.deadline = adapter, text, target, deadline
        encoding = self._prepare()
        # One forward pass serves the prediction and, where its graph is kept, the gradients at the text itself.
        with torch.set_grad_enabled(differentiable):
            self._root = self._embed(encoding).requires_grad_(differentiable)
            self._logits = self._forward(self._root)
            self._finish(self._logits.detach())
            self._root_values = self._values(self._logits)[:, 0]
        if not torch.isfinite(self._root_values).all():
            raise NotFinite(
                "The model's own prediction is not finite.", "Its weights may be broken, or overflow in half precision."
            )
        self.outputs = tuple(self._outputs(self._root_values.tolist()))

    # Each task fills these in.

    @abstractmethod
    def _prepare(self) -> Encoding:
        """Encode the text (and generate)."""

    @abstractmethod
    def _embed(self, encoding: Encoding) -> Tensor:
        """[1, inputs, hidden]"""

    @abstractmethod
    def _forward(self, embeddings: Tensor) -> Tensor:
        """[batch, inputs, hidden] → logits [positions, batch, classes], a position for each output."""

    @abstractmethod
    def _finish(self, logits: Tensor) -> None:
        """Set ``_ids`` [outputs], the explained class or token at each position, and ``prediction``."""

    @abstractmethod
    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        """The explained outputs."""

    @abstractmethod
    def attention(self, layer: int, head: int) -> tuple[Tensor, tuple[str, ...]]:
        """Attention weights [outputs, inputs] of one layer and head (-1: the mean over heads), and what to know about them."""

    # What methods use.

    @property
    def embeddings(self) -> Tensor:
        """[inputs, hidden]"""
        return self._root.detach()[0]

    @property
    def values(self) -> Tensor:
        """f(x) [outputs]"""
        return self._root_values.detach()

    @property
    def quantity(self) -> str:
        return self.target.quantity.replace("_", " ")

    def gradient(self) -> Tensor:
        """∂f/∂embeddings at the text itself, [outputs, inputs, hidden], from the forward pass that made the prediction."""
        rows = []
        for value in self._root_values:
            self.deadline.check()
            rows.append(torch.autograd.grad(value, self._root, retain_graph=True)[0][0])
        return torch.stack(rows)

    @torch.enable_grad()
    def gradients(self, points: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """f and its gradient at ``points`` [batch, inputs, hidden], chunk by chunk.

        Yields (rows of ``points``, values [outputs, rows], gradients [outputs, rows, inputs, hidden]).
        """
        for rows in self._chunks(points):
            leaf = points[rows].detach().requires_grad_()
            values = self._values(self._forward(leaf))
            last = len(values) - 1
            found = [torch.autograd.grad(v.sum(), leaf, retain_graph=k < last)[0] for k, v in enumerate(values)]
            yield rows, values.detach(), torch.stack(found)

    @torch.no_grad()
    def evaluate(self, points: Tensor) -> Tensor:
        """f at ``points`` [batch, inputs, hidden]: values [outputs, batch]."""
        return torch.cat([self._values(self._forward(points[rows])) for rows in self._chunks(points)], dim=1)

    @torch.no_grad()
    def baseline(self, kind: str) -> Tensor:
        """An input that says nothing, [inputs, hidden]: every token but the special ones replaced.

        ``kind`` is ``auto``, ``pad``, ``mask``, ``unk``, ``eos`` (that token's embedding), ``mean`` (of the whole vocabulary) or
        ``zero``. Raises ``BadOption`` where the model has no such token, or for ``zero`` under root-mean-square normalisation.
        """
        if kind == "zero":
            if self.adapter.normalises_by_root_mean_square:
                raise BadOption(
                    "A zero baseline is void for this model: it divides by the root mean square, which is 0 there.",
                    "Use 'auto', 'pad' or 'mean'.",
                )
            nothing = torch.zeros_like(self.embeddings)
        elif kind == "mean":
            table = self.adapter.embedding
            nothing = table(torch.arange(table.num_embeddings, device=self._root.device)).mean(0).expand_as(self.embeddings)
        else:
            nothing = self._embed_token(self.adapter.baseline_id(kind))
        special = torch.tensor([token.special for token in self.tokens], device=self._root.device)
        return torch.where(special[:, None], self.embeddings, nothing)

    def _embed_token(self, index: int) -> Tensor:
        """The embedding of one token at every place, [inputs, hidden]."""
        ids = torch.full((1, len(self.tokens)), index, device=self._root.device)
        return self.adapter.embedding(ids)[0]

    def _chunks(self, points: Tensor) -> Iterator[slice]:
        size = max(1, self.adapter.settings.rows_per_batch_tokens // points.shape[1])
        for start in range(0, len(points), size):
            self.deadline.check()
            yield slice(start, min(start + size, len(points)))

    def _values(self, logits: Tensor) -> Tensor:
        """Logits [positions, batch, classes] → the explained numbers [outputs, batch]."""
        wanted = self._ids[:, None, None].expand(-1, logits.shape[1], 1)
        return quantify(logits, self.target.quantity, self.adapter.multi_label).gather(2, wanted)[:, :, 0]

    _ids: Tensor


def quantify(logits: Tensor, quantity: str, multi_label: bool = False) -> Tensor:
    """Logits [..., classes] → logits, log-probabilities or probabilities of the same shape."""
    logits = logits.float()
    if quantity == "logit":
        return logits
    logs = torch.nn.functional.logsigmoid(logits) if multi_label else logits.log_softmax(-1)
    return logs if quantity == "log_probability" else logs.exp()


class Classification(Objective):
    """f = one class of a sequence classifier."""

    def _prepare(self) -> Encoding:
        self._encoding = self.adapter.encode(self.text)
        self.tokens = self._encoding.tokens
        return self._encoding

    def _embed(self, encoding: Encoding) -> Tensor:
        return self.adapter.embedding(encoding.ids).detach()

    def _forward(self, embeddings: Tensor) -> Tensor:
        return self.adapter.model(inputs_embeds=embeddings, **self._extra(len(embeddings))).logits[None]

    def _extra(self, batch: int) -> dict[str, Tensor]:
        return {k: v.expand(batch, -1) for k, v in self._encoding.inputs.items() if k != "input_ids"}

    def _finish(self, logits: Tensor) -> None:
        row = logits[0, 0]
        self._ids = torch.tensor([self.adapter.class_index(self.target.label, row)], device=row.device)
        probabilities = quantify(row, "probability", self.adapter.multi_label).tolist()
        self.prediction = Prediction(self.adapter.info.labels, tuple(row.float().tolist()), tuple(probabilities))

    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        index = int(self._ids[0])
        yield Output(self.prediction.labels[index], index, values[0], self.prediction.probabilities[index])

    @torch.no_grad()
    def attention(self, layer: int, head: int) -> tuple[Tensor, tuple[str, ...]]:
        found = self.adapter.eager(inputs_embeds=self._root.detach(), output_attentions=True, **self._extra(1)).attentions
        place = -1 if self.adapter.reads_last else 0
        seen = f"the row of {self.tokens[place].text or 'the last token'}, which the classification head reads"
        return _pick(found, layer, head)[place][None], (f"Shown: {seen}.",)

    def classify(self, rows: Sequence[str]) -> Tensor:
        """The explained quantity of every class for changed texts, [batch, classes]; equal texts are computed once."""
        unique = sorted(set(rows), key=len)
        per_batch = max(1, self.adapter.settings.rows_per_batch_tokens // len(self.tokens))
        found: dict[str, Tensor] = {}
        for start in range(0, len(unique), per_batch):
            self.deadline.check()
            part = unique[start : start + per_batch]
            found.update(zip(part, self.adapter.classify(part), strict=True))
        logits = torch.stack([found[row] for row in rows])
        return quantify(logits, self.target.quantity, self.adapter.multi_label)


class _Generation(Objective):
    """f = the model's generated tokens, scored together by one teacher-forced pass; causal masks keep each from its successors."""

    _generated: list[int]
    _shown: list[int]

    def _generate(self, encoding: Encoding, room: int) -> list[int]:
        self.deadline.check()
        end = getattr(getattr(self.adapter.model, "generation_config", None), "eos_token_id", None)
        with torch.no_grad():
            row = self.adapter.model.generate(
                encoding.ids,
                attention_mask=torch.ones_like(encoding.ids),
                max_new_tokens=min(self.target.max_new_tokens, room),
                do_sample=False,
                num_beams=1,
                pad_token_id=self.adapter.baseline_id("auto"),
            )[0].tolist()
        new = row[encoding.ids.shape[1] :] if self.adapter.task == "causal" else row[1:]
        ends = set(end) if isinstance(end, list) else {end}
        # The end mark is a token too, but says nothing to a person: explained only where there is nothing else.
        if len(new) > 1 and new[-1] in ends:
            new = new[:-1]
        if not new:
            raise EmptyInput("The model generated nothing for this text.", "Please try another text.")
        return new

    def _generated_tokens(self, before: list[int]) -> None:
        """Set ``_pieces``, the generated tokens with their spans in the generated text, and that text."""
        decode = self.adapter.tokenizer.decode
        lead = decode(before, skip_special_tokens=True, clean_up_tokenization_spaces=False) if before else ""
        ends = []
        for k in range(len(self._generated)):
            row = before + self._generated[: k + 1]
            whole = decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            whole = whole[len(lead) :] if whole.startswith(lead) else whole
            # A character whose bytes are not complete yet decodes to U+FFFD: it belongs to the token that completes it.
            ends.append(len(whole.rstrip("\ufffd")) if k + 1 < len(self._generated) else len(whole))
        self._written = whole
        special = set(self.adapter.tokenizer.all_special_ids)
        pieces = []
        start = 0
        for k, index in enumerate(self._generated):
            end = next((e for e in ends[k:] if e > start), start)
            if index in special:
                pieces.append(
                    Token(self.adapter.tokenizer.convert_ids_to_tokens(index), index, start, start, True, None, "generated")
                )
                continue
            a, b = texts.whole_characters(self._written, start, end)
            pieces.append(Token(self._written[a:b], index, a, b, False, texts.word_at(self._written, a), "generated"))
            start = max(start, ends[k])
        self._pieces = tuple(pieces)

    def _choose(self) -> None:
        label, count = self.target.label, len(self._generated)
        if label is None:
            self._shown = list(range(count))
            return
        position = int(label) if isinstance(label, int) or label.lstrip("-").isdecimal() else None
        if position is None or not 0 <= position < count:
            raise UnknownTarget(
                f"There is no generated token {str(label)[:40]!r}.",
                f"Tokens are numbered from 0 to {count - 1}; leave it empty for all.",
            )
        self._shown = [position]

    def _finish(self, logits: Tensor) -> None:
        every = torch.tensor(self._generated, device=logits.device)
        self._ids = every[self._shown]
        row = logits[:, 0].float()
        chosen = row.gather(1, every[:, None])[:, 0]
        self._chances = row.log_softmax(-1).exp().gather(1, every[:, None])[:, 0].tolist()
        labels = tuple(piece.text for piece in self._pieces)
        self.prediction = Prediction(labels, tuple(chosen.tolist()), tuple(self._chances), self._written)

    def _values(self, logits: Tensor) -> Tensor:
        return super()._values(logits[self._shown])

    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        for k, value in zip(self._shown, values, strict=True):
            piece = self._pieces[k]
            yield Output(piece.text, piece.id, value, self._chances[k], piece.start, piece.end)


class Causal(_Generation):
    """f = generated tokens of a decoder. Inputs: the text, then the generated tokens but the last."""

    def _prepare(self) -> Encoding:
        encoding = self.adapter.encode(self.text, reserve=1)
        prompt = encoding.ids[0].tolist()
        self._generated = self._generate(encoding, self.adapter.max_tokens - len(prompt))
        self._generated_tokens(prompt)
        self._choose()
        self.tokens = encoding.tokens + self._pieces[:-1]
        return encoding

    def _embed(self, encoding: Encoding) -> Tensor:
        prefix = torch.tensor([self._generated[:-1]], dtype=encoding.ids.dtype, device=encoding.ids.device)
        return self.adapter.embedding(torch.cat([encoding.ids, prefix], dim=1)).detach()

    def _forward(self, embeddings: Tensor) -> Tensor:
        count = len(self._generated)
        keep = {"logits_to_keep": count} if "logits_to_keep" in self.adapter.forward_names else {}
        return self.adapter.model(inputs_embeds=embeddings, use_cache=False, **keep).logits[:, -count:].transpose(0, 1)

    @torch.no_grad()
    def attention(self, layer: int, head: int) -> tuple[Tensor, tuple[str, ...]]:
        found = self.adapter.eager(inputs_embeds=self._root.detach(), use_cache=False, output_attentions=True).attentions
        return _pick(found, layer, head)[-len(self._generated) :][self._shown], (
            "Shown: for each generated token, the row of the token before it, from which it was predicted.",
        )


class Seq2Seq(_Generation):
    """f = generated tokens of an encoder-decoder. Inputs: the text, the decoder's start token, the generated tokens but the last."""

    def _prepare(self) -> Encoding:
        encoding = self.adapter.encode(self.text)
        self._source = len(encoding.tokens)
        self._generated = self._generate(encoding, self.adapter.settings.max_new_tokens)
        self._generated_tokens([])
        self._choose()
        start = getattr(self.adapter.config, "decoder_start_token_id", None)
        if start is None:
            raise Unsupported("This model's configuration has no decoder_start_token_id.", "Set it before loading.")
        self._begin = Token(self.adapter.tokenizer.convert_ids_to_tokens(start), start, 0, 0, True, None, "generated")
        self.tokens = (*encoding.tokens, self._begin, *self._pieces[:-1])
        return encoding

    def _embed(self, encoding: Encoding) -> Tensor:
        prefix = torch.tensor([[self._begin.id, *self._generated[:-1]]], device=encoding.ids.device)
        return torch.cat([self.adapter.embedding(encoding.ids), self.adapter.decoder_embedding(prefix)], dim=1).detach()

    def _embed_token(self, index: int) -> Tensor:
        ids = torch.full((1, 1), index, device=self._root.device)
        source = self.adapter.embedding(ids)[0].expand(self._source, -1)
        prefix = self.adapter.decoder_embedding(ids)[0].expand(len(self.tokens) - self._source, -1)
        return torch.cat([source, prefix])

    def _split(self, embeddings: Tensor) -> dict[str, Tensor]:
        return {"inputs_embeds": embeddings[:, : self._source], "decoder_inputs_embeds": embeddings[:, self._source :]}

    def _forward(self, embeddings: Tensor) -> Tensor:
        return self.adapter.model(**self._split(embeddings), use_cache=False).logits.transpose(0, 1)

    @torch.no_grad()
    def attention(self, layer: int, head: int) -> tuple[Tensor, tuple[str, ...]]:
        found = self.adapter.eager(**self._split(self._root.detach()), use_cache=False, output_attentions=True)
        source = _pick(found.cross_attentions, layer, head)
        prefix = _pick(found.decoder_attentions, layer, head)
        return torch.cat([source, prefix], dim=1)[self._shown], (
            "Shown: cross-attention over the text, and the decoder's self-attention over the generated tokens; each adds up to 1.",
        )


def _pick(attentions: Sequence[Tensor], layer: int, head: int) -> Tensor:
    """Of [layers] × [1, heads, queries, keys]: one layer (-1: the last) and one head or the mean, [queries, keys]."""
    if layer >= len(attentions):
        raise BadOption(f"layer is {layer}.", f"This model's layers are 0 to {len(attentions) - 1}; -1 is the last.")
    heads = attentions[layer][0].float()
    if head >= len(heads):
        raise BadOption(f"head is {head}.", f"This model's heads are 0 to {len(heads) - 1}; -1 is their mean.")
    return heads.mean(0) if head < 0 else heads[head]


OBJECTIVES: dict[str, type[Objective]] = {"classification": Classification, "causal": Causal, "seq2seq": Seq2Seq}


def objective(adapter: Adapter, text: str, target: Target, deadline: Deadline, *, differentiable: bool) -> Objective:
    """The explained function for a cleaned text. ``differentiable`` keeps the graph of the first pass for ``gradient()``."""
    return OBJECTIVES[adapter.task](adapter, text, target, deadline, differentiable=differentiable)
