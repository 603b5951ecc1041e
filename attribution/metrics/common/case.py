"""One row of one attribution under test, as numbers over words, and what the model says where some of the words are hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attribution.errors import BadOption
from attribution.models import tasks
from attribution.types import Attribution

if TYPE_CHECKING:
    from torch import Tensor

    from attribution.models.features import Features
    from attribution.models.perturbable import Perturbable
    from attribution.rationales import Rationale

Counted = Literal["probability", "log_probability", "explained"]
"""What a case's values count in; ``"explained"`` is the attribution's own quantity."""


class Passes:
    """f of one row where some words are hidden; remembered, so that metrics and methods share forward passes.

    ``f`` is the attribution's explained function, ``row`` the output that is looked at.
    """

    def __init__(self, f: Perturbable, row: int = 0) -> None:
        self.f, self.row = f, row
        self._single = f.part([row])
        self._known: dict[tuple[str, str], dict[bytes, float]] = {}
        self._counted: dict[str, Perturbable] = {}

    @property
    def probable(self) -> bool:
        """Whether the model gives the output a probability."""
        return self.f.outputs[self.row].probability is not None

    def values(
        self, features: Features, present: np.ndarray, hide: str = "auto", quantity: Counted = "probability"
    ) -> np.ndarray:
        """float64 [rows] for ``present``, bool [rows, features].

        Raises ``BadOption`` where the model has no such token to hide with.

        A contrast is kept: its probability is p / (p + p of the other), the chance of the one among the two.
        A model without probabilities gives f itself.
        """
        known = self._known.setdefault((hide, quantity), {})
        keys = [row.tobytes() for row in np.ascontiguousarray(present, dtype=bool)]
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if new:
            found = self._computed(features, present[list(new.values())], hide, quantity)
            known.update(zip(new, found.tolist(), strict=True))
        return np.array([known[key] for key in keys])

    def _computed(self, features: Features, present: np.ndarray, hide: str, quantity: Counted) -> np.ndarray:
        return self._read(quantity, lambda g: g.evaluate_features(features, present, hide))

    def at(self, points: Tensor) -> np.ndarray:
        """The probability at embeddings [rows, inputs, hidden], float64 [rows].

        Raises ``Unsupported`` for a function of texts.
        """
        return self._read("probability", lambda g: g.evaluate(points))

    def _read(self, quantity: Counted, of: Callable[[Perturbable], Tensor]) -> np.ndarray:
        contrasted = quantity == "probability" and self.probable and self.f.target.contrast is not None
        found: np.ndarray = (
            of(self._as("log_probability" if contrasted else quantity))[0].detach().double().cpu().numpy()
        )
        return 1 / (1 + np.exp(-found)) if contrasted else found

    def _as(self, quantity: Counted) -> Perturbable:
        """f counted in that; f itself where the model gives no probabilities."""
        if quantity == "explained" or not self.probable:
            return self._single
        if quantity not in self._counted:
            self._counted[quantity] = self._single.with_quantity(quantity)
        return self._counted[quantity]


Rerun = Callable[..., "np.ndarray | None"]
"""The same method once more, with one thing changed: see ``attribution.metrics.common.rerun``."""


@dataclass(eq=False)
class Case:
    """What a metric sees.

    Parameters
    ----------
    attribution, row : the scores under test are one row of an attribution.
    passes : the model's answers for texts with hidden words; None where only the scores are known.
    marks : what people marked in the text, or None.
    rerun : runs the method once more, or None.
    seed : of whatever a metric draws.
    """

    attribution: Attribution
    row: int = 0
    passes: Passes | None = None
    marks: Rationale | None = None
    rerun: Rerun | None = None
    seed: int = 0
    _features: Features = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.row < len(self.attribution.outputs):
            raise BadOption(
                f"There is no output {self.row}.",
                f"They are numbered from 0 to {len(self.attribution.outputs) - 1}.",
            )
        if self.passes is not None and self.passes.f.tokens != self.attribution.tokens:
            raise BadOption(
                "The attribution is of other tokens than the model's.",
                "Give the model that it was made with.",
            )
        self._features = _words(self.attribution, self.row)

    # The scores.

    @property
    def f(self) -> Perturbable:
        """The explained function, in the attribution's own quantity; ``outputs[row]`` is the one under test."""
        assert self.passes is not None
        return self.passes.f

    @property
    def features(self) -> Features:
        """The words as groups of inputs: what this output can see, without special tokens and the masked place itself."""
        return self._features

    @property
    def words(self) -> tuple[str, ...]:
        return self._features.names

    @cached_property
    def scores(self) -> np.ndarray:
        """float64 [words]: the sum over the tokens of each word.

        For a signed method the larger, the more a word speaks for the output.
        """
        return self.summed(self.attribution.scores)

    @property
    def signed(self) -> bool:
        return self.attribution.signed

    @property
    def strength(self) -> np.ndarray:
        """Absolute scores, float64 [words]."""
        return np.abs(self.scores)

    @property
    def order(self) -> np.ndarray:
        """The words' places, the one that speaks most for the output first (for an unsigned method the strongest); ties in reading order."""
        return np.argsort(-self.scores, kind="stable")

    @property
    def constant(self) -> bool:
        """Whether all words have the same score, so that there is no order."""
        return bool(np.ptp(self.scores) == 0)

    def summed(self, scores: np.ndarray) -> np.ndarray:
        """[outputs, inputs] → [words]: this row's scores, summed over the tokens of each word."""
        return np.array([scores[self.row, list(group)].sum() for group in self._features.groups])

    # The model.

    def values(
        self, present: np.ndarray, hide: str = "auto", quantity: Counted = "probability"
    ) -> np.ndarray:
        """f with only some words there, float64 [rows]; ``present`` is bool [rows, words].

        See ``Passes.values``.
        """
        assert self.passes is not None
        return self.passes.values(self._features, present, hide, quantity)

    def without(self, k: Sequence[int] | np.ndarray) -> np.ndarray:
        """Which words are there when the first ``k`` of ``order`` are hidden, bool [rows, words], a row for each k."""
        rank = np.argsort(self.order)
        return rank[None, :] >= np.asarray(k)[:, None]

    @property
    def probable(self) -> bool:
        """Whether the model gives probabilities; else ``values`` are f itself."""
        return self.passes is not None and self.passes.probable

    @property
    def full(self) -> float:
        """The probability with every word there."""
        return float(self.values(np.ones((1, len(self.words)), dtype=bool))[0])

    def empty(self, hide: str = "auto") -> float:
        """The probability with every word hidden."""
        return float(self.values(np.zeros((1, len(self.words)), dtype=bool), hide)[0])

    # People, and the method itself.

    @cached_property
    def rationale(self) -> np.ndarray | None:
        """What people marked, over these words: float64 [words]; NaN where nobody said anything.

        None where nobody has marked the text.
        """
        return None if self.marks is None else self._laid(self.marks)

    @cached_property
    def annotators(self) -> np.ndarray | None:
        """The same of each person, float64 [annotators, words]; None where only what they say together is known."""
        single = () if self.marks is None else self.marks.annotators
        return np.stack([self._laid(one) for one in single]) if single else None

    def _laid(self, marks: Rationale) -> np.ndarray:
        """Marks count in the text: a second and a generated text have none."""
        groups, tokens = self._features.groups, self.attribution.tokens
        inside = [k for k, group in enumerate(groups) if tokens[group[0]].segment == "text"]
        spans = [(tokens[groups[k][0]].start, tokens[groups[k][-1]].end) for k in inside]
        found = np.full(len(groups), np.nan)
        found[inside] = marks.over(spans)
        return found

    def again(self, **change: Any) -> np.ndarray | None:
        """The words' scores of the same method with one thing changed, float64 [words]; None where the change means nothing to it.

        ``seed=`` another seed, ``noise=`` [inputs, hidden] added to the embeddings, ``forgotten=`` the seed
        of a model whose weights are all drawn anew. Raises ``Unsupported`` where the model cannot be changed
        so.
        """
        assert self.rerun is not None
        found = self.rerun(**change)
        return None if found is None else self.summed(found)


def _words(attribution: Attribution, row: int) -> Features:
    """The words that this output can see and that can be hidden."""
    from attribution.models.features import Features, features_of

    found = features_of(attribution)
    tokens, out = attribution.tokens, attribution.outputs
    hidden_from: set[int] = set()
    task = tasks.of(attribution.model.task)
    if task.fills_masks:
        hidden_from = {output.position for output in out if output.position is not None}
    elif task.writes and (place := out[row].position) is not None:
        written = [i for i, token in enumerate(tokens) if token.segment == "generated"]
        start = int(task.encoder_decoder)  # the decoder's own first token
        hidden_from = set(written[start + place :])
    kept = [k for k, group in enumerate(found.groups) if not hidden_from & set(group)]
    return Features(tuple(found.groups[k] for k in kept), tuple(found.names[k] for k in kept))
