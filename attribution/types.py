"""The core data types: frozen, slotted, and importable without torch.

Names of axes, used everywhere: ``batch, inputs, outputs, hidden, layers, heads``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

import numpy as np

from attribution.errors import BadFile
from attribution.formats import Savable
from attribution.interchange.building import build
from attribution.interchange.plotting import check_index, draw_bars
from attribution.interchange.shap import explanation_of
from attribution.parts import Completeness as Completeness
from attribution.parts import ModelInfo as ModelInfo
from attribution.parts import Need as Need
from attribution.parts import Option as Option
from attribution.parts import Output as Output
from attribution.parts import Prediction as Prediction
from attribution.parts import Segment as Segment
from attribution.parts import TaskName as TaskName
from attribution.parts import Token as Token
from attribution.request import Label as Label
from attribution.request import Position as Position
from attribution.request import Quantity as Quantity
from attribution.request import Request as Request
from attribution.request import Target as Target
from attribution.request.kinds import MANY as MANY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA = "attribution/1"


class Details(TypedDict, total=False):
    """What ``Attribution.of`` can be told beside tokens and scores.

    ``value`` and ``baseline`` are f(x) and f(x₀), one number for each row of scores; with both there is a
    residual.
    ``probabilities`` is the prediction: labels with their probabilities. ``errors`` are standard errors,
    like the scores. ``signed`` says whether negative scores speak against the output (default: whether there
    are any).
    """

    text: str | None
    second: str | None
    model: Any
    method: str
    value: float | Sequence[float]
    baseline: float | Sequence[float]
    probabilities: Mapping[str, float]
    errors: Any
    signed: bool
    unit: str
    quantity: Quantity
    notes: Sequence[str]


class TopTokens(list[tuple[Token, float]]):
    """Tokens with their scores, the strongest first: a list of pairs that prints as a table."""

    def __repr__(self) -> str:
        width = max((len(token.text) for token, _ in self), default=0)
        return "\n".join(f"{token.text:<{width}}  {score:+.4g}" for token, score in self) or "no tokens"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(token.text)}</th><td>{score:+.4g}</td></tr>" for token, score in self
        )
        return f"<table><tbody>{rows}</tbody></table>"


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        strongest = ", ".join(f"{token.text} {score:+.3g}" for token, score in self.words().top(3))
        several = f" and {len(self.outputs) - 1} more" if len(self.outputs) > 1 else ""
        model = f" of {self.model.name}" if self.model.name else ""
        target = f"{self.outputs[0].text!r}{several}" if self.outputs else "nothing"
        return f"<Attribution of {target} by {self.method}{model}: {strongest}>"

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
            first = self.tokens[group[0]]
            start, end = span([self.tokens[i] for i in group])
            text = first.text if first.special or start == end else self.source(first.segment)[start:end]
            index = first.id if len(group) == 1 else -1
            merged.append(replace(first, text=text, start=start, end=end, id=index))

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

    def top(self, k: int = 5, output: int = 0) -> TopTokens:
        """The ``k`` tokens with the largest absolute scores for one output; ties in reading order."""
        places = [i for i, token in enumerate(self.tokens) if not token.special]
        places.sort(key=lambda i: -abs(self.scores[output, i]))
        return TopTokens((self.tokens[i], float(self.scores[output, i])) for i in places[:k])

    @classmethod
    def of(
        cls,
        tokens: Any,
        scores: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        **details: Unpack[Details],
    ) -> Self:
        """An attribution from the result of another tool, or from tokens and scores.

        It is drawn, saved and compared like any other. What needs the model again says so.

        Parameters
        ----------
        tokens : tokens, with the markers of their tokenizer or without; or one text's result of another tool:
            ``captum``'s ``VisualizationDataRecord`` and ``LLMAttributionResult``, ``shap.Explanation``,
            LIME's
            ``Explanation`` of a text, the output of inseq.
        scores : list, array or tensor [inputs] or [outputs, inputs]; not for a result.
        target : names of the explained outputs, one for each row of scores; or the row to take of several.
        details : ``text`` (default: what the tokens make up), ``second``, ``model`` (a name, or what ``load``
            returned), ``method``, and those of ``Details``.

        Raises ``InputError``, ``BadOption`` and ``NotFinite`` for what does not fit together.

        >>> Attribution.of(["a", "fine", "film"], [0.1, 0.8, -0.2], target="positive").top(1)
        fine  +0.8
        """
        return cls(**build(tokens, scores, target, details))

    def to_shap(self) -> Any:
        """A ``shap.Explanation`` of this text, for shap's plots: ``values`` [inputs] or [inputs, outputs].

        Its base value is f(x₀) where the scores claim to add up, and otherwise f(x) − Σ scores, from which
        shap's plots reach f(x). Raises ``NotInstalled`` without shap.
        """
        sums = self.scores.sum(axis=1)
        values = [output.value for output in self.outputs]
        bases = np.array(
            [0.0 if value is None else value - total for value, total in zip(values, sums, strict=True)]
        )
        if self.completeness is not None:
            bases = np.array([check.baseline for check in self.completeness])
        several = len(self.outputs) > 1
        return explanation_of(
            [self._with_space(i) for i in range(len(self.tokens))],
            self.scores.T if several else self.scores[0],
            bases if several else float(bases[0]),
            [output.text for output in self.outputs],
        )

    def _with_space(self, index: int) -> str:
        """The text of a token with the white space that follows it, as shap writes tokens."""
        token = self.tokens[index]
        if token.special:
            return token.text
        after = self.source(token.segment)[token.end :]
        return token.text + after[: len(after) - len(after.lstrip())]

    def plot(self, ax: Axes | None = None, *, output: int = 0, words: bool = True, most: int = 30) -> Axes:
        """Draw the scores of one output as bars, in reading order, with matplotlib.

        Parameters
        ----------
        ax : where to draw; a new figure by default.
        words : whether to sum the tokens of each word.
        most : of a longer text only that many strongest words are drawn.

        Returns the axes. Raises ``NotInstalled`` without matplotlib.
        """
        result = self.words() if words else self
        check_index(output, len(self.outputs))
        return draw_bars(result, output, most, ax)

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


def span(tokens: Sequence[Token]) -> tuple[int, int]:
    """Where consecutive tokens of one segment begin and end, without those of nothing but white space."""
    visible = [token for token in tokens if token.start < token.end and token.text.strip()] or tokens
    return visible[0].start, visible[-1].end


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
