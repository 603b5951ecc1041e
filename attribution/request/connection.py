"""A connection to a running app: its address, the calls of its endpoints, and its errors."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gradio_client import Client as Connection
from gradio_client.client import Job
from gradio_client.exceptions import AppError

from attribution.errors import AttributionError, BadOption, BusyError, QueueFull, describe, error_class, quote
from attribution.request.arguments import check_seconds

PAUSE = 0.01
"""Seconds between two checks for new outputs."""


class Server:
    """A running app. ``Client`` adds the calls of the library."""

    def __init__(self, url_or_space: str, *, token: str | None = None, seconds: float = 120.0) -> None:
        self.seconds = check_seconds("seconds", seconds)
        source = _complete_address(url_or_space)
        try:
            self._connection = Connection(source, token=token, verbose=False, analytics_enabled=False)
        except Exception as error:
            raise BusyError(
                f"There is no attribution server at {quote(source, 100)} ({type(error).__name__}).",
                "Is it running? The address is its URL, or OWNER/NAME for a Space.",
            ) from error

    def stream(
        self, endpoint: str, cancelled: Callable[[], bool] = lambda: False, **arguments: Any
    ) -> Iterator[Any]:
        """Yield the outputs of a streaming endpoint such as ``/batch``. Raises the error in its answer."""
        with self._translating_errors():
            job = self._connection.submit(api_name=endpoint, **arguments)
            try:
                yield from self._steps(job, cancelled)
            finally:
                job.cancel()

    def _steps(self, job: Job, cancelled: Callable[[], bool]) -> Iterator[Any]:
        """Yield each output of a job. Gradio's own iterator waits forever if the server has gone."""
        count, last_output = 0, time.monotonic()
        while not cancelled():
            ended = job.done()
            if outputs := job.outputs()[count:]:
                count, last_output = count + len(outputs), time.monotonic()
                yield from outputs
            if ended:
                job.result(timeout=0)
                return
            if time.monotonic() - last_output > self.seconds:
                raise TimeoutError
            time.sleep(PAUSE)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, endpoint: str, **arguments: Any) -> Any:
        with self._translating_errors():
            return self._connection.submit(api_name=endpoint, **arguments).result(timeout=self.seconds)

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Context manager: turn errors of the connection into an ``AttributionError``."""
        try:
            yield
        except AppError as error:
            message, _, hint = str(error.message).partition("\n")
            raise error_class(error.title)(message, hint) from error
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
                f"The request to the server failed ({type(error).__name__}: {str(error)[:200]}).",
                "Please try again.",
            ) from error


def _complete_address(url_or_space: object) -> str:
    """The address with its scheme: ``127.0.0.1:7860`` is a host, ``owner/name`` a Space.

    Raises ``BadOption``.
    """
    if not isinstance(url_or_space, str) or not url_or_space.strip():
        raise BadOption(
            f"The address is {describe(url_or_space)}.",
            "It must be a URL such as http://127.0.0.1:7860, or OWNER/NAME for a Space.",
        )
    address = url_or_space.strip()
    host, _, path = address.partition("/")
    is_space = bool(path) and not re.search(r"[.:]|^localhost$", host)
    return address if "://" in address or is_space else f"http://{address}"
