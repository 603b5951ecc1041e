"""What causal and encoder-decoder models share: generated (or given) tokens, explained together by one teacher-forced pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import torch
from torch import Tensor

from attribution import text as texts
from attribution.errors import BadOption, EmptyInput, TooLong, UnknownTarget
from attribution.models.adapter import Encoding
from attribution.models.objective import Objective, check_positions, quantify
from attribution.models.scorer import WORKER
from attribution.models.vocabulary import against, token_id
from attribution.types import Label, Output, Prediction, Token

SEQUENCE = "sequence"


class Generation(Objective):
    """f = the tokens that follow, each explained from the text and what stands before it; causal masks keep each from its successors.

    Outputs: every generated token, those that the target names, or (position ``"sequence"``) all of them as one number: the sum of
    their logits or log-probabilities, or the product of their probabilities.
    """

    _generated: list[int]
    _pieces: tuple[Token, ...]
    _written: str

    def _follow(self, encoding: Encoding, room: int) -> list[int]:
        """The tokens after the text: those of ``target.continuation``, or what the model generates; at most ``room``."""
        if self.target.continuation is not None:
            ids = self._continuation(self.target.continuation, encoding)
            limit = min(room, self.adapter.settings.max_new_tokens)
            if len(ids) > limit:
                raise TooLong(
                    f"The continuation has {len(ids)} tokens; {limit} at most are explained here.",
                    "Please shorten it.",
                )
            if not ids:
                raise EmptyInput(
                    "The continuation is empty.", "Give a text, or leave it out to let the model write."
                )
            return ids
        most = min(self.target.max_new_tokens, room)
        return WORKER.call(lambda: self.adapter.generate(encoding.ids, most), self.deadline)

    def _continuation(self, text: str, encoding: Encoding) -> list[int]:
        return self.adapter.pieces(text)

    def _spans(self, before: list[int]) -> None:
        """Set ``_pieces``, the generated tokens with their spans in the generated text, and that text, ``_written``."""
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
                    Token(
                        self.adapter.tokenizer.convert_ids_to_tokens(index),
                        index,
                        start,
                        start,
                        True,
                        None,
                        "generated",
                    )
                )
                continue
            a, b = texts.whole_characters(self._written, start, end)
            pieces.append(
                Token(self._written[a:b], index, a, b, False, texts.word_at(self._written, a), "generated")
            )
            start = max(start, ends[k])
        self._pieces = tuple(pieces)

    def _aim(self) -> None:
        """Set ``_shown``, the positions that are explained, before anything is computed."""
        label, position, count = self.target.label, self.target.position, len(self._generated)
        self._label: Label | None = None
        if isinstance(label, tuple):
            raise UnknownTarget(
                "Generated text takes one token as target.", "Ask for several positions, or several times."
            )
        self._label = label
        if (
            position is None
            and label is not None
            and not isinstance(label, tuple)
            and (isinstance(label, int) or label.isdecimal())
        ):
            position, self._label = int(label), None
        self._whole = position == SEQUENCE
        self._shown = (
            list(range(count)) if self._whole else check_positions(position, count, "generated token")
        )
        if self._whole and (self._label is not None or self.target.contrast is not None):
            raise BadOption(
                "A whole sequence has no other token to explain.", "Give a continuation, or a position."
            )
        if self._label is not None and len(self._shown) > 1:
            raise UnknownTarget(
                f"Where should {str(self._label)[:40]!r} be explained?",
                f"Give a position from 0 to {count - 1} with it.",
            )

    def _choose(self, logits: Tensor) -> None:
        every = torch.tensor(self._generated, device=logits.device)
        rows = logits[:, 0].float()
        chosen = rows.gather(1, every[:, None])[:, 0]
        chances = rows.log_softmax(-1).exp()
        labels = tuple(piece.text for piece in self._pieces)
        self.prediction = Prediction(
            labels,
            tuple(chosen.tolist()),
            tuple(chances.gather(1, every[:, None])[:, 0].tolist()),
            self._written,
        )
        self._places = self._shown
        ids = every[self._shown].tolist() if self._label is None else [token_id(self.adapter, self._label)]
        self._ids = torch.tensor(ids, device=logits.device)
        self._chances = [float(chances[p, i]) for p, i in zip(self._shown, ids, strict=True)]
        self._contrast = against(self.adapter, self.target.contrast, [rows[p] for p in self._shown], ids)
        self._against = None if self._contrast is None else torch.tensor(self._contrast, device=logits.device)

    def part(self, rows: Sequence[int]) -> Self:
        other = super().part(rows)
        if other is not self:
            other._shown = other._places
        return other

    def _values(self, logits: Tensor) -> Tensor:
        if not self._whole:
            return super()._values(logits)
        quantity = "logit" if self.target.quantity == "logit" else "log_probability"
        found = (
            quantify(logits, quantity)
            .gather(2, self._ids[:, None, None].expand(-1, logits.shape[1], 1))[:, :, 0]
            .sum(0, keepdim=True)
        )
        return found.exp() if self.target.quantity == "probability" else found

    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        if self._whole:
            chance = float(torch.tensor(self._chances, dtype=torch.float64).log().sum().exp())
            yield Output(self._written, -1, values[0], chance, 0, len(self._written))
            return
        for k, (place, index, value) in enumerate(zip(self._shown, self._ids.tolist(), values, strict=True)):
            piece = self._pieces[place]
            text = (
                piece.text
                if index == piece.id
                else self.adapter.text_of([index]).strip() or self.adapter.text_of([index])
            )
            other = "" if self._contrast is None else self.adapter.text_of([self._contrast[k]])
            yield Output(text, index, value, self._chances[k], piece.start, piece.end, place, other)

    @property
    def visible(self) -> Tensor:
        found = super().visible.clone()
        if not self._whole:
            first = len(self.tokens) - (len(self._generated) - 1)
            for row, place in enumerate(self._shown):
                found[row, first + place :] = False
        return found

    def _deletable(self) -> Tensor:
        text = [i for i, token in enumerate(self.tokens) if token.segment == "text"]
        found = super()._deletable() & torch.tensor([token.segment != "generated" for token in self.tokens])
        found[text[-1]] = False  # a decoder's first token is predicted from it
        return found
