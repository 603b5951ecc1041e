"""One row of one attribution under test: its scores by word, and the model's answers with words hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attribution.errors import BadOption
from attribution.models import tasks
from attribution.types import Attribution, Token, span

if TYPE_CHECKING:
    from torch import Tensor

    from attribution.models.features import Features
    from attribution.models.perturbable import Perturbable
    from attribution.rationales import Rationale

CaseQuantity = Literal["probability", "log_probability", "explained"]
"""The quantity of a case's values; ``"explained"`` is the attribution's own."""


class Passes:
    """Values of f for one output with some words hidden, cached so that metrics and methods share passes.

    ``f`` is the attribution's explained function, ``row`` the output under test.
    """

    def __init__(self, f: Perturbable, row: int = 0) -> None:
        self.f, self.row = f, row
        self._single = f.part([row])
        self._cache: dict[tuple[str, str], dict[bytes, float]] = {}
        self._by_quantity: dict[str, Perturbable] = {}

    @property
    def probable(self) -> bool:
        """Whether the model gives the output a probability."""
        return self.f.outputs[self.row].probability is not None

    def values(
        self,
        features: Features,
        present: np.ndarray,
        hide: str = "auto",
        quantity: CaseQuantity = "probability",
    ) -> np.ndarray:
        """Values of f, float64 [rows], for ``present``, bool [rows, features].

        With a contrast, the probability is p / (p + p of the contrast). A model without probabilities gives
        f itself. Raises ``BadOption`` where the model has no such token to hide with.
        """
        cache = self._cache.setdefault((hide, quantity), {})
        keys = [row.tobytes() for row in np.ascontiguousarray(present, dtype=bool)]
        new = {key: i for i, key in enumerate(keys) if key not in cache}
        if new:
            computed = self._compute(features, present[list(new.values())], hide, quantity)
            cache.update(zip(new, computed.tolist(), strict=True))
        values: np.ndarray = np.array([cache[key] for key in keys])
        return values

    def _compute(
        self, features: Features, present: np.ndarray, hide: str, quantity: CaseQuantity
    ) -> np.ndarray:
        return self._read(quantity, lambda g: g.evaluate_features(features, present, hide))

    def at(self, points: Tensor) -> np.ndarray:
        """The probability at embeddings [rows, inputs, hidden], float64 [rows].

        Raises ``Unsupported`` for a function of texts.
        """
        return self._read("probability", lambda g: g.evaluate(points))

    def _read(self, quantity: CaseQuantity, evaluate: Callable[[Perturbable], Tensor]) -> np.ndarray:
        contrasted = quantity == "probability" and self.probable and self.f.target.contrast is not None
        function = self._in_quantity("log_probability" if contrasted else quantity)
        values: np.ndarray = evaluate(function)[0].detach().double().cpu().numpy()
        return 1 / (1 + np.exp(-values)) if contrasted else values

    def _in_quantity(self, quantity: CaseQuantity) -> Perturbable:
        """The function in that quantity; f itself where the model gives no probabilities."""
        if quantity == "explained" or not self.probable:
            return self._single
        if quantity not in self._by_quantity:
            self._by_quantity[quantity] = self._single.with_quantity(quantity)
        return self._by_quantity[quantity]


Repeat = Callable[..., "np.ndarray | None"]
"""Runs the method again with one change; see ``attribution.metrics.common.rerun.MethodRerun``."""


@dataclass(eq=False)
class Case:
    """What a metric sees.

    Parameters
    ----------
    attribution, row : the scores under test are one row of an attribution.
    passes : the model's answers for texts with hidden words; None where only the scores are available.
    marks : what people marked in the text, or None.
    rerun : runs the method again, or None.
    seed : of the random numbers that a metric draws.
    """

    attribution: Attribution
    row: int = 0
    passes: Passes | None = None
    marks: Rationale | None = None
    rerun: Repeat | None = None
    seed: int = 0
    _features: Features = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.row < len(self.attribution.outputs):
            raise BadOption(
                f"There is no output {self.row}.",
                f"They are numbered from 0 to {len(self.attribution.outputs) - 1}.",
            )
        if self.passes is not None and list(map(_place, self.passes.f.tokens)) != list(
            map(_place, self.attribution.tokens)
        ):
            raise BadOption(
                "The attribution's tokens are not those of the model.",
                "Pass the model that the attribution was made with.",
            )
        self._features = _words(self.attribution, self.row)

    # The scores.

    @property
    def f(self) -> Perturbable:
        """The explained function in the attribution's own quantity; ``outputs[row]`` is under test."""
        assert self.passes is not None
        return self.passes.f

    @property
    def features(self) -> Features:
        """The words that this output can see, as groups of inputs.

        Special tokens and the masked position itself are left out.
        """
        return self._features

    @property
    def words(self) -> tuple[str, ...]:
        return self._features.names

    @cached_property
    def scores(self) -> np.ndarray:
        """Scores by word, float64 [words]: the sum over the tokens of each word.

        Signed scores are larger, the more a word speaks for the output.
        """
        return self.sum_words(self.attribution.scores)

    @property
    def signed(self) -> bool:
        return self.attribution.signed

    @property
    def strength(self) -> np.ndarray:
        """Absolute scores, float64 [words]."""
        strength: np.ndarray = np.abs(self.scores)
        return strength

    @property
    def order(self) -> np.ndarray:
        """Indices of the words by falling score, ties in reading order."""
        indices: np.ndarray = np.argsort(-self.scores, kind="stable")
        return indices

    @property
    def constant(self) -> bool:
        """Whether all words have the same score, so that there is no order."""
        return bool(np.ptp(self.scores) == 0)

    def sum_words(self, scores: np.ndarray) -> np.ndarray:
        """The case's row of ``scores`` [outputs, inputs], summed over the tokens of each word: [words]."""
        sums: np.ndarray = np.array([scores[self.row, list(group)].sum() for group in self._features.groups])
        return sums

    # The model.

    def values(
        self, present: np.ndarray, hide: str = "auto", quantity: CaseQuantity = "probability"
    ) -> np.ndarray:
        """Values of f with only the words in ``present``, bool [rows, words]: float64 [rows].

        See ``Passes.values``.
        """
        assert self.passes is not None
        return self.passes.values(self._features, present, hide, quantity)

    def without(self, k: Sequence[int] | np.ndarray) -> np.ndarray:
        """Which words are present when the first ``k`` of ``order`` are hidden, bool [rows, words].

        One row for each k.
        """
        rank = np.argsort(self.order)
        present: np.ndarray = rank[None, :] >= np.asarray(k)[:, None]
        return present

    @property
    def probable(self) -> bool:
        """Whether the model gives probabilities; else ``values`` are f itself."""
        return self.passes is not None and self.passes.probable

    @property
    def full(self) -> float:
        """The probability of the unchanged text."""
        return float(self.values(np.ones((1, len(self.words)), dtype=bool))[0])

    def empty(self, hide: str = "auto") -> float:
        """The probability with every word hidden."""
        return float(self.values(np.zeros((1, len(self.words)), dtype=bool), hide)[0])

    # Human rationales, and the method itself.

    @cached_property
    def rationale(self) -> np.ndarray | None:
        """What people marked, float64 [words]; NaN for words without a judgement.

        None where nobody has marked the text.
        """
        return None if self.marks is None else self._align_marks(self.marks)

    @cached_property
    def annotators(self) -> np.ndarray | None:
        """The marks of each person, float64 [annotators, words]; None where only their mean is available."""
        people = () if self.marks is None else self.marks.annotators
        return np.stack([self._align_marks(person) for person in people]) if people else None

    def _align_marks(self, marks: Rationale) -> np.ndarray:
        """Marks by word; NaN in a second or generated text, which nobody marks."""
        groups, tokens = self._features.groups, self.attribution.tokens
        inside = [k for k, group in enumerate(groups) if tokens[group[0]].segment == "text"]
        spans = [span([tokens[i] for i in groups[k]]) for k in inside]
        aligned: np.ndarray = np.full(len(groups), np.nan)
        aligned[inside] = marks.over(spans)
        return aligned

    def run_again(self, **change: Any) -> np.ndarray | None:
        """Run the method again with one change: scores by word, float64 [words].

        ``seed``: another seed; None is returned for a method that draws no random numbers. ``noise`` [inputs,
        hidden]: added to the embeddings. ``weights_seed``: a model with random weights from that seed.
        Raises ``Unsupported`` where the model cannot be changed like that.
        """
        assert self.rerun is not None
        scores = self.rerun(**change)
        return None if scores is None else self.sum_words(scores)


def _place(token: Token) -> tuple[object, ...]:
    """What identifies a token of a text, whichever tool names it."""
    return token.segment, token.start, token.end, token.special


def _words(attribution: Attribution, row: int) -> Features:
    """The words that this output can see and that can be hidden."""
    from attribution.models.features import Features, features_of

    groups = features_of(attribution)
    tokens, outputs = attribution.tokens, attribution.outputs
    hidden_from: set[int] = set()
    task = tasks.of(attribution.model.task)
    if task.fills_masks:
        hidden_from = {output.position for output in outputs if output.position is not None}
    elif task.writes and (place := outputs[row].position) is not None:
        written = [i for i, token in enumerate(tokens) if token.segment == "generated"]
        before = len(attribution.prediction.labels) - 1 - place  # generated tokens after the explained one
        hidden_from = set(written[len(written) - before :]) if before else set()
    indices = [k for k, group in enumerate(groups.groups) if not hidden_from & set(group)]
    return Features(tuple(groups.groups[k] for k in indices), tuple(groups.names[k] for k in indices))
