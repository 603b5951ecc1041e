"""Which tokens drive a language model's prediction, by several attribution methods, with numbers that can be trusted.

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
from attribution.batch import batch
from attribution.errors import AttributionError
from attribution.methods import list_methods
from attribution.metrics import list_metrics
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, VERSION
from attribution.studies import comparison, evaluation
from attribution.studies.assessment import Assessment
from attribution.studies.comparison import Comparison
from attribution.studies.evaluation import Evaluation
from attribution.tables.table import Table, requests
from attribution.types import Attribution

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from attribution.costs.estimates import Estimate
    from attribution.models.adapter import Adapter
    from attribution.models.function import Answers, Function
    from attribution.rationales import Rationale
    from attribution.studies.attention import Attentions
    from attribution.types import Label, Option, Position

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
    "batch",
    "compare",
    "errors",
    "estimate",
    "evaluate",
    "list_methods",
    "list_metrics",
    "load",
    "remote",
]
__version__ = VERSION


def attribute(
    text: str,
    model: str | os.PathLike[str] | Adapter | Function = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: Label | Sequence[Label] | None = None,
    *,
    second: str | None = None,
    contrast: Label | None = None,
    position: Position | Sequence[int] | None = None,
    continuation: str | None = None,
    quantity: str = "logit",
    max_new_tokens: int = 16,
    task: str | None = None,
    revision: str | None = None,
    **options: Option,
) -> Attribution:
    """Explain one prediction.

    Parameters
    ----------
    text : what the model reads.
    model : a bundled, catalogue or Hub name, a folder, or what ``load`` returned.
    method : a name or alias from ``list_methods()``.
    target : a label's name or index, or a list of them (``"*"``: all; None: the most probable one); for masked and generated text
        the token at ``position``; for question answering the answer.
    second : the other text of a pair: the hypothesis, the text that holds the answer, the sentence to compare with.
    contrast : why the target rather than this: the explained number is the difference. ``"runner-up"`` is the next best.
    position : where, for models that say something about each token: the number of a token of the text, or of a generated one
        (None: all, one row of scores each; ``"sequence"``: the whole generated text as one number).
    continuation : explain this text instead of what the model would generate.
    quantity : ``"logit"``, ``"log_probability"`` or ``"probability"`` of the target: the explained number.
    max_new_tokens : for generation, how many tokens are generated at most.
    task : for a family name such as ``bert-base-uncased``, what it should be fine-tuned for, e.g. ``"sentiment"``.
    options : the method's own; see ``list_methods()[name].options``.

    Raises ``AttributionError``: see ``attribution.errors`` for the tree.
    """
    from attribution.engine import default_engine

    return default_engine().attribute(
        text,
        model,
        method,
        target,
        second=second,
        contrast=contrast,
        position=position,
        continuation=continuation,
        quantity=quantity,
        max_new_tokens=max_new_tokens,
        task=task,
        revision=revision,
        options=options,
    )


def attribute_many(
    texts: Table | Iterable[str | Mapping[str, Any]],
    model: str | os.PathLike[str] | Adapter | Function = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: Label | Sequence[Label] | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    on_error: Literal["raise", "yield"] = "raise",
    options: Mapping[str, Option] | None = None,
    **asked: Any,
) -> Iterator[Attribution | AttributionError]:
    """Explain many texts: one ``Attribution`` for each, in order, as they are ready.

    ``texts`` may be a ``Table`` (``attribution.tables.open_table``) or rows, mappings by column, too; ``columns`` then says which is the
    ``text`` and the ``second`` of a pair, where their names do not. ``batch`` does the same durably, with a journal.

    Texts of like length are computed together, so it is faster than ``attribute`` one by one; the scores are the same up to
    rounding. ``texts`` may be endless: it is read a few hundred texts ahead. ``asked`` takes what ``attribute`` takes by name, and
    ``options`` the method's own. The error of a text is raised in its turn, or stands in its place with ``on_error="yield"``.
    """
    from attribution.engine import default_engine

    given = texts if isinstance(texts, str) else requests(texts, columns)
    return default_engine().attribute_many(
        given, model, method, target=target, on_error=on_error, options=options, **asked
    )


def compare(
    text: str,
    models: str
    | os.PathLike[str]
    | Adapter
    | Function
    | Sequence[str | os.PathLike[str] | Adapter | Function] = DEFAULT_MODEL,
    methods: str | Sequence[str] = comparison.DEFAULTS,
    target: Label | Sequence[Label] | None = None,
    *,
    output: int = 0,
    options: Mapping[str, Mapping[str, Option]] | None = None,
    **asked: Any,
) -> Comparison:
    """Explain one prediction by several methods, or of several models, or both: each model by each method.

    ``.agreement()``, ``.disagreements()`` and ``.difference(0, 1)`` of the result say how they agree, on which words they do not, and
    how two of them differ. The error of a pair stands in its place among ``.attributions``. ``output`` is the row of scores that is
    compared, ``options`` are those of each method by its name, ``{"lime": {"samples": 200}}``; ``asked`` takes what ``attribute`` takes
    by name. Raises an ``AttributionError`` for the text, or where every pair fails by the same one.
    """
    from attribution.engine import default_engine

    return comparison.compare(
        default_engine(), text, models, methods, target=target, output=output, options=options, **asked
    )


def evaluate(
    texts: Sequence[str],
    model: str | os.PathLike[str] | Adapter | Function = DEFAULT_MODEL,
    methods: str | Sequence[str] = evaluation.METHODS,
    metrics: str | Sequence[str] = evaluation.METRICS,
    *,
    rationales: Sequence[Rationale | None] | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    options: Mapping[str, Mapping[str, Option]] | None = None,
    **asked: Any,
) -> Evaluation:
    """Measure the quality of explanations: each method by each metric over the texts, with intervals, beside scores at random.

    ``.best("deletion")`` says which method is first, how surely, and which are not told apart from it; ``.figure(method, metric)`` has the
    numbers, ``.save("table.tex")`` and ``.plot()`` show them. ``rationales`` are what people marked, one for each text, for the metrics
    that compare with it; ``options`` are those of methods and metrics by name, ``{"lime": {"samples": 200}, "deletion": {"hide":
    "pad"}}``; ``asked`` takes what ``attribute`` takes by name. Raises an ``AttributionError`` for what concerns all texts; what goes wrong
    with one is among ``.failures``. ``attribution.studies.measurement.steps`` gives the same text by text.
    """
    from attribution.engine import default_engine
    from attribution.studies import measurement

    return measurement.evaluate(
        default_engine(),
        texts,
        model,
        methods,
        metrics,
        rationales=rationales,
        seed=seed,
        bootstrap=bootstrap,
        options=options,
        **asked,
    )


def assess(
    attributions: Sequence[Attribution],
    model: str | os.PathLike[str] | Adapter | Function | None = None,
    *,
    seconds: float = 3.0,
    seed: int = 0,
) -> Assessment:
    """Which of several attributions of one text should be believed? Ranked in seconds, against orders at random, with its uncertainty.

    ``model`` is needed where the attributions were made with what ``load`` returned. ``.sentences`` says it in words. Raises an
    ``AttributionError`` where the attributions are not of one text, one model and one target.
    """
    from attribution.engine import default_engine
    from attribution.studies import assessment

    return assessment.assess(default_engine(), attributions, model, seconds=seconds, seed=seed)


def estimate(
    text: str,
    model: str | os.PathLike[str] | Adapter | Function = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: Label | Sequence[Label] | None = None,
    *,
    options: Mapping[str, Option] | None = None,
    **asked: Any,
) -> Estimate:
    """What ``attribute`` with the same arguments would take: seconds, passes and memory, from timed passes of the model itself.

    ``estimate(...).describe()`` puts it in words. Loads the model, but does not run the method.
    """
    from attribution.engine import default_engine

    return default_engine().estimate(text, model, method, target=target, options=options, **asked)


def attentions(
    text: str,
    model: str | os.PathLike[str] | Adapter = DEFAULT_MODEL,
    *,
    second: str | None = None,
    continuation: str | None = None,
    max_new_tokens: int = 16,
    task: str | None = None,
    revision: str | None = None,
) -> Attentions:
    """Which token looks at which, in every layer and head, and figures that tell heads apart.

    Takes what ``attribute`` takes. Attention is not explanation: see ``attribution.studies.attention``. Raises ``AttributionError``.
    """
    from attribution.engine import default_engine
    from attribution.studies.attention import attentions

    return attentions(
        default_engine(),
        text,
        model,
        second=second,
        continuation=continuation,
        max_new_tokens=max_new_tokens,
        task=task,
        revision=revision,
    )


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
    from attribution.models.sources import store

    return store.load(model, tokenizer, task=task, name=name, labels=labels)


def __getattr__(name: str) -> Any:
    if name == "Client":
        from attribution.client import Client

        return Client
    if name == "remote":
        from attribution.models.sources.remote import remote

        return remote
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
