"""The connection to one endpoint: requests bounded in number, time and tries; failures as typed errors."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from huggingface_hub import InferenceClient, get_token
from huggingface_hub.errors import GatedRepoError, HTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from attribution.errors import (
    AttributionError,
    Cancelled,
    GatedModel,
    HubUnavailable,
    TooLong,
    TooManyRequests,
    UnknownModel,
    Unsupported,
)

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds before the first retry (doubled each time), and the longest wait that an endpoint may ask for."""


@dataclass(frozen=True)
class _Failure:
    """A request that failed, and after how many seconds it may be tried again: None for never."""

    error: AttributionError
    wait: float | None = None


class Connection:
    """Sends requests to one endpoint, bounded in number, time and tries. Errors never contain the token."""

    def __init__(
        self, client: InferenceClient, model: str, place: str, token: str | None, retries: int, parallel: int
    ) -> None:
        self.client, self.model, self.place, self._token, self.retries, self.parallel = (
            client,
            model,
            place,
            token,
            retries,
            parallel,
        )
        self._gate = threading.BoundedSemaphore(parallel)

    def ask(self, call: Callable[[], T], stop: threading.Event) -> T:
        """What ``call`` returns, tried again where that may help.

        Raises a typed error; ``Cancelled`` once ``stop`` is set.
        """
        attempt = 0
        while True:
            if stop.is_set():
                raise Cancelled("Another request to the endpoint failed.")
            with self._gate:
                answer = self._once(call)
            if not isinstance(answer, _Failure):
                return answer
            if (
                answer.wait is None
                or attempt == self.retries
                or stop.wait(answer.wait or FIRST_WAIT * 2**attempt)
            ):
                # Raised here and not where it was caught: the client's own error holds the request, and that
                # the token.
                raise answer.error
            attempt += 1

    def _once(self, call: Callable[[], T]) -> T | _Failure:
        try:
            return call()
        except Exception as error:  # whatever the client makes of a strange answer
            return self._failure(error)

    def _failure(self, error: Exception) -> _Failure:
        if isinstance(error, OfflineModeIsEnabled):
            return _Failure(HubUnavailable("HF_HUB_OFFLINE is set: no endpoint is asked.", "Unset it."))
        if (response := _response(error)) is not None:
            return self._refused(response, error)
        if isinstance(error, TimeoutError):
            seconds = f"{self.client.timeout:g} seconds"
            return _Failure(
                HubUnavailable(
                    f"{self.place} gave no answer within {seconds}.", "Try again, or with a longer timeout."
                )
            )
        if isinstance(error, HTTPError | OSError):
            # The error's own words may hold headers.
            kind = type(error).__name__
            return _Failure(
                HubUnavailable(
                    f"{self.place} cannot be reached ({kind}).", "Look at its address, and whether it runs."
                ),
                0.0,
            )
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            return _Failure(
                Unsupported(f"{self.place} gave an answer that is no JSON.", "Look at its address.")
            )
        if type(error) is ValueError and not str(error).startswith(
            "Invalid"
        ):  # said by the client before it asks
            return _Failure(Unsupported(f"{self.place} cannot be asked: {self.clean(error)}"))
        return _Failure(wrong_shape_error(self.place))

    def _refused(self, response: Any, error: Exception) -> _Failure:
        """An answer with a status that is an error."""
        status, said = response.status_code, self._said(response)
        answered = f"{self.place} answered {status}" + (f": {said}" if said else "")
        answered += "" if answered.endswith((".", "!", "?", "…")) else "."
        missing = isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError)
        if missing or status == 404:
            return _Failure(UnknownModel(answered, "Look at the name of the model and at the address."))
        if status in (401, 402, 403):
            return _Failure(GatedModel(answered, "Give a token that may use this model: token=..."))
        if status == 413:
            return _Failure(TooLong(answered, "Use a shorter text."))
        if status == 429 or status >= 500:
            asks = _retry_after(response.headers)
            kind = TooManyRequests if status == 429 else HubUnavailable
            if asks is not None and asks > LONGEST_WAIT:
                return _Failure(kind(answered, f"It asks to wait {asks:.0f} seconds."))
            return _Failure(
                kind(answered, "Try again later, with fewer samples or a smaller parallel."), asks or 0.0
            )
        return _Failure(
            Unsupported(answered, "It may take fewer top_logprobs (5), or give none at all for this model.")
        )

    def _said(self, response: Any) -> str:
        """The server's own sentence."""
        try:
            body = response.json()
            said = body.get("error", body.get("message", ""))
            return self.clean(said.get("message", "") if isinstance(said, dict) else said)
        except Exception:  # not JSON, not read, another shape: then it said nothing
            return ""

    def clean(self, said: object) -> str:
        """A foreign sentence for an error: one short printable line without the token."""
        words = str(said)
        for secret in (self._token, get_token()):
            words = words.replace(secret, "[token]") if secret else words
        words = " ".join(words.split())
        return "".join(c for c in words[:200] if c.isprintable()) + ("…" if len(words) > 200 else "")


def wrong_shape_error(place: str) -> Unsupported:
    """The error for an answer that has not the task's shape."""
    return Unsupported(
        f"{place} gave an answer of another shape than the task's.",
        "Look at the address, the task and the model.",
    )


def _response(error: BaseException | None) -> Any:
    """The answer with a bad status behind an error; the client may have stumbled over its body."""
    while error is not None:
        response = getattr(error, "response", None)
        if getattr(response, "status_code", 0) >= 400:
            return response
        error = error.__context__
    return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait that an answer asks for: a number or a date (RFC 9110, section 10.2.3)."""
    given = headers.get("retry-after", "").strip()
    try:
        return (
            float(given)
            if re.fullmatch(r"\d{1,9}(\.\d*)?", given)
            else max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
        )
    except ValueError:
        return None
