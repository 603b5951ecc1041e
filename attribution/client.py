"""The Python client: the same calls and the same ``Attribution`` objects as the library, answered by a server. No torch here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from gradio_client import Client as Connection
from gradio_client.exceptions import AppError

from attribution.errors import AttributionError, BusyError, QueueFull, by_name
from attribution.estimates import Estimate
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.studies.comparison import DEFAULTS, Comparison
from attribution.types import Attribution, Label, Option, Position


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
                f"There is no attribution server at {url_or_space} ({type(error).__name__}).", "Is it running?"
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
        try:
            return self._connection.submit(api_name=endpoint, **arguments).result(timeout=self.seconds)
        except AppError as error:
            raise by_name(error.title)(error.message) from error
        except TimeoutError as error:
            raise BusyError(f"The server did not answer within {self.seconds:g} seconds.", "Please try again.") from error
        except AttributionError:
            raise
        except Exception as error:
            if "queue is full" in str(error).lower():
                raise QueueFull("The server's queue is full.", "Please try again in a few seconds.") from error
            raise BusyError(
                f"The server could not be asked ({type(error).__name__}: {str(error)[:200]}).", "Please try again."
            ) from error


def _listed(value: Any) -> Any:
    """JSON has lists only."""
    return list(value) if isinstance(value, tuple) else value
