"""Which tokens drive a language model's prediction, by several attribution methods, with numbers that can be trusted.

>>> from attribution import attribute
>>> result = attribute("This movie is absolutely fantastic!")
>>> result.words().top(3)  # doctest: +SKIP
>>> result.save("picture.png")  # doctest: +SKIP

``Attribution``, ``Client`` and the errors need no torch; it is imported when a model is first used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attribution import errors
from attribution.batch import run_batch
from attribution.errors import AttributionError
from attribution.extras import needs_app
from attribution.methods import list_methods
from attribution.metrics import list_metrics
from attribution.request import Labels, Model
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, VERSION
from attribution.signatures import takes_request
from attribution.studies import comparison, evaluation
from attribution.studies.assessment import Assessment
from attribution.studies.comparison import Comparison
from attribution.studies.evaluation import Evaluation
from attribution.tables import Table, requests
from attribution.types import Attribution

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from attribution.costs.estimates import Estimate
    from attribution.models.adapter import Adapter
    from attribution.models.function import Answers, Function
    from attribution.studies.attention import Attentions

__all__ = [
    "Assessment",
    "Attribution",
    "AttributionError",
    "Client",
    "Comparison",
    "Evaluation",
    "assess",
    "attentions",
    "attribute",
    "attribute_many",
    "compare",
    "errors",
    "estimate",
    "evaluate",
    "list_methods",
    "list_metrics",
    "load",
    "remote",
    "run_batch",
]
__version__ = VERSION


@takes_request
def attribute(
    text: str,
    model: Model = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: Labels = None,
    **fields: Any,
) -> Attribution:
    """Explain one prediction.

    Raises ``AttributionError``: see ``attribution.errors`` for the tree.
    """
    from attribution.engine import default_engine

    return default_engine().attribute(text, model, method, target, **fields)


@takes_request
def attribute_many(
    texts: Table | Iterable[str | Mapping[str, Any]],
    model: Model = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: Labels = None,
    *,
    columns: Mapping[str, str] | None = None,
    on_error: Literal["raise", "yield"] = "raise",
    **fields: Any,
) -> Iterator[Attribution | AttributionError]:
    """Explain many texts: one ``Attribution`` for each, in order, as they are ready.

    Texts of like length are computed together, so it is faster than ``attribute`` one by one; the scores are the same up to
    rounding. ``run_batch`` does the same durably, with a journal.

    Parameters
    ----------
    texts : texts, rows as mappings by column, or a ``Table`` (``attribution.tables.open_table``). They may be endless: they are read a
        few hundred ahead.
    columns : which column is the ``text``, and which the ``second`` of a pair, where their names do not say it.
    on_error : the error of a text is raised in its turn, or, with ``"yield"``, stands in its place.
    """
    from attribution.engine import default_engine

    items = texts if isinstance(texts, str) else requests(texts, columns)
    return default_engine().attribute_many(items, model, method, target=target, on_error=on_error, **fields)


@takes_request
def compare(
    text: str,
    models: Model | Sequence[Model] = DEFAULT_MODEL,
    methods: str | Sequence[str] = comparison.DEFAULTS,
    target: Labels = None,
    *,
    output: int = 0,
    **fields: Any,
) -> Comparison:
    """Explain one prediction by several methods, or of several models, or both: each model by each method.

    ``.agreement()``, ``.disagreements()`` and ``.difference(0, 1)`` of the result say how they agree, on which words they do not, and
    how two of them differ. The error of a pair stands in its place among ``.attributions``.

    Parameters
    ----------
    models, methods : one or several.
    output : the row of scores that is compared.

    Raises an ``AttributionError`` for the text, or where every pair fails by the same one.
    """
    from attribution.engine import default_engine

    return comparison.compare(default_engine(), text, models, methods, target=target, output=output, **fields)


@takes_request
def evaluate(
    texts: str | Sequence[str],
    model: Model = DEFAULT_MODEL,
    methods: str | Sequence[str] = evaluation.METHODS,
    metrics: str | Sequence[str] = evaluation.METRICS,
    *,
    rationales: Sequence[Any] | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    progress: Callable[[int, int], None] | None = None,
    **fields: Any,
) -> Evaluation:
    """Measure the quality of explanations: each method by each metric over the texts, with intervals, beside scores at random.

    ``.best("deletion")`` says which method is first, how surely, and which are not distinguishable from it; ``.figure(method, metric)``
    has the numbers, ``.save("table.tex")`` and ``.plot()`` show them. What goes wrong with one text is among ``.failures``.
    ``attribution.studies.evaluating.evaluate_steps`` yields the same text by text.

    Parameters
    ----------
    texts : one or several texts that the model reads.
    methods, metrics : one or several.
    rationales : what people marked, one for each text, for the metrics that compare with it.
    seed : of everything that is drawn.
    bootstrap : draws behind each interval.
    progress : called with how many texts are done, of how many.
    second : the other text of each pair, or one for all.
    options : those of the methods and metrics by name, and by the name of their owner: ``{"lime": {"samples": 200}}``.

    Raises an ``AttributionError`` for what concerns all texts.
    """
    from attribution.engine import default_engine
    from attribution.studies.evaluating import evaluate_steps

    steps = evaluate_steps(
        default_engine(),
        texts,
        model,
        methods,
        metrics,
        rationales=rationales,
        seed=seed,
        bootstrap=bootstrap,
        **fields,
    )
    for step in steps:
        if progress is not None:
            progress(step.done, step.total)
    return step


@takes_request
def assess(
    text: str | Sequence[Attribution],
    model: Model | None = None,
    methods: str | Sequence[str] = comparison.DEFAULTS,
    target: Labels = None,
    *,
    seconds: float = 3.0,
    seed: int = 0,
    **fields: Any,
) -> Assessment:
    """Which of several attributions of one text should be believed? Ranked in seconds, against orders at random, with its uncertainty.

    ``.sentences`` says it in words.

    Parameters
    ----------
    text : what the model reads; or attributions of one text, which then say all but ``model``, ``seconds`` and ``seed``.
    model : as for ``attribute``; of attributions, needed where they were made with what ``load`` returned.
    methods : one or several, for a text; those that fail are left out.
    seconds : after them no further way of hiding words is tried.
    seed : of everything that is drawn.

    Raises an ``AttributionError`` where the attributions are not of one text, one model and one target.
    """
    from attribution.engine import default_engine
    from attribution.studies import assessment

    engine = default_engine()
    if isinstance(text, str):
        compared = comparison.compare(engine, text, model or DEFAULT_MODEL, methods, target=target, **fields)
        return assessment.assess(engine, compared.successful(), model, seconds=seconds, seed=seed)
    return assessment.assess(engine, text, model, seconds=seconds, seed=seed)


@takes_request
def estimate(
    text: str,
    model: Model = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: Labels = None,
    **fields: Any,
) -> Estimate:
    """What ``attribute`` with the same arguments would take: seconds, passes and memory, from timed passes of the model itself.

    ``estimate(...).describe()`` puts it in words. Loads the model, but does not run the method.
    """
    from attribution.engine import default_engine

    return default_engine().estimate(text, model, method, target, **fields)


@takes_request
def attentions(text: str, model: Model = DEFAULT_MODEL, **fields: Any) -> Attentions:
    """Which token looks at which, in every layer and head, and figures that tell heads apart.

    Attention is not explanation: see ``attribution.studies.attention``. Raises ``AttributionError``.
    """
    from attribution.engine import default_engine
    from attribution.studies.attention import attentions

    return attentions(default_engine(), text, model, **fields)


def load(
    model: str | os.PathLike[str] | PreTrainedModel | Answers,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    task: str | None = None,
    name: str = "",
    labels: Sequence[str] = (),
) -> Adapter | Function:
    """A model for ``attribute``.

    ``model`` is a name, a folder, a loaded transformers model with its tokenizer (which stays unchanged), or any function
    ``texts -> probabilities [texts, labels]`` with the names of its ``labels``.
    """
    with needs_app():
        from attribution.models.sources import store

    return store.load(model, tokenizer, task=task, name=name, labels=labels)


def __getattr__(name: str) -> Any:
    if name == "Client":
        from attribution.client import Client

        return Client
    if name == "remote":
        with needs_app():
            from attribution.models.sources.remote import remote

        return remote
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
