"""What causal and encoder-decoder readers share: all tokens are explained by one teacher-forced pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attribution import text as texts
from attribution.errors import BadOption, EmptyInput, TooLong, UnknownTarget
from attribution.models.adapter import Adapter
from attribution.models.calls import translate_errors
from attribution.models.deadline import Deadline
from attribution.models.encoding import Encoding
from attribution.models.reader import Reader
from attribution.models.scoring.worker import WORKER
from attribution.models.targets.choice import UNREAD, Choice, check_positions
from attribution.models.targets.vocabulary import against_ids, token_id
from attribution.models.writing.writer import Written
from attribution.request import Target
from attribution.types import Label, Output, Prediction, Token

SEQUENCE = "sequence"
REPLACEMENT = "\ufffd"
"""What bytes that are no character decode to."""


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """A generated or given text: token ``ids``, ``tokens`` with their spans in ``text``, and ``notes``."""

    ids: tuple[int, ...]
    tokens: tuple[Token, ...]
    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Aim:
    """What is explained: ``positions``, as one number if ``joint``, or another token (``label``)."""

    positions: tuple[int, ...]
    joint: bool
    label: Label | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Generation(Reader):
    """f = the generated tokens, each explained by the text and the tokens before it.

    Outputs: every generated token, those that the target names, or (position ``"sequence"``) all of them as
    one number: the sum of their logits or log-probabilities, or the product of their probabilities.
    """

    encoding: Encoding
    generated: GeneratedText
    aim: Aim

    def choose(self, logits: Tensor) -> Choice:
        ids = torch.tensor(self.generated.ids, device=logits.device)
        rows = logits[:, 0].float()
        probabilities = rows.log_softmax(-1).exp()
        prediction = Prediction(
            tuple(token.text for token in self.generated.tokens),
            tuple(rows.gather(1, ids[:, None])[:, 0].tolist()),
            tuple(probabilities.gather(1, ids[:, None])[:, 0].tolist()),
            self.generated.text,
        )
        positions, label = list(self.aim.positions), self.aim.label
        explained = ids[positions].tolist() if label is None else [token_id(self.adapter, label)]
        chances = [float(probabilities[p, i]) for p, i in zip(positions, explained, strict=True)]
        against = against_ids(self.adapter, self.target.contrast, [rows[p] for p in positions], explained)
        if self.aim.joint:
            outputs = [self._joint_output(chances)]
        else:
            outputs = [
                self._output(place, index, chances[k], None if against is None else against[k])
                for k, (place, index) in enumerate(zip(positions, explained, strict=True))
            ]
        return Choice(
            positions=tuple(positions),
            ids=torch.tensor(explained, device=logits.device),
            outputs=tuple(outputs),
            prediction=prediction,
            quantity=self.target.quantity,
            against=None if against is None else torch.tensor(against, device=logits.device),
            multi_label=self.adapter.multi_label,
            joint=self.aim.joint,
            notes=self._overruled(rows, ids),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        return self.generated.notes

    def _overruled(self, rows: Tensor, ids: Tensor) -> tuple[str, ...]:
        """Whether the model's settings overruled its logits ``rows`` [tokens, classes]."""
        choosing = self.adapter.writer.choosing
        if not choosing or self.target.continuation is not None:
            return ()
        overruled = (rows.argmax(-1) != ids)[int(ids[0] == self.adapter.writer.forced) :]
        count = int(overruled.sum())
        if not count:
            return ()
        return (
            f"The model's settings ({', '.join(choosing)}) chose {count} of the {len(overruled)} tokens "
            "against more probable ones. The numbers explained are the model's own, before those settings.",
        )

    def _joint_output(self, chances: Sequence[float]) -> Output:
        chance = float(torch.tensor(chances, dtype=torch.float64).log().sum().exp())
        return Output(self.generated.text, -1, UNREAD, chance, 0, len(self.generated.text))

    def _output(self, place: int, index: int, chance: float, against: int | None) -> Output:
        token, text_of = self.generated.tokens[place], self.adapter.text_of
        text = token.text if index == token.id else text_of([index]).strip() or text_of([index])
        other = "" if against is None else text_of([against])
        return Output(text, index, UNREAD, chance, token.start, token.end, place, other)

    def visible(self, choice: Choice) -> Tensor:
        visible = super().visible(choice)
        if not choice.joint:
            first = len(self.tokens) - (len(self.generated.ids) - 1)
            for row, place in enumerate(choice.positions):
                visible[row, first + place :] = False
        return visible

    def deletable(self, choice: Choice) -> Tensor:
        text = [i for i, token in enumerate(self.tokens) if token.segment == "text"]
        deletable = super().deletable(choice)
        deletable &= torch.tensor([token.segment != "generated" for token in self.tokens])
        deletable[text[-1]] = False  # a decoder's first token is predicted from it
        return deletable


def check_continuation(adapter: Adapter, ids: list[int], room: int) -> list[int]:
    """The tokens of a given continuation. Raises ``TooLong``, ``EmptyInput``."""
    limit = min(room, adapter.settings.max_new_tokens)
    if len(ids) > limit:
        raise TooLong(
            f"The continuation has {len(ids)} tokens; {limit} at most are explained here.",
            "Please shorten it.",
        )
    if not ids:
        raise EmptyInput("The continuation is empty.", "Give a text, or leave it out to let the model write.")
    return ids


def write(adapter: Adapter, encoding: Encoding, count: int, deadline: Deadline) -> Written:
    """Generate at most ``count`` tokens after (for an encoder-decoder: for) a text.

    Raises ``Unsupported`` for a model that cannot generate.
    """
    with translate_errors(adapter.model, "generate"):
        return WORKER.call(lambda: adapter.writer.write(encoding.ids, count), deadline)


def read_generated(
    adapter: Adapter, ids: Sequence[int], before: list[int], notes: tuple[str, ...] = ()
) -> GeneratedText:
    """Generated tokens with their spans in the generated text, which follows the tokens ``before``."""
    text, spans = _decode(adapter, ids, before)
    special = set(adapter.tokenizer.all_special_ids)
    tokens = []
    for index, (start, end) in zip(ids, spans, strict=True):
        if index in special:
            name = adapter.tokenizer.convert_ids_to_tokens(index)
            tokens.append(Token(name, index, start, start, True, None, "generated"))
            continue
        a, b = texts.snap_to_characters(text, start, end)
        tokens.append(Token(text[a:b], index, a, b, False, texts.word_of(text, a, b), "generated"))
    return GeneratedText(tuple(ids), tuple(tokens), text, notes)


def _decode(adapter: Adapter, ids: Sequence[int], before: list[int]) -> tuple[str, list[tuple[int, int]]]:
    """The text of ``ids`` after ``before``, and where in it each of them is.

    The tokens of a character that is split between them all have its span. Bytes that are no character decode
    to U+FFFD, which is the span of its own tokens only.
    """

    def decode(row: list[int]) -> str:
        return str(
            adapter.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    lead = decode(before) if before else ""
    prefixes = [decode([*before, *ids[: k + 1]]).removeprefix(lead) for k in range(len(ids))]
    text = prefixes[-1]
    ends = [_agree(prefix, text) for prefix in prefixes]
    spans, start = [], 0
    for k, prefix in enumerate(prefixes):
        if ends[k] <= start and len(prefix) == start and text[:start].endswith(REPLACEMENT):
            spans.append((start - 1, start))  # one more byte of what is no character
            continue
        end = next((later for later in ends[k:] if later > start), start)  # or a part of the next character
        spans.append((start, end))
        start = max(start, ends[k])
    return text, spans


def _agree(prefix: str, text: str) -> int:
    """How many first characters agree: a character that is not complete yet decodes to U+FFFD."""
    pairs = enumerate(zip(prefix, text, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(prefix), len(text)))


def aim_at(target: Target, count: int, *, forced: bool = False) -> Aim:
    """Resolve which of ``count`` generated tokens a target names, before anything is computed.

    The first of several tokens is no part of the sequence if the model's settings ``forced`` it.
    Raises ``UnknownTarget``, ``BadOption``.
    """
    label, position = target.label, target.position
    if isinstance(label, tuple):
        raise UnknownTarget(
            "Generated text takes one token as target.", "Ask for several positions, or several times."
        )
    if position is None and label is not None and (isinstance(label, int) or label.isdecimal()):
        position, label = int(label), None
    joint = position == SEQUENCE
    first = int(forced and count > 1)
    positions = list(range(first, count)) if joint else check_positions(position, count, "generated token")
    if joint and (label is not None or target.contrast is not None):
        raise BadOption(
            "A whole sequence has no other token to explain.", "Give a continuation, or a position."
        )
    if label is not None and len(positions) > 1:
        raise UnknownTarget(
            f"Where should {str(label)[:40]!r} be explained?",
            f"Give a position from 0 to {count - 1} with it.",
        )
    return Aim(tuple(positions), joint, label)
