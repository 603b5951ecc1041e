"""The Python client: the calls and the results of the library, computed by a server. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attribution.costs.estimates import Estimate
from attribution.deprecation import warn_renamed
from attribution.errors import AttributionError, BadOption, BusyError
from attribution.rationales import Rationale, read_all
from attribution.request import Labels, Model, Request
from attribution.request.arguments import (
    SEEDS,
    check_callback,
    check_folder,
    check_many,
    check_progress,
    check_seconds,
    check_whole_number,
    list_models,
    list_names,
    list_seconds,
    list_texts,
)
from attribution.request.connection import Server
from attribution.request.progress import Bar, Progress, count_rows, count_steps
from attribution.request.sending import body_of, name_of, sendable
from attribution.request.signatures import takes_request
from attribution.request.values import to_python_deep
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.studies.assessment import Assessment, list_attributions
from attribution.studies.comparison import DEFAULTS, MANY_OUTPUTS, Comparison
from attribution.studies.evaluation import METHODS, METRICS, Evaluation
from attribution.tables import Table, requests
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.batch import Progress as RunProgress
    from attribution.batch import Run
    from attribution.tables import Table, Texts


class Client(Server):
    """A connection to a running app: its URL, or the name of a Space (``owner/name``).

    >>> client = Client("http://127.0.0.1:7860")  # doctest: +SKIP
    >>> client.attribute("A wonderful film.", method="lime").words().top(3)  # doctest: +SKIP

    A client holds one connection; use one for each thread. ``seconds`` limits the wait for an answer.
    """

    @takes_request
    def attribute(
        self,
        text: str,
        model: Model = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        target: Labels = None,
        *,
        progress: Progress = None,
        **fields: Any,
    ) -> Attribution:
        """``attribution.attribute`` on the server: the same arguments, the same result, the same errors.

        Parameters
        ----------
        progress : as in ``attribution.attribute``; what is counted are answers of the server.
        """
        request = Request.of(text, model, method, target, **fields)
        return Attribution.from_dict(self._wait(progress, "/attribute", **body_of(request)))

    @takes_request
    def attribute_many(
        self,
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
        """``attribution.attribute_many`` on the server: one text after another, each when it is asked for.

        ``run_batch`` computes many texts together, and has a journal.

        Parameters
        ----------
        texts, columns, on_error, progress : as in ``attribution.attribute_many``.
        """
        check_many(texts, on_error)
        check_progress(progress, "the texts done", "all texts")
        arguments = {"model": model, "method": method, "target": target, **fields}
        items = requests(texts, columns)
        return count_steps(
            self._attribute_in_order(items, on_error == "raise", arguments),
            Bar(progress, "texts", total=count_rows(texts)),
        )

    def _attribute_in_order(
        self, items: Iterator[Any], raising: bool, arguments: Mapping[str, Any]
    ) -> Iterator[Attribution | AttributionError]:
        for item in items:
            own = item if isinstance(item, Mapping) else {"text": item}
            try:
                if isinstance(item, AttributionError):
                    raise item
                request = Request.of(**{**arguments, **own})
                answer = self._call("/attribute", **body_of(request))
            except AttributionError as error:
                if raising:
                    raise
                yield error
            else:
                yield Attribution.from_dict(answer)

    def _wait(self, progress: Progress, endpoint: str, **arguments: Any) -> Any:
        """The answer of an endpoint; ``progress`` shows that it is waited for."""
        check_progress(progress, "the answers", "all answers")
        with Bar(progress, "answers", total=1) as bar:
            answer = self._call(endpoint, **arguments)
            bar.advance()
        return answer

    @takes_request
    def estimate(
        self,
        text: str,
        model: Model = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        target: Labels = None,
        **fields: Any,
    ) -> Estimate:
        """The cost of ``attribute`` on the server; raises the same errors before much is computed."""
        request = Request.of(text, model, method, target, **fields)
        return Estimate(**self._call("/estimate", **body_of(request)))

    @takes_request
    def compare(
        self,
        text: str,
        models: Model | Sequence[Model] = DEFAULT_MODEL,
        methods: str | Sequence[str] = DEFAULTS,
        target: Labels = None,
        *,
        output: int = 0,
        progress: Progress = None,
        **fields: Any,
    ) -> Comparison:
        """``attribution.compare`` on the server, which limits the number of models and methods.

        Parameters
        ----------
        models, methods : one or several.
        output : the row of scores to compare.
        progress : as for ``attribute``.
        """
        request = Request.of(text, target=target, **fields)
        names = [name_of(model) for model in list_models("models", models)]
        answer = self._wait(
            progress,
            "/compare",
            **body_of(request),
            models=names,
            methods=sendable("methods", list_names("methods", methods)),
            output=check_whole_number("output", output, 0, MANY_OUTPUTS),
        )
        return Comparison.from_dict(answer)

    @takes_request
    def evaluate(  # noqa: PLR0913 - the keywords are the interface
        self,
        texts: str | Table | Iterable[str | Mapping[str, Any]],
        model: Model = DEFAULT_MODEL,
        methods: str | Sequence[str] = METHODS,
        metrics: str | Sequence[str] = METRICS,
        *,
        rationales: Sequence[Any] | None = None,
        columns: Mapping[str, str] | None = None,
        seed: int = 0,
        bootstrap: int = 1000,
        progress: Progress = None,
        **fields: Any,
    ) -> Evaluation:
        """``attribution.evaluate`` on the server, which limits the number of texts, methods and metrics.

        At the server's time limit the result covers the texts done so far: see ``.finished``.

        Parameters
        ----------
        texts : one or several texts, rows as mappings by column, a frame, a mapping of columns, or a
            ``Table``.
        methods, metrics : one or several.
        columns : of a table, as for ``run_batch``.
        rationales : people's marks in each text: lists of spans (start, end), of offsets of characters, or of
            one number for each word; or a ``Rationale``, whose weights are sent.
        seed : of all random draws.
        bootstrap : the number of resamples for each interval.
        progress : as in ``attribution.evaluate``.
        second : the other text of each pair, or one for all.
        options : options of methods and metrics, by name or nested under the owner's name:
            ``{"lime": {"samples": 200}}``.
        """
        from attribution.tables import read_study  # the other calls need no tables

        check_progress(progress, "the texts done", "all texts")
        metrics = list_names("metrics", metrics)
        study = read_study(texts, columns, metrics, fields.pop("second", None), rationales)
        body = body_of(Request.of("text", model, **fields))
        del body["text"]
        steps = self.stream(
            "/evaluate",
            **body,
            **_describe_study(study),
            methods=sendable("methods", list_names("methods", methods)),
            metrics=sendable("metrics", metrics),
            seed=check_whole_number("seed", seed, 0, SEEDS),
            bootstrap=check_whole_number("bootstrap", bootstrap, 100, 100_000),
        )
        with Bar(progress, "texts", total=len(study.texts)) as bar:
            for answer in steps:
                if "schema" in answer:
                    return Evaluation.from_dict(answer)
                bar.reach(answer["done"], answer["total"])
        raise BusyError("The server ended without an answer.", "Please try again.")

    @takes_request
    def assess(
        self,
        text: str | Sequence[Attribution],
        model: Model | None = None,
        methods: str | Sequence[str] = DEFAULTS,
        target: Labels = None,
        *,
        seconds: float = 3.0,
        seed: int = 0,
        progress: Progress = None,
        **fields: Any,
    ) -> Assessment:
        """``attribution.assess`` on the server, of these methods there, or of attributions of any tool.

        Parameters
        ----------
        text : a text; or attributions of one text, which determine all but ``seconds`` and ``seed``.
        methods : one or several, for a text; those that fail are left out.
        seconds : the time after which no further way of hiding words is started.
        seed : of all random draws.
        progress : as for ``attribute``.
        """
        check_seconds("seconds", seconds)
        check_whole_number("seed", seed, 0, SEEDS)
        if isinstance(text, str):
            request = Request.of(text, DEFAULT_MODEL if model is None else model, target=target, **fields)
            body = {**body_of(request), "methods": sendable("methods", list_names("methods", methods))}
        else:
            body = {"attributions": [attribution.to_dict() for attribution in list_attributions(text)]}
        return Assessment.from_dict(self._wait(progress, "/assess", **body, seconds=seconds, seed=seed))

    @takes_request
    def run_batch(
        self,
        table: str | os.PathLike[str] | Table | Iterable[Any] | None,
        folder: str | os.PathLike[str],
        model: Model | Sequence[Model] = DEFAULT_MODEL,
        method: str | Sequence[str] = DEFAULT_METHOD,
        target: Labels = None,
        *,
        columns: Mapping[str, str] | None = None,
        progress: Callable[[RunProgress], None] | bool | None = None,
        cancelled: Callable[[], bool] | None = None,
        **fields: Any,
    ) -> Run:
        """``attribution.run_batch`` on the server: every row of a table by every model and method.

        Results are written to a local folder as they arrive. After a failure of the server or of this process
        the same call resumes the run, on this server or another one, and sends only the missing rows.
        ``Run.open(folder)`` opens it again.

        Parameters
        ----------
        table : a file, ``hf://datasets/OWNER/NAME``, rows as mappings by column, texts, or a ``Table``
            (``attribution.tables.open_table``). None resumes the run in the folder as it was planned.
        folder : the folder of the run; created if it does not exist.
        model, method : one or several.
        columns : the columns of ``text``, ``second``, ``label`` and ``rationale``; guessed by their names if
            not given.
        progress : as in ``attribution.run_batch``.
        cancelled : called between answers; when it returns True, nothing more is sent. Results are preserved.

        Raises what ``attribution.run_batch`` raises, and ``BusyError`` if the server does not answer.
        """
        # Imported here because the other calls need no tables.
        from attribution.batch import Run, make_plan, watch
        from attribution.batch.remote import RemoteEngine
        from attribution.tables import open_table

        path = check_folder("folder", folder)
        check_progress(progress, "the progress")
        check_callback("cancelled", cancelled)
        models = [name_of(entry) for entry in list_models("model", model)]
        methods = list_names("method", method)
        engine = RemoteEngine.of(self)
        if table is None:
            run = Run.open(path)
        else:
            source = open_table(table)
            names = source.name, source.choose_columns(columns), models, methods
            run = Run.create(path, source, make_plan(*names, engine.find_method, target=target, **fields))
        watch(run.steps(engine, cancelled=cancelled or (lambda: False)), progress)  # type: ignore[arg-type]
        return run

    def list_methods(self) -> list[dict[str, Any]]:
        """Every method of the server, as ``Method.to_dict()`` returns it."""
        entries: list[dict[str, Any]] = self._call("/methods")
        return entries

    def list_metrics(self) -> list[dict[str, Any]]:
        """Every metric of quality of the server, as ``Metric.to_dict()`` returns it."""
        entries: list[dict[str, Any]] = self._call("/metrics")
        return entries

    def list_models(self) -> list[dict[str, Any]]:
        """Every model that the server takes; ``available`` ones need no download from the Hub."""
        entries: list[dict[str, Any]] = self._call("/models")
        return entries

    def methods(self) -> list[dict[str, Any]]:
        """The old name of ``list_methods``."""
        warn_renamed("Client.methods()", "Client.list_methods()")
        return self.list_methods()

    def metrics(self) -> list[dict[str, Any]]:
        """The old name of ``list_metrics``."""
        warn_renamed("Client.metrics()", "Client.list_metrics()")
        return self.list_metrics()

    def models(self) -> list[dict[str, Any]]:
        """The old name of ``list_models``."""
        warn_renamed("Client.models()", "Client.list_models()")
        return self.list_models()

    def batch(self, rows: Any, journal: str | os.PathLike[str], *positional: Any, **keywords: Any) -> Run:
        """The old name of ``run_batch``."""
        warn_renamed("Client.batch()", "Client.run_batch()")
        return self.run_batch(rows, journal, *positional, **keywords)


def _describe_study(study: Texts) -> dict[str, Any]:
    """The texts of an evaluation as its endpoint takes them. Raises ``BadOption``, ``BadTable``."""
    if any(study.fields or ()):
        raise BadOption(
            "A server evaluates all texts with the same fields, and these rows have their own.",
            f"Leave out the columns {', '.join(sorted(set().union(*study.fields or ())))}.",
        )
    texts = list_texts("texts", study.texts)
    seconds = list_seconds(study.seconds, len(texts))
    read_all(texts, study.rationales)
    return {
        "texts": sendable("texts", texts),
        "second": sendable("second", seconds) if any(second is not None for second in seconds) else None,
        "rationales": sendable("rationales", [_marks(marks) for marks in study.rationales or ()]) or None,
    }


def _marks(marks: Any) -> Any:
    """A rationale in JSON types."""
    if isinstance(marks, Rationale):
        return [dict(zip(("start", "end", "weight"), span, strict=True)) for span in marks.weights]
    return to_python_deep(marks)
