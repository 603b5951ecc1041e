"""The types of the answers of REST, from which the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic reads that of typing from Python 3.12 on


class ErrorAnswer(TypedDict):
    """Why a request has no answer: the kind of the error, what was received, and what to do."""

    error: str
    message: str
    hint: str


class TokenScore(TypedDict):
    """A token with its score. ``start`` and ``end`` are code points of the text that ``segment`` names."""

    token: str
    score: float
    error: float | None
    start: int
    end: int
    special: bool
    word: int | None
    segment: str


class OutputAnswer(TypedDict):
    """An explained number with a score for each token."""

    text: str
    contrast: str | None
    position: int | None
    value: float
    probability: float | None
    residual: float | None
    fit: float | None
    attributions: list[TokenScore]


class PredictionAnswer(TypedDict):
    """What the model says. ``label`` is the most probable label, or the generated text."""

    label: str
    probability: float | None
    values: list[float]
    labels: list[str]
    probabilities: list[float]
    text: str | None


class TargetAnswer(TypedDict):
    """The first explained number."""

    label: str
    index: int
    quantity: str
    value: float


class ModelAnswer(TypedDict):
    """The model as it was requested and the one that answered."""

    requested: str
    resolved: str
    revision: str | None
    note: str


class AttributionAnswer(TypedDict):
    """One attribution; ``attributions`` and ``residual`` are those of the first output."""

    attributions: list[TokenScore]
    outputs: list[OutputAnswer]
    prediction: PredictionAnswer
    target: TargetAnswer
    residual: float | None
    method: str
    signed: bool
    unit: str
    model: ModelAnswer
    notes: list[str]
    version: str


class FailedAttribution(TypedDict):
    """The place of an attribution that could not be computed; without an error it is not finished."""

    model: dict[str, str]
    method: str
    error: NotRequired[str]
    message: NotRequired[str]
    hint: NotRequired[str]


class ComparisonAnswer(TypedDict):
    """Attributions of one text, and where they agree, by the name of the measure."""

    text: str
    attributions: list[AttributionAnswer | FailedAttribution]
    names: list[str]
    agreement: dict[str, dict[str, Any]]
    disagreements: list[dict[str, Any]]
    notes: list[str]
    version: str


class EvaluationAnswer(TypedDict):
    """The document that ``Evaluation.from_dict`` reads, and the best method over all metrics."""

    schema: str
    model: str
    seed: int
    bootstrap: int
    done: int
    total: int
    methods: list[str]
    metrics: list[str]
    texts: list[str]
    figures: list[dict[str, Any]]
    best: list[dict[str, Any]]
    failures: list[list[Any]]
    curves: list[dict[str, Any]]
    overall: dict[str, Any]
    version: str


class AssessmentAnswer(TypedDict):
    """The document that ``Assessment.from_dict`` reads: which explanation to believe, the best first."""

    schema: str
    text: str
    model: str
    control: list[float]
    ways: list[str]
    sentences: list[str]
    ranking: list[dict[str, Any]]
    figures: list[dict[str, Any]]
    left_out: list[list[Any]]
    version: str


class RowAnswer(TypedDict):
    """A row of a batch, by its place: an attribution as ``POST /api/export/json`` answers, or an error."""

    row: int
    attribution: NotRequired[dict[str, Any]]
    error: NotRequired[ErrorAnswer]


class BatchStep(TypedDict):
    """A line of the answer to a batch: how far it is, and the new results."""

    done: int
    failed: int
    total: int
    seconds_left: float | None
    results: list[RowAnswer]
