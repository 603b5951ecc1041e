"""A black-box model: a function texts → probabilities, such as a pipeline or an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from attribution import text as texts
from attribution.errors import BadOption, DeadlineExceeded, NotFinite, Unsupported
from attribution.models.adapter import Adapter
from attribution.models.base_adapter import BaseAdapter
from attribution.models.deadline import Deadline
from attribution.models.features import Features
from attribution.models.perturbable import Perturbable
from attribution.models.targets.labels import classes, contrasts
from attribution.models.tasks import classification
from attribution.request import Target
from attribution.settings import DEFAULTS, Settings
from attribution.types import ModelInfo, Need, Output, Prediction, Quantity, Segment, Token

Row = str | tuple[str, str]
Answers = Callable[[list[Any]], "np.ndarray | Sequence[Sequence[float]]"]
"""Texts → probabilities [texts, classes]; of pairs of texts, where a second one is given."""

HIDDEN = "[MASK]"
"""Stands for a hidden feature where ``hide`` is ``mask``."""
SMALLEST = 1e-12


class Function(BaseAdapter):
    """A function as a model, for methods that only need its answers to changed texts.

    ``labels`` name the classes; each call passes at most ``batch`` texts; ``parameters`` and ``weights``
    (bytes) are those of the model that it calls. Raises ``Unsupported`` where labels are not a list of names.
    """

    task = classification.TASK
    gives: frozenset[Need] = frozenset({"texts"})

    def __init__(
        self,
        function: Answers,
        labels: Sequence[str],
        *,
        name: str = "",
        batch: int = 64,
        parameters: int = 0,
        weights: int = 0,
        settings: Settings = DEFAULTS,
    ) -> None:
        if isinstance(labels, str) or not labels or not all(isinstance(label, str) for label in labels):
            raise Unsupported(
                "A function needs names for its classes.",
                'Call load(function, labels=("negative", "positive")).',
            )
        self.function, self.batch, self.settings, self._weights = function, batch, settings, weights
        name = name or getattr(function, "__name__", type(function).__name__)
        self.info = ModelInfo(name, None, type(function).__name__, self.task.name, tuple(labels), parameters)

    @property
    def device(self) -> None:
        return None

    @property
    def multi_label(self) -> bool:
        return False

    @property
    def bytes(self) -> int:
        return self._weights

    def rows_at_once(self, width: int) -> int:
        return self.batch

    def __call__(self, rows: Sequence[Row], deadline: Deadline) -> Tensor:
        """Probabilities [rows, classes], float64.

        Raises ``NotFinite`` or ``Unsupported`` for answers that are not probabilities of that shape, and
        ``DeadlineExceeded`` between calls and after the last one.
        """
        answers: list[Tensor] = []
        deadline.meter.expect(len(rows))
        try:
            for start in range(0, len(rows), self.batch):
                deadline.check()
                answers.append(self._ask(list(rows[start : start + self.batch])))
                deadline.meter.advance(len(answers[-1]))
            deadline.check()  # a single call may have taken too long
        except DeadlineExceeded as error:
            done = sum(map(len, answers))
            raise DeadlineExceeded(
                f"{error.message} The function had answered {done:,} of {len(rows):,} texts.",
                "Use fewer samples or a faster function, or give it more time: Engine(replace(DEFAULTS, "
                "deadline_seconds=600)).attribute(...).",
            ) from error
        return torch.cat(answers)

    def _ask(self, rows: list[Row]) -> Tensor:
        shape = (len(rows), len(self.info.labels))  # before the call, which may change its list
        answer = self.function(rows)
        if isinstance(answer, Tensor):
            answer = answer.detach().double().cpu().numpy()
        try:
            probabilities = np.asarray(answer, dtype=np.float64)
            description = str(probabilities.shape)
        except (TypeError, ValueError, RuntimeError):
            probabilities = np.empty(0)
            description = f"a {type(answer).__name__} that is no array of numbers"
        if probabilities.shape != shape:
            raise Unsupported(
                f"The function gave {description} for {shape[0]} texts and {shape[1]} labels.",
                "It must give a probability for each text and label: [texts, labels].",
            )
        if (
            not np.isfinite(probabilities).all()
            or (probabilities < -1e-6).any()
            or (probabilities > 1 + 1e-6).any()
        ):
            raise NotFinite(
                "The function's answers are not probabilities.", "Each must be a number from 0 to 1."
            )
        # clip makes a copy: a function may fill one array again and again.
        return torch.from_numpy(probabilities.clip(0.0, 1.0))


@dataclass(frozen=True)
class WordText:
    """A text (or pair) whose inputs are its words."""

    text: str
    second: str | None = None

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        return (*_words(self.text, "text"), *_words(self.second or "", "second"))

    @property
    def row(self) -> Row:
        """The argument that the function gets: a text, or a pair."""
        return self.text if self.second is None else (self.text, self.second)

    def without(self, present: np.ndarray, filler: str) -> Row:
        """A copy with each word that is not ``present``, bool [inputs], replaced by ``filler``."""
        text, second = (
            _without_words(
                source,
                [(t, bool(present[i])) for i, t in enumerate(self.tokens) if t.segment == segment],
                filler,
            )
            for segment, source in (("text", self.text), ("second", self.second or ""))
        )
        return WordText(text, None if self.second is None else second).row


@dataclass(frozen=True, eq=False, kw_only=True)
class FunctionObjective(Perturbable):
    """f for a black-box function; the inputs are the words of the text (of both texts of a pair).

    ``probabilities`` [classes] are the function's answer to the text itself, ``ids`` the explained classes,
    and ``against`` the classes that they are contrasted with.
    """

    function: Function
    source: WordText
    explained: Target
    probabilities: Tensor
    ids: tuple[int, ...]
    against: tuple[int, ...] | None
    deadline: Deadline
    companion: Adapter | None = None
    previews: bool = False

    @classmethod
    def explain(
        cls, function: Function, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> Self:
        """Explain a target, chosen by the function's answer. Raises ``BadOption``, ``UnknownTarget``."""
        if target.position is not None or target.continuation is not None:
            raise BadOption(
                "A function of texts has classes, no positions.", "Leave position and continuation out."
            )
        source = WordText(text, second)
        probabilities = function([source.row], deadline)[0]
        labels = function.info.labels
        ids = classes(labels, target.label, probabilities)
        against = contrasts(labels, target.contrast, [probabilities] * len(ids), ids)
        return cls(
            function=function,
            source=source,
            explained=target,
            probabilities=probabilities,
            ids=tuple(ids),
            against=None if against is None else tuple(against),
            deadline=deadline,
        )

    @property
    def text(self) -> str:
        return self.source.text

    @property
    def second(self) -> str | None:
        return self.source.second

    @property
    def target(self) -> Target:
        return self.explained

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self.source.tokens

    @property
    def adapter(self) -> Function:
        return self.function

    @cached_property
    def prediction(self) -> Prediction:
        logits = _log_odds(self.probabilities)
        labels = self.function.info.labels
        return Prediction(labels, tuple(logits.tolist()), tuple(self.probabilities.tolist()))

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        labels = self.function.info.labels
        against: Sequence[int | None] = self.against or [None] * len(self.ids)
        return tuple(
            Output(labels[i], i, value, float(self.probabilities[i]), contrast="" if k is None else labels[k])
            for i, k, value in zip(self.ids, against, self.values.tolist(), strict=True)
        )

    @cached_property
    def values(self) -> Tensor:
        return self._read(self.probabilities[None])[:, 0]

    @property
    def quantity(self) -> str:
        words = "log-odds" if self.target.quantity == "logit" else self.target.quantity.replace("_", " ")
        return words if self.target.contrast is None else f"difference of {words}"

    def replace(
        self,
        *,
        deadline: Deadline | None = None,
        companion: Adapter | None = None,
        previews: bool | None = None,
    ) -> Self:
        return replace(
            self,
            deadline=self.deadline if deadline is None else deadline,
            companion=self.companion if companion is None else companion,
            previews=self.previews if previews is None else previews,
        )

    def part(self, rows: Sequence[int]) -> Self:
        against = None if self.against is None else tuple(self.against[k] for k in rows)
        return replace(self, ids=tuple(self.ids[k] for k in rows), against=against)

    def with_quantity(self, quantity: Quantity) -> Self:
        return replace(self, explained=replace(self.explained, quantity=quantity))

    def evaluate_features(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        if hide not in ("auto", "delete", "mask"):
            raise BadOption(
                f"This model only answers texts: nothing in them stands for {hide!r}.",
                "Use 'delete' or 'mask'.",
            )
        filler = HIDDEN if hide == "mask" else ""
        unique, back = np.unique(np.asarray(present, dtype=bool), axis=0, return_inverse=True)
        mask = features.present_inputs(unique, len(self.tokens))
        rows = [self.source.without(row, filler) for row in mask]
        distinct = sorted(set(rows))  # in a fixed order, whatever the hash seed
        answers = dict(zip(distinct, self.function(distinct, self.deadline), strict=True))
        return self._read(torch.stack([answers[row] for row in rows]))[:, torch.from_numpy(back.reshape(-1))]

    def _read(self, probabilities: Tensor) -> Tensor:
        """[rows, classes] → the explained numbers [outputs, rows]."""
        if self.target.quantity == "probability":
            numbers = probabilities
        elif self.target.quantity == "log_probability":
            numbers = probabilities.clamp_min(SMALLEST).log()
        else:
            numbers = _log_odds(probabilities)
        values = numbers[:, list(self.ids)].T
        return values if self.against is None else values - numbers[:, list(self.against)].T


def _words(source: str, segment: Segment) -> list[Token]:
    return [
        Token(source[start:end], i, start, end, word=i, segment=segment)
        for i, (start, end) in enumerate(texts.words(source))
    ]


def _without_words(source: str, words: Sequence[tuple[Token, bool]], filler: str) -> str:
    """Replace the words of a text that are not present by ``filler``.

    An empty filler also removes one of the spaces around a run of hidden words: the longer one stays, and
    none at the ends of the text, so that the rest reads as if it had been typed.
    """
    text, at, before, is_gone = "", 0, "", False
    for token, is_present in words:
        gap = source[at : token.start]
        if filler:
            text += gap + (token.text if is_present else filler)
        elif is_present:
            joint = max(before, gap, key=len) if is_gone else gap
            text += (joint if text or not is_gone else "") + token.text
        elif not is_gone:
            before = gap
        at, is_gone = token.end, not is_present
    return text + source[at:]


def _log_odds(probabilities: Tensor) -> Tensor:
    """log(p / (1 − p)) of each class against all others; finite for probabilities of 0 and 1."""
    safe = probabilities.clamp(SMALLEST, 1 - SMALLEST)
    return safe.log() - (1 - safe).log()
