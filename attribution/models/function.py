"""A model that only answers texts: any function ``texts → probabilities``, such as a pipeline, a rule or a remote endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from attribution import text as texts
from attribution.errors import BadOption, NotFinite, Unsupported
from attribution.models.features import Features
from attribution.models.labels import classes, contrasts
from attribution.models.objective import Deadline, Perturbable
from attribution.models.tasks import classification
from attribution.settings import DEFAULTS, Settings
from attribution.types import ModelInfo, Need, Output, Prediction, Target, Token

Row = str | tuple[str, str]
Answers = Callable[[list[Any]], "np.ndarray | Sequence[Sequence[float]]"]
"""Texts → probabilities [texts, classes]; of pairs of texts, where a second one is given."""

HIDDEN = "[MASK]"
"""Stands for a hidden feature where ``hide`` is ``mask``."""
SMALLEST = 1e-12


class Function:
    """A function behind the same door as a loaded model, for the methods that need nothing but answers to changed texts.

    ``labels`` name the classes; ``batch`` texts are asked at once. Raises ``Unsupported`` for labels that are no list of names.
    """

    task = classification.TASK
    gives: frozenset[Need] = frozenset({"texts"})
    multi_label = False
    bytes = 0

    def __init__(
        self,
        function: Answers,
        labels: Sequence[str],
        *,
        name: str = "",
        batch: int = 64,
        parameters: int = 0,
        settings: Settings = DEFAULTS,
    ) -> None:
        if isinstance(labels, str) or not labels or not all(isinstance(label, str) for label in labels):
            raise Unsupported(
                "A function needs names for its classes.",
                'Call load(function, labels=("negative", "positive")).',
            )
        self.function, self.batch, self.settings = function, batch, settings
        name = name or getattr(function, "__name__", type(function).__name__)
        self.info = ModelInfo(name, None, type(function).__name__, self.task.name, tuple(labels), parameters)

    def __call__(self, rows: Sequence[Row], deadline: Deadline) -> Tensor:
        """Probabilities [rows, classes], float64. Raises ``NotFinite`` or ``Unsupported`` for answers that are none."""
        found = []
        for start in range(0, len(rows), self.batch):
            deadline.check()
            part = list(rows[start : start + self.batch])
            shape = (len(part), len(self.info.labels))  # before the call, which may change its list
            given = self.function(part)
            if isinstance(given, Tensor):
                given = given.detach().double().cpu().numpy()
            try:
                answer = np.asarray(given, dtype=np.float64)
                what = str(answer.shape)
            except (TypeError, ValueError, RuntimeError):
                answer, what = np.empty(0), f"a {type(given).__name__} that is no array of numbers"
            if answer.shape != shape:
                raise Unsupported(
                    f"The function gave {what} for {shape[0]} texts and {shape[1]} labels.",
                    "It must give a probability for each text and label: [texts, labels].",
                )
            if not np.isfinite(answer).all() or (answer < -1e-6).any() or (answer > 1 + 1e-6).any():
                raise NotFinite(
                    "The function's answers are not probabilities.", "Each must be a number from 0 to 1."
                )
            # clip makes a copy: a function may fill one array again and again.
            found.append(torch.from_numpy(answer.clip(0.0, 1.0)))
        return torch.cat(found)


class FunctionObjective(Perturbable):
    """f = one class of a function; the inputs are the words of the text (of both texts of a pair)."""

    def __init__(
        self, function: Function, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> None:
        if target.position is not None or target.continuation is not None:
            raise BadOption(
                "A function of texts has classes, no positions.", "Leave position and continuation out."
            )
        self.function, self.text, self.second, self.target, self.deadline = (
            function,
            text,
            second,
            target,
            deadline,
        )
        self.tokens = tuple(token for segment in ("text", "second") for token in self._words(segment))
        said = function([self._whole(text, second)], deadline)[0]
        labels = function.info.labels
        self._ids = classes(labels, target.label, said)
        self._against = contrasts(labels, target.contrast, [said] * len(self._ids), self._ids)
        self.prediction = Prediction(labels, tuple(_logit(said).tolist()), tuple(said.tolist()))
        self._values = self._read(said[None])[:, 0]
        against: Sequence[int | None] = self._against or [None] * len(self._ids)
        self.outputs = tuple(
            Output(labels[i], i, float(v), float(said[i]), contrast="" if k is None else labels[k])
            for i, k, v in zip(self._ids, against, self._values, strict=True)
        )

    @property
    def values(self) -> Tensor:
        return self._values

    @property
    def quantity(self) -> str:
        words = "log-odds" if self.target.quantity == "logit" else self.target.quantity.replace("_", " ")
        return words if self.target.contrast is None else f"difference of {words}"

    def hidden(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        if hide not in ("auto", "delete", "mask"):
            raise BadOption(
                f"This model only answers texts: nothing in them stands for {hide!r}.",
                "Use 'delete' or 'mask'.",
            )
        filler = HIDDEN if hide == "mask" else ""
        unique, back = np.unique(np.asarray(present, dtype=bool), axis=0, return_inverse=True)
        kept = features.kept(unique, len(self.tokens))
        rows = [self._without(row, filler) for row in kept]
        distinct = sorted(set(rows))  # in a fixed order, whatever the hash seed
        answers = dict(zip(distinct, self.function(distinct, self.deadline), strict=True))
        return self._read(torch.stack([answers[row] for row in rows]))[:, torch.from_numpy(back.reshape(-1))]

    def _anew(self) -> Self:
        said = torch.tensor(self.prediction.probabilities, dtype=torch.float64)
        self._values = self._read(said[None])[:, 0]
        self._valued(self._values)
        return self

    def _words(self, segment: str) -> list[Token]:
        source = self.text if segment == "text" else self.second or ""
        return [
            Token(source[a:b], i, a, b, word=i, segment=segment)  # type: ignore[arg-type]
            for i, (a, b) in enumerate(texts.words(source))
        ]

    def _without(self, kept: np.ndarray, filler: str) -> Row:
        """The text with each hidden word replaced by ``filler``.

        Where that is nothing, one of the spaces around a run of hidden words goes too: the longer one stays, and none at the
        text's ends, so that what is left reads as if it had been typed.
        """
        parts = {"text": self.text, "second": self.second}
        for segment, source in parts.items():
            if source is None:
                continue
            made, at, before = "", 0, ""
            gone = False
            for i, token in enumerate(self.tokens):
                if token.segment != segment:
                    continue
                gap = source[at : token.start]
                if filler:
                    made += gap + (token.text if kept[i] else filler)
                elif kept[i]:
                    joint = max(before, gap, key=len) if gone else gap
                    made += (joint if made or not gone else "") + token.text
                elif not gone:
                    before = gap
                at, gone = token.end, not kept[i]
            parts[segment] = made + source[at:]
        return self._whole(parts["text"] or "", parts["second"])

    @staticmethod
    def _whole(text: str, second: str | None) -> Row:
        return text if second is None else (text, second)

    def _read(self, probabilities: Tensor) -> Tensor:
        """[rows, classes] → the explained numbers [outputs, rows]."""
        if self.target.quantity == "probability":
            numbers = probabilities
        else:
            numbers = (
                probabilities.clamp_min(SMALLEST).log()
                if self.target.quantity == "log_probability"
                else _logit(probabilities)
            )
        found = numbers[:, self._ids].T
        return found if self._against is None else found - numbers[:, self._against].T


def _logit(probabilities: Tensor) -> Tensor:
    """log(p / (1 − p)), the log-odds of each class against all others; what an answer of 0 or 1 leaves finite."""
    safe = probabilities.clamp(SMALLEST, 1 - SMALLEST)
    return safe.log() - (1 - safe).log()
