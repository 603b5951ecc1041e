"""Which tokens drive a language model's prediction: several attribution methods, numbers to trust.

>>> from attribution import attribute
>>> result = attribute("This movie is absolutely fantastic!")
>>> result.words().top(3)  # doctest: +SKIP
>>> result.save("picture.png")  # doctest: +SKIP

``Attribution``, ``Client`` and the errors need no torch; it is imported when a model is first used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attribution import errors
from attribution.batch import run_batch
from attribution.errors import AttributionError
from attribution.extras import needs_app
from attribution.formats import show_lists
from attribution.methods import list_methods
from attribution.metrics import list_metrics
from attribution.request import Labels, Model
from attribution.request.arguments import (
    SEEDS,
    check_progress,
    check_seconds,
    check_whole_number,
    list_names,
)
from attribution.request.progress import Bar, Progress, count_rows, count_steps
from attribution.request.signatures import takes_request
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, VERSION
from attribution.studies import comparison, evaluation
from attribution.studies.assessment import Assessment
from attribution.studies.comparison import Comparison
from attribution.studies.evaluation import Evaluation
from attribution.tables import Table, read_study, requests
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
show_lists()


@takes_request
def attribute(
    text: str,
    model: Model = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: Labels = None,
    *,
    progress: Progress = None,
    **fields: Any,
) -> Attribution:
    """Explain one prediction.

    Parameters
    ----------
    progress : None shows a bar in a terminal or notebook if the work is long; True and False: always and
        never; or a function, called with the rows of the model done so far and of those known to come.

    Raises ``AttributionError``: see ``attribution.errors`` for the tree.
    """
    from attribution.engine import default_engine

    with Bar(progress, "rows") as bar:
        return default_engine().attribute(text, model, method, target, meter=bar, **fields)


@takes_request
def attribute_many(
    texts: Table | Iterable[str | Mapping[str, Any]],
    model: Model = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: Labels = None,
    *,
    columns: Mapping[str, str] | None = None,
    on_error: Literal["raise", "yield"] = "raise",
    progress: Progress = None,
    **fields: Any,
) -> Iterator[Attribution | AttributionError]:
    """Explain many texts: yields one ``Attribution`` for each, in order, as soon as it is ready.

    Texts of similar length share a batch, which is faster than calling ``attribute`` for each; the scores are
    the same up to rounding. ``run_batch`` does the same durably, with a journal.

    Parameters
    ----------
    texts : texts, rows as mappings by column, a frame of pandas, polars or pyarrow, a mapping of columns, an
        open file, or a ``Table`` (``attribution.tables.open_table``). They may be endless: a few hundred are
        read ahead.
    columns : the columns of ``text`` and, for pairs, ``second``; guessed by their names if not given. Also
        those of fields that differ from row to row, such as ``target``: in rows that are given in memory,
        columns of these names are used.
    on_error : whether to raise the error of a text in its turn, or to yield it in place of the result.
    progress : as for ``attribute``; a function is called with the texts done and of all (0: unknown).
    """
    from attribution.engine import default_engine

    items = texts if isinstance(texts, str) else requests(texts, columns)
    results = default_engine().attribute_many(
        items, model, method, target=target, on_error=on_error, **fields
    )
    return count_steps(results, Bar(progress, "texts", total=count_rows(texts)))


@takes_request
def compare(
    text: str,
    models: Model | Sequence[Model] = DEFAULT_MODEL,
    methods: str | Sequence[str] = comparison.DEFAULTS,
    target: Labels = None,
    *,
    output: int = 0,
    progress: Progress = None,
    **fields: Any,
) -> Comparison:
    """Explain one prediction by several methods, of several models, or both: each model by each method.

    See ``.agreement()``, ``.disagreements()`` and ``.difference(0, 1)`` of the result. The error of one pair
    of model and method is stored in its place in ``.attributions``.

    Parameters
    ----------
    models, methods : one or several.
    output : the row of scores to compare.
    progress : as for ``attribute``; a function is called with the attributions done and of all.

    Raises an ``AttributionError`` for an invalid text or an unknown method, or if every pair fails with the
    same one.
    """
    from attribution.engine import default_engine

    engine = default_engine()
    with Bar(progress, "attributions") as bar:
        for step in comparison.compare_steps(
            engine, text, models, methods, target=target, output=output, **fields
        ):
            bar.reach(sum(entry is not None for entry in step.attributions), len(step.attributions))
    return step


@takes_request
def evaluate(  # noqa: PLR0913 - the keywords are the interface
    texts: str | Table | Iterable[str | Mapping[str, Any]],
    model: Model = DEFAULT_MODEL,
    methods: str | Sequence[str] = evaluation.METHODS,
    metrics: str | Sequence[str] = evaluation.METRICS,
    *,
    rationales: Sequence[Any] | None = None,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    progress: Progress = None,
    **fields: Any,
) -> Evaluation:
    """Measure the quality of explanations: each method by each metric, with random scores as control.

    ``.best("deletion")`` names the best method, how certain that is, and the methods that are not
    distinguishable from it. ``.figure(method, metric)`` has the numbers with intervals;
    ``.save("table.tex")`` and ``.plot()`` show them. Errors of single texts are in ``.failures``.
    ``attribution.studies.evaluating.evaluate_steps`` yields intermediate results after each text.

    Parameters
    ----------
    texts : one or several texts, rows as mappings by column, a frame, a mapping of columns, or a ``Table``.
    methods, metrics : one or several.
    rationales : people's marks in each text, for the metrics that compare with them: a ``Rationale``; or a
        list of spans (start, end), of offsets of characters, or of one number for each word. By default those
        of the table.
    columns : of a table, as for ``attribute_many``, and that of the ``rationale``.
    seed : of all random draws.
    bootstrap : the number of resamples for each interval.
    progress : as for ``attribute``; a function is called with the texts done and of all.
    second : the other text of each pair, or one for all.
    options : options of methods and metrics, by name or nested under the owner's name:
        ``{"lime": {"samples": 200}}``.

    Raises an ``AttributionError`` that concerns all texts.
    """
    from attribution.engine import default_engine
    from attribution.studies.evaluating import evaluate_steps

    check_progress(progress, "the texts done", "all texts")
    metrics = list_names("metrics", metrics)
    study = read_study(texts, columns, metrics, fields.pop("second", None), rationales)
    steps = evaluate_steps(
        default_engine(),
        study.texts,
        model,
        methods,
        metrics,
        rationales=study.rationales,
        second=study.seconds,
        row_fields=study.fields,
        seed=seed,
        bootstrap=bootstrap,
        **fields,
    )
    with Bar(progress, "texts", total=len(study.texts)) as bar:
        for step in steps:
            bar.reach(step.done, step.total)
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
    progress: Progress = None,
    **fields: Any,
) -> Assessment:
    """Rank several attributions of one text by faithfulness, in seconds, against random orders of its words.

    ``.sentences`` puts the result and its uncertainty in words.

    Parameters
    ----------
    text : a text; or attributions of one text, which determine all but ``model``, ``seconds`` and ``seed``.
    model : as for ``attribute``; for attributions only needed if they were made with a loaded model.
    methods : one or several, for a text; those that fail are left out.
    seconds : the time after which no further way of hiding words is started.
    seed : of all random draws.
    progress : as for ``compare``, of the attributions of a text.

    Raises an ``AttributionError`` if the attributions are not of one text, one model and one target.
    """
    from attribution.engine import default_engine
    from attribution.studies import assessment

    check_seconds("seconds", seconds)
    check_whole_number("seed", seed, 0, SEEDS)
    engine = default_engine()
    if isinstance(text, str):
        chosen = DEFAULT_MODEL if model is None else model
        compared = compare(text, [chosen], methods, target, progress=progress, **fields)
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
    """Estimate the cost of ``attribute`` with the same arguments: seconds, passes and memory.

    ``estimate(...).describe()`` puts it in words. Loads the model and times passes of it, but does not run
    the method.
    """
    from attribution.engine import default_engine

    return default_engine().estimate(text, model, method, target, **fields)


@takes_request
def attentions(text: str, model: Model = DEFAULT_MODEL, **fields: Any) -> Attentions:
    """The attention weights of every layer and head, and figures that characterise heads.

    Attention is not explanation: see ``attribution.studies.attention``. Raises ``AttributionError``.
    """
    from attribution.engine import default_engine
    from attribution.studies.attention import attentions

    return attentions(default_engine(), text, model, **fields)


def load(
    model: str | os.PathLike[str] | PreTrainedModel | Answers | Any,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    task: str | None = None,
    name: str = "",
    labels: Sequence[str] | Mapping[Any, Any] | Any = (),
    pooling: str | Sequence[str] = (),
) -> Adapter | Function:
    """A model for ``attribute``. No object that is given is changed.

    Parameters
    ----------
    model : a name or a folder; a transformers model with its tokenizer, also inside of ``torch.compile``,
        ``DataParallel`` or PEFT; a transformers pipeline; an estimator with ``predict_proba`` that reads
        texts; or any function ``texts -> probabilities [texts, labels]``.
    tokenizer : of a transformers model.
    task : of a model whose class does not imply it.
    name : shown in results.
    labels : the names of the classes in order: a list or an array (``clf.classes_``), or a mapping
        (``id2label``). A function needs them.
    pooling : how a model without a head embeds a text, for a similarity: "mean", "cls", "max", "lasttoken",
        "weightedmean", "mean_sqrt_len_tokens", or several. Checkpoints of sentence-transformers say so.

    Raises ``Unsupported``, ``UnknownModel``, ``BadOption``, and the errors of loading.
    """
    with needs_app():
        from attribution.models.sources import store

    return store.load(model, tokenizer, task=task, name=name, labels=labels, pooling=pooling)


def __getattr__(name: str) -> Any:
    if name == "Client":
        from attribution.client import Client

        return Client
    if name == "remote":
        with needs_app():
            from attribution.models.sources.remote import remote

        return remote
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
