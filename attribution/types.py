"""The core data types: frozen, slotted, and importable without torch.

Names of axes, used everywhere: ``batch, inputs, outputs, hidden, layers, heads``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np

from attribution.errors import BadFile
from attribution.formats import Savable
from attribution.registry import Value
from attribution.request import Label as Label
from attribution.request import Position as Position
from attribution.request import Quantity as Quantity
from attribution.request import Request as Request
from attribution.request import Target as Target
from attribution.request.kinds import MANY as MANY

SCHEMA = "attribution/1"

TaskName = Annotated[str, "one of attribution.models.tasks"]
Segment = Literal["text", "second", "generated"]
Option = Value
Need = Literal["gradients", "attentions", "texts"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the model's input.

    ``start`` and ``end`` are code points of the text of the ``segment``: the clean text, the second or the
    generated one.
    A span never splits a grapheme, so the pieces of an emoji share one span. A special token (``[CLS]``,
    ``</s>``) is outside the text: its span is empty and ``word`` is None.
    """

    text: str
    id: int
    start: int
    end: int
    special: bool = False
    word: int | None = None
    segment: Segment = "text"


@dataclass(frozen=True, slots=True)
class Output:
    """One explained number: of a class, a token's label, a position in the text, or a generated token.

    ``value`` is f(x) in the unit of ``Target.quantity``; with a ``contrast`` it is the difference from that.
    ``probability`` is that of ``text`` alone, None for models without (regression, similarity). ``start`` and
    ``end`` are the span in the generated text. ``position`` is the index of the input for tasks that label
    each token, or the index in the generated text.
    """

    text: str
    id: int
    value: float
    probability: float | None
    start: int = 0
    end: int = 0
    position: int | None = None
    contrast: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that computed a result. ``note`` says how a family name became this checkpoint, if it did."""

    name: str
    revision: str | None
    architecture: str
    task: TaskName
    labels: tuple[str, ...] = ()
    parameters: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's prediction: all classes, or the generated tokens in order, with the generated ``text``."""

    labels: tuple[str, ...]
    logits: tuple[float, ...]
    probabilities: tuple[float, ...]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Completeness:
    """How far the scores of one output add up.

    ``value`` is f(x), ``baseline`` is f(x₀), and ``residual`` = f(x) − f(x₀) − Σ scores.
    """

    value: float
    baseline: float
    residual: float

    @property
    def difference(self) -> float:
        """f(x) − f(x₀): the sum that the scores should have."""
        return self.value - self.baseline


@dataclass(frozen=True, eq=False)
class Attribution(Savable):
    """The result of one request: a score for each token and explained number.

    Parameters
    ----------
    tokens : the inputs, in reading order; for generation the generated prefix follows the text.
    outputs : the explained numbers, one for each row of ``scores``.
    scores : float64 [outputs, inputs], read-only. Exactly 0 for inputs after the output.
    signed : whether negative scores speak against the output; otherwise scores are strengths ≥ 0.
    unit : the unit of the scores, e.g. ``"logit"``.
    completeness : one per output for methods that claim to add up, else None.
    errors : standard error of each score, float64 like ``scores``, for methods that sample; else None.
    fit : R² of the model that a method fitted, one per output; else None.
    notes : sentences for the reader: anything that limits trust in the numbers.
    title : the method's display name.
    provisional : whether this is a preview that better numbers, or more rows, will replace: see
        ``Engine.progress``.
    """

    request: Request
    model: ModelInfo
    text: str
    tokens: tuple[Token, ...]
    outputs: tuple[Output, ...]
    scores: np.ndarray
    prediction: Prediction
    signed: bool
    unit: str
    completeness: tuple[Completeness, ...] | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: tuple[tuple[str, str], ...] = ()
    errors: np.ndarray | None = None
    fit: tuple[float, ...] | None = None
    title: str = ""
    provisional: bool = False

    KIND = "attribution"

    def __post_init__(self) -> None:
        for name in ("scores", "errors"):
            if (values := getattr(self, name)) is None:
                continue
            array = np.array(values, dtype=np.float64)
            if array.shape != (len(self.outputs), len(self.tokens)):
                raise ValueError(
                    f"{name} are {array.shape}, not [outputs={len(self.outputs)}, inputs={len(self.tokens)}]"
                )
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attribution) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def residual(self) -> tuple[float, ...] | None:
        """f(x) − f(x₀) − Σ scores for each output, or None if the method's scores need not add up."""
        return None if self.completeness is None else tuple(c.residual for c in self.completeness)

    @property
    def second(self) -> str:
        """The other text of a pair, or an empty string."""
        return self.request.second or ""

    def source(self, segment: Segment) -> str:
        """The text of a segment, to which the spans of its tokens refer."""
        return {"text": self.text, "second": self.second, "generated": self.prediction.text or ""}[segment]

    def words(self) -> Self:
        """Merge the tokens of each word; a word's score is the sum over its tokens.

        So is its standard error, which is exact if the method scored words, and an upper bound otherwise.
        """
        groups: list[list[int]] = []
        for i, token in enumerate(self.tokens):
            last = self.tokens[groups[-1][-1]] if groups else None
            same = (
                last is not None
                and token.word is not None
                and (last.segment, last.word) == (token.segment, token.word)
            )
            if same:
                groups[-1].append(i)
            else:
                groups.append([i])
        merged = []
        for group in groups:
            first, last = self.tokens[group[0]], self.tokens[group[-1]]
            if len(group) == 1:
                merged.append(first)
                continue
            merged.append(
                replace(first, text=self.source(first.segment)[first.start : last.end], end=last.end, id=-1)
            )

        def sum_groups(array: np.ndarray) -> np.ndarray:
            sums: np.ndarray = np.stack([array[:, group].sum(axis=1) for group in groups], axis=1)
            return sums

        errors = None if self.errors is None else sum_groups(self.errors)
        return replace(self, tokens=tuple(merged), scores=sum_groups(self.scores), errors=errors)

    def normalize(self) -> Self:
        """Divide the scores of each output by the sum of their absolute values, unless that is 0."""
        total = np.abs(self.scores).sum(axis=1, keepdims=True)
        scale = np.where(total > 0, total, 1.0)
        errors = None if self.errors is None else self.errors / scale
        unit = "share of the sum of absolute scores"
        return replace(self, scores=self.scores / scale, errors=errors, unit=unit, completeness=None)

    def top(self, k: int = 5, output: int = 0) -> list[tuple[Token, float]]:
        """The ``k`` tokens with the largest absolute scores for one output; ties in reading order."""
        places = [i for i, token in enumerate(self.tokens) if not token.special]
        places.sort(key=lambda i: -abs(self.scores[output, i]))
        return [(self.tokens[i], float(self.scores[output, i])) for i in places[:k]]

    def to_dict(self) -> dict[str, Any]:
        """JSON types, from which ``Attribution.from_dict`` makes an equal attribution."""
        data: dict[str, Any] = {
            "schema": SCHEMA,
            **{name: _plain(getattr(self, name)) for name in self.__dataclass_fields__},
        }
        data["request"] = self.request.record()
        data["versions"] = dict(self.versions)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``; entries with a default may be missing. Raises ``BadFile``."""
        try:
            if data["schema"] != SCHEMA:
                raise BadFile(
                    f"The file has the schema {str(data['schema'])[:40]!r}, not {SCHEMA!r}.",
                    "A file of several results is read by attribution.export.json.read.",
                )
            shape = len(data["outputs"]), len(data["tokens"])
            scores, errors = _numbers(data["scores"], shape), _numbers(data.get("errors"), shape)
            checks, prediction, fit = data.get("completeness"), data["prediction"], data.get("fit")
            return cls(
                request=Request.from_record(data["request"]),
                model=ModelInfo(**{**data["model"], "labels": tuple(data["model"].get("labels", ()))}),
                text=data["text"],
                tokens=tuple(Token(**token) for token in data["tokens"]),
                outputs=tuple(Output(**output) for output in data["outputs"]),
                scores=scores,  # type: ignore[arg-type]
                prediction=Prediction(
                    tuple(prediction["labels"]),
                    tuple(prediction["logits"]),
                    tuple(prediction["probabilities"]),
                    prediction.get("text"),
                ),
                signed=data["signed"],
                unit=data["unit"],
                completeness=None if checks is None else tuple(Completeness(**check) for check in checks),
                notes=tuple(data.get("notes", ())),
                seconds=data.get("seconds", 0.0),
                versions=tuple(sorted(data.get("versions", {}).items())),
                errors=errors,
                title=str(data.get("title", "")),
                provisional=bool(data.get("provisional", False)),
                fit=None if fit is None else tuple(float(value) for value in fit),
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise BadFile(
                f"This is not an attribution ({type(error).__name__}: {str(error)[:100]})."
            ) from error


def join(parts: Sequence[Attribution]) -> Attribution:
    """Join attributions of parts of the outputs, in order, as they are computed piece by piece."""
    first = parts[0]

    def all_of(values: Iterable[Any]) -> Any:
        items = list(values)
        return None if any(item is None for item in items) else items

    checks, fits = all_of(p.completeness for p in parts), all_of(p.fit for p in parts)
    errors = all_of(p.errors for p in parts)
    return replace(
        first,
        outputs=tuple(output for part in parts for output in part.outputs),
        scores=np.concatenate([part.scores for part in parts]),
        errors=None if errors is None else np.concatenate(errors),
        completeness=None if checks is None else tuple(check for part in checks for check in part),
        fit=None if fits is None else tuple(value for part in fits for value in part),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        seconds=sum(part.seconds for part in parts),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def _numbers(rows: Any, shape: tuple[int, int]) -> np.ndarray | None:
    if rows is None:
        return None
    numbers: np.ndarray = np.array(rows, dtype=np.float64).reshape(shape)
    if not np.isfinite(numbers).all():
        raise BadFile("The file's scores are not finite.")
    return numbers
