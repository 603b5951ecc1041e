"""The Python client: the same calls and the same ``Attribution`` objects as the library, answered by a server. No torch here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gradio_client import Client as Connection
from gradio_client.client import Job
from gradio_client.exceptions import AppError

from attribution.costs.estimates import Estimate
from attribution.errors import AttributionError, BusyError, QueueFull, by_name
from attribution.rationales import Rationale
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.studies.assessment import Assessment
from attribution.studies.comparison import DEFAULTS, Comparison
from attribution.studies.evaluation import METHODS, METRICS, Evaluation
from attribution.types import Attribution, Label, Option, Position

if TYPE_CHECKING:
    from attribution.batch import Progress, Run

PAUSE = 0.01
"""Seconds between two looks at what has come."""


class Client:
    """A running app: its URL, or the name of a Space (``owner/name``).

    >>> client = Client("http://127.0.0.1:7860")  # doctest: +SKIP
    >>> client.attribute("A wonderful film.", method="lime").words().top(3)  # doctest: +SKIP

    One client holds one connection; use one for each thread. ``seconds`` bounds the waiting for an answer.
    """

    def __init__(self, url_or_space: str, *, token: str | None = None, seconds: float = 120.0) -> None:
        self.seconds = seconds
        try:
            self._connection = Connection(url_or_space, token=token, verbose=False, analytics_enabled=False)
        except Exception as error:
            raise BusyError(
                f"There is no attribution server at {url_or_space} ({type(error).__name__}).",
                "Is it running?",
            ) from error

    def attribute(
        self,
        text: str,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
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
        **options: Option,
    ) -> Attribution:
        """``attribution.attribute`` on the server: the same arguments, the same result, the same errors."""
        answer = self._call(
            "/attribute",
            text=text,
            model=os.fspath(model),
            method=method,
            target=_listed(target),
            second=second,
            contrast=contrast,
            position=_listed(position),
            continuation=continuation,
            quantity=quantity,
            max_new_tokens=max_new_tokens,
            task=task,
            options=options,
        )
        return Attribution.from_dict(answer)

    def compare(
        self,
        text: str,
        models: str | os.PathLike[str] | Sequence[str] = DEFAULT_MODEL,
        methods: str | Sequence[str] = DEFAULTS,
        target: Label | Sequence[Label] | None = None,
        *,
        output: int = 0,
        options: Mapping[str, Mapping[str, Option]] | None = None,
        second: str | None = None,
        contrast: Label | None = None,
        position: Position | Sequence[int] | None = None,
        continuation: str | None = None,
        quantity: str = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
    ) -> Comparison:
        """``attribution.compare`` on the server, which takes a few models and methods at once."""
        answer = self._call(
            "/compare",
            text=text,
            methods=[methods] if isinstance(methods, str) else list(methods),
            models=[os.fspath(models)] if isinstance(models, str | os.PathLike) else list(models),
            target=_listed(target),
            output=output,
            options=options,
            second=second,
            contrast=contrast,
            position=_listed(position),
            continuation=continuation,
            quantity=quantity,
            max_new_tokens=max_new_tokens,
            task=task,
        )
        return Comparison.from_dict(answer)

    def estimate(
        self,
        text: str,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
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
        **options: Option,
    ) -> Estimate:
        """What ``attribute`` will take on the server for the same arguments; raises the same errors before much is computed."""
        answer = self._call(
            "/estimate",
            text=text,
            model=os.fspath(model),
            method=method,
            target=_listed(target),
            second=second,
            contrast=contrast,
            position=_listed(position),
            continuation=continuation,
            quantity=quantity,
            max_new_tokens=max_new_tokens,
            task=task,
            options=options,
        )
        return Estimate(**answer)

    def evaluate(
        self,
        texts: str | Sequence[str],
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        methods: str | Sequence[str] = METHODS,
        metrics: str | Sequence[str] = METRICS,
        *,
        rationales: Sequence[Any] | None = None,
        seed: int = 0,
        bootstrap: int = 1000,
        options: Mapping[str, Mapping[str, Option]] | None = None,
        second: str | Sequence[str | None] | None = None,
        target: Label | Sequence[Label] | None = None,
        contrast: Label | None = None,
        position: Position | Sequence[int] | None = None,
        continuation: str | None = None,
        quantity: str = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Evaluation:
        """``attribution.evaluate`` on the server, which takes so many texts, methods and metrics at once.

        ``rationales`` are what people marked in each text: lists of spans (start, end), of offsets of characters or of one number a word,
        or a ``Rationale``, of which the weights are sent. ``progress`` is told how many texts are done, of how many. Where the server's
        time is over, it answers what is done: see ``.finished``.
        """
        steps = self.stream(
            "/evaluate",
            texts=[texts] if isinstance(texts, str) else list(texts),
            model=os.fspath(model),
            methods=[methods] if isinstance(methods, str) else list(methods),
            metrics=[metrics] if isinstance(metrics, str) else list(metrics),
            rationales=None if rationales is None else [_marked(one) for one in rationales],
            seed=seed,
            bootstrap=bootstrap,
            options=options,
            second=_listed(second),
            target=_listed(target),
            contrast=contrast,
            position=_listed(position),
            continuation=continuation,
            quantity=quantity,
            max_new_tokens=max_new_tokens,
            task=task,
        )
        for answer in steps:
            if "schema" in answer:
                return Evaluation.from_dict(answer)
            progress(answer["done"], answer["total"])
        raise BusyError("The server ended without an answer.", "Please try again.")

    def assess(
        self,
        text: str | Sequence[Attribution],
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        methods: str | Sequence[str] = DEFAULTS,
        target: Label | Sequence[Label] | None = None,
        *,
        seconds: float = 3.0,
        seed: int = 0,
        options: Mapping[str, Mapping[str, Option]] | None = None,
        second: str | None = None,
        contrast: Label | None = None,
        position: Position | Sequence[int] | None = None,
        continuation: str | None = None,
        quantity: str = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
    ) -> Assessment:
        """``attribution.assess`` on the server, of what these methods say of the text there; methods that fail are left out.

        In place of a text may stand attributions, also of a tool of one's own: then only ``seconds`` and ``seed`` count beside them.
        """
        if not isinstance(text, str):
            given = [one.to_dict() for one in text]
            return Assessment.from_dict(self._call("/assess", attributions=given, seconds=seconds, seed=seed))
        answer = self._call(
            "/assess",
            text=text,
            model=os.fspath(model),
            methods=[methods] if isinstance(methods, str) else list(methods),
            seconds=seconds,
            seed=seed,
            options=options,
            target=_listed(target),
            second=second,
            contrast=contrast,
            position=_listed(position),
            continuation=continuation,
            quantity=quantity,
            max_new_tokens=max_new_tokens,
            task=task,
        )
        return Assessment.from_dict(answer)

    def metrics(self) -> list[dict[str, Any]]:
        """Every metric of quality, as ``Metric.to_dict()`` gives it."""
        return self._call("/metrics")

    def batch(
        self,
        rows: Any,
        journal: str | os.PathLike[str],
        model: str | Sequence[str] = DEFAULT_MODEL,
        method: str | Sequence[str] = DEFAULT_METHOD,
        *,
        columns: Mapping[str, str] | None = None,
        options: Mapping[str, Mapping[str, Option]] | None = None,
        progress: Callable[[Progress], None] = lambda progress: None,
        cancelled: Callable[[], bool] = lambda: False,
        **asked: Any,
    ) -> Run:
        """``attribution.batch`` on the server, many rows in one call: every row of a table by every model and method.

        Answers are kept in the folder ``journal`` here as they come. Whatever happens to the server, or to this process, the same call
        goes on where it was, on this server or another one: only the rows that are missing are sent.

        Parameters
        ----------
        rows : a file, ``hf://datasets/OWNER/NAME``, rows as mappings by column, texts, or what ``attribution.tables.open_table`` gave.
        journal : a folder; it is made if need be, and ``Run.open(journal)`` opens it again.
        columns, options, progress, asked : as for ``attribution.batch``.
        cancelled : asked between answers; what is answered by then is kept.

        Raises what ``attribution.batch`` raises, and ``BusyError`` where the server does not answer.
        """
        # Late: the other calls need no tables.
        from attribution.batch import Run, plan
        from attribution.batch.remote import RemoteEngine
        from attribution.tables.table import open_table

        table = open_table(rows)
        models, methods = ([given] if isinstance(given, str) else list(given) for given in (model, method))
        run = Run.create(
            journal, table, plan(table.name, table.picked(**(columns or {})), models, methods, options, asked)
        )
        for step in run.steps(RemoteEngine.of(self), cancelled=cancelled):  # type: ignore[arg-type]
            progress(step)
        return run

    def stream(
        self, endpoint: str, cancelled: Callable[[], bool] = lambda: False, **arguments: Any
    ) -> Iterator[Any]:
        """What an endpoint gives piece by piece, such as ``/batch``. Raises what its answer is if that is an error."""
        with self._asking():
            job = self._connection.submit(api_name=endpoint, **arguments)
            try:
                yield from self._steps(job, cancelled)
            finally:
                job.cancel()

    def _steps(self, job: Job, cancelled: Callable[[], bool]) -> Iterator[Any]:
        """Each output of a job. (Gradio's own iterator waits for ever for a server that is gone.)"""
        given, heard = 0, time.monotonic()
        while not cancelled():
            ended = job.done()
            if found := job.outputs()[given:]:
                given, heard = given + len(found), time.monotonic()
                yield from found
            if ended:
                job.result(timeout=0)
                return
            if time.monotonic() - heard > self.seconds:
                raise TimeoutError
            time.sleep(PAUSE)

    def methods(self) -> list[dict[str, Any]]:
        """Every method of the server, as ``Method.to_dict()`` gives it."""
        return self._call("/methods")

    def models(self) -> list[dict[str, Any]]:
        """Every model that the server takes; ``available`` says whether it is there without the Hub."""
        return self._call("/models")

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _call(self, endpoint: str, **arguments: Any) -> Any:
        with self._asking():
            return self._connection.submit(api_name=endpoint, **arguments).result(timeout=self.seconds)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What goes wrong on the way, as an ``AttributionError``."""
        try:
            yield
        except AppError as error:
            raise by_name(error.title)(error.message) from error
        except TimeoutError as error:
            raise BusyError(
                f"The server did not answer within {self.seconds:g} seconds.", "Please try again."
            ) from error
        except AttributionError:
            raise
        except Exception as error:
            if "queue is full" in str(error).lower():
                raise QueueFull(
                    "The server's queue is full.", "Please try again in a few seconds."
                ) from error
            raise BusyError(
                f"The server could not be asked ({type(error).__name__}: {str(error)[:200]}).",
                "Please try again.",
            ) from error


def _listed(value: Any) -> Any:
    """JSON has lists only."""
    return list(value) if isinstance(value, tuple) else value


def _marked(marks: Any) -> Any:
    """A rationale as the server reads it."""
    return [list(span) for span in marks.weights] if isinstance(marks, Rationale) else _listed(marks)
