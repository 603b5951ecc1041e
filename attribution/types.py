"""The data that travels through the project: frozen, slotted, and importable without torch.

Shapes are named once and used everywhere: ``batch, inputs, outputs, hidden, layers, heads``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from attribution.errors import BadFile, BadOption

SCHEMA = "attribution/1"

Quantity = Literal["logit", "log_probability", "probability"]
Task = Literal["classification", "causal", "seq2seq"]
Segment = Literal["text", "generated"]
Option = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the model's input.

    ``start`` and ``end`` are code points of the cleaned text (of the generated text if ``segment`` is ``"generated"``). A span
    never cuts a character that a person sees as one, so the pieces of an emoji share one span. A special token (``[CLS]``,
    ``</s>``) stands outside the text: its span is empty and ``word`` is None.
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
    """One explained number: a class, or one generated token. ``value`` is f(x) in the unit of ``Target.quantity``."""

    text: str
    id: int
    value: float
    probability: float
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What is explained, apart from how.

    ``label`` is a class (its name or index); for generation the position of one generated token. None is the model's own
    prediction: its most probable class, or every generated token. ``max_new_tokens`` counts for generation only.
    """

    label: str | int | None = None
    quantity: Quantity = "logit"
    max_new_tokens: int = 16


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that decides a result: the cache key, the deep link, and the record to reproduce it.

    ``options`` is sorted and complete: the defaults are filled in by the engine.
    """

    text: str
    model: str
    method: str
    target: Target = field(default_factory=Target)
    options: tuple[tuple[str, Option], ...] = ()
    task: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that answered. ``note`` says how a family name became this checkpoint, if it did."""

    name: str
    revision: str | None
    architecture: str
    task: Task
    labels: tuple[str, ...] = ()
    parameters: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model said: all classes, or the generated tokens in order with ``text`` as the generated text."""

    labels: tuple[str, ...]
    logits: tuple[float, ...]
    probabilities: tuple[float, ...]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Completeness:
    """How far the scores of one output add up: ``value`` is f(x), ``baseline`` f(x₀), ``residual`` = f(x) − f(x₀) − Σ scores."""

    value: float
    baseline: float
    residual: float

    @property
    def difference(self) -> float:
        """f(x) − f(x₀): what the scores should add up to."""
        return self.value - self.baseline


@dataclass(frozen=True, eq=False)
class Attribution:
    """One finished attribution.

    Parameters
    ----------
    tokens : the inputs, in reading order; for generation the generated prefix follows the text.
    outputs : what is explained, one per row of ``scores``.
    scores : float64 [outputs, inputs], read-only. Exactly 0 where an input comes after the output.
    signed : whether a negative score means "speaks against"; else scores are strengths ≥ 0.
    unit : what one unit of a score is, e.g. ``"logit"``.
    completeness : one per output for methods that claim to add up, else None.
    notes : sentences for a person; anything that limits trust in the numbers.
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

    def __post_init__(self) -> None:
        scores = np.array(self.scores, dtype=np.float64)
        if scores.shape != (len(self.outputs), len(self.tokens)):
            raise ValueError(f"scores are {scores.shape}, not [outputs={len(self.outputs)}, inputs={len(self.tokens)}]")
        scores.flags.writeable = False
        object.__setattr__(self, "scores", scores)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attribution) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def residual(self) -> tuple[float, ...] | None:
        """f(x) − f(x₀) − Σ scores, one per output, or None where the method does not claim to add up."""
        return None if self.completeness is None else tuple(c.residual for c in self.completeness)

    def words(self) -> Self:
        """The same attribution with the tokens of each word merged; a word's score is the sum over its tokens."""
        groups: list[list[int]] = []
        for i, token in enumerate(self.tokens):
            last = self.tokens[groups[-1][-1]] if groups else None
            same = last is not None and token.word is not None and (last.segment, last.word) == (token.segment, token.word)
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
            source = self.text if first.segment == "text" else self.prediction.text or ""
            merged.append(replace(first, text=source[first.start : last.end], end=last.end, id=-1))
        scores = np.stack([self.scores[:, group].sum(axis=1) for group in groups], axis=1)
        return replace(self, tokens=tuple(merged), scores=scores)

    def normalize(self) -> Self:
        """The same attribution with each output's scores divided by their sum of absolute values (left alone if that is 0)."""
        total = np.abs(self.scores).sum(axis=1, keepdims=True)
        scale = np.where(total > 0, total, 1.0)
        return replace(self, scores=self.scores / scale, unit="share of the sum of absolute scores", completeness=None)

    def top(self, k: int = 5, output: int = 0) -> list[tuple[Token, float]]:
        """The ``k`` tokens of the text with the largest absolute scores for one output, strongest first; ties in reading order."""
        places = [i for i, token in enumerate(self.tokens) if not token.special]
        places.sort(key=lambda i: -abs(self.scores[output, i]))
        return [(self.tokens[i], float(self.scores[output, i])) for i in places[:k]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; ``Attribution.from_dict`` reads them back equal."""
        data: dict[str, Any] = {"schema": SCHEMA, **{name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}}
        data["request"]["options"] = dict(self.request.options)
        data["versions"] = dict(self.versions)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``. Raises ``BadFile`` for anything else."""
        try:
            if data["schema"] != SCHEMA:
                raise BadFile(f"The file has the schema {str(data['schema'])[:40]!r}, not {SCHEMA!r}.")
            request = dict(data["request"])
            request["target"] = Target(**request["target"])
            request["options"] = tuple(sorted(request["options"].items()))
            scores = np.array(data["scores"], dtype=np.float64).reshape(len(data["outputs"]), len(data["tokens"]))
            if not np.isfinite(scores).all():
                raise BadFile("The file's scores are not finite.")
            checks, said = data["completeness"], data["prediction"]
            return cls(
                request=Request(**request),
                model=ModelInfo(**{**data["model"], "labels": tuple(data["model"]["labels"])}),
                text=data["text"],
                tokens=tuple(Token(**token) for token in data["tokens"]),
                outputs=tuple(Output(**output) for output in data["outputs"]),
                scores=scores,
                prediction=Prediction(tuple(said["labels"]), tuple(said["logits"]), tuple(said["probabilities"]), said["text"]),
                signed=data["signed"],
                unit=data["unit"],
                completeness=None if checks is None else tuple(Completeness(**check) for check in checks),
                notes=tuple(data["notes"]),
                seconds=data["seconds"],
                versions=tuple(sorted(data["versions"].items())),
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise BadFile(f"This is not an attribution ({type(error).__name__}: {str(error)[:100]}).") from error

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the file type that the name ends with: see ``attribution.export.formats()``."""
        from attribution import export

        export.save(self, path, **options)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a JSON file that ``save`` wrote. Raises ``BadFile``."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise BadFile(f"{os.fspath(path)} is not JSON.", "Only files that were saved as .json can be loaded.") from error

    def _repr_html_(self) -> str:
        from attribution import export

        return export.notebook(self)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def check_target(label: object, quantity: object, max_new_tokens: object, limit: int) -> Target:
    """A ``Target`` from a caller's values. Raises ``BadOption``."""
    if isinstance(label, bool) or not isinstance(label, str | int | None):
        raise BadOption(f"target is a {type(label).__name__}.", "It must be a label's name, its index, or nothing.")
    if quantity not in Quantity.__args__:  # type: ignore[attr-defined]
        raise BadOption(f"quantity is {str(quantity)[:40]!r}.", f"It must be one of {', '.join(Quantity.__args__)}.")  # type: ignore[attr-defined]
    if isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int) or not 1 <= max_new_tokens <= limit:
        raise BadOption(f"max_new_tokens is {str(max_new_tokens)[:40]!r}.", f"It must be a whole number from 1 to {limit}.")
    return Target(label, quantity, max_new_tokens)  # type: ignore[arg-type]
