"""The connection to one endpoint: limits on requests, time and retries; failures as typed errors."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard, TypeVar
from urllib.parse import urlsplit

from huggingface_hub import InferenceClient, get_token
from huggingface_hub.errors import GatedRepoError, HTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from attribution.errors import (
    AttributionError,
    BadOption,
    Cancelled,
    GatedModel,
    HubUnavailable,
    TooLong,
    TooManyRequests,
    UnknownModel,
    Unsupported,
    quote,
)
from attribution.request.values import to_python

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds before the first retry (doubled each time), and the longest ``Retry-After`` that is honoured."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where an endpoint is and how requests are sent to it.

    Attributes
    ----------
    model : the model's name at the endpoint; may be empty where ``base_url`` identifies the model.
    base_url : the address of the endpoint, http or https. None: Hugging Face, or ``provider``.
    provider : an inference provider, as ``huggingface_hub.InferenceClient`` takes it; not with ``base_url``.
    token : the bearer token. The token saved by ``hf auth login`` is never sent to a ``base_url``.
    timeout : seconds for one request, from 0.01 to 3600.
    retries : from 0 to 10, after status 429, 5xx and broken connections. ``Retry-After`` of up to 20 seconds
        is honoured.
    parallel : simultaneous requests over all threads, from 1 to 32.

    Raises ``BadOption``, which never contains the token.
    """

    model: str
    base_url: str | None = None
    provider: str | None = None
    token: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    retries: int = 2
    parallel: int = 4

    def __post_init__(self) -> None:
        check_number("timeout", self.timeout, 0.01, 3600)
        check_number("retries", self.retries, 0, 10, integer=True)
        check_number("parallel", self.parallel, 1, 32, integer=True)
        if self.token is not None and not (
            isinstance(self.token, str) and re.fullmatch(r"[!-~]+", self.token)
        ):
            raise BadOption(
                "The token is empty or has characters that are not allowed in an HTTP header.",
                "Look for line ends and spaces in it.",
            )
        if self.base_url is None and not self.model:
            raise BadOption("There is no model.", "Give a name, or the address of an endpoint.")
        if self.base_url is not None and self.provider is not None:
            raise BadOption(
                "provider and base_url are both given.", "An address has no provider: leave one of them out."
            )

    @property
    def place(self) -> str:
        """What errors and results call the endpoint. Raises ``BadOption`` for an invalid address."""
        if self.base_url is not None:
            return _origin(self.base_url)
        return f"The provider {quote(self.provider)}" if self.provider else "Hugging Face"

    def make_client(self) -> InferenceClient:
        """A client that sends only the token of these settings to an address."""
        token, timeout = self.token, self.timeout
        if self.base_url is None:
            return InferenceClient(
                model=self.model,
                provider=self.provider,
                token=token,
                timeout=timeout,
            )
        # Without a token the client would send the saved one of the Hub, to whatever address this is.
        headers = {} if token is not None else {"authorization": None}
        return InferenceClient(
            base_url=self.base_url,
            token=token,
            timeout=timeout,
            headers=headers,
        )


@dataclass(frozen=True)
class _Failure:
    """A failed request. It may be repeated after ``wait`` seconds, or never if that is None."""

    error: AttributionError
    wait: float | None = None


class Connection:
    """Sends requests to one endpoint, limited in number, time and retries. Errors never contain the token."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.place, self.client = settings.place, settings.make_client()
        self.model = settings.model if settings.base_url is not None else ""
        self.parallel, self._retries, self._token = settings.parallel, settings.retries, settings.token
        self._gate = threading.BoundedSemaphore(settings.parallel)

    def ask(self, call: Callable[[], T], stop: threading.Event) -> T:
        """Return what ``call`` returns, retrying where that may help.

        Raises a typed error; ``Cancelled`` once ``stop`` is set.
        """
        attempt = 0
        while True:
            if stop.is_set():
                raise Cancelled("Another request to the endpoint failed.")
            with self._gate:
                answer = self._attempt(call)
            if not isinstance(answer, _Failure):
                return answer
            if (
                answer.wait is None
                or attempt == self._retries
                or stop.wait(answer.wait or FIRST_WAIT * 2**attempt)
            ):
                # Raised here, outside the except clause: the client's own error would become its context,
                # and with it the request and the token.
                raise answer.error
            attempt += 1

    def _attempt(self, call: Callable[[], T]) -> T | _Failure:
        try:
            return call()
        except Exception as error:  # the client raises anything at all for a malformed answer
            return self._failure(error)

    def _failure(self, error: Exception) -> _Failure:
        if isinstance(error, OfflineModeIsEnabled):
            return _Failure(HubUnavailable("HF_HUB_OFFLINE is set: no request is sent.", "Unset it."))
        if (response := _response(error)) is not None:
            return self._status_failure(response, error)
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
                Unsupported(f"{self.place} gave an answer that is not JSON.", "Look at its address.")
            )
        # A plain ValueError comes from the client itself, before it sends anything.
        if type(error) is ValueError and not str(error).startswith("Invalid"):
            return _Failure(Unsupported(f"{self.place} cannot be asked: {self.clean(error)}"))
        return _Failure(wrong_shape_error(self.place))

    def _status_failure(self, response: Any, error: Exception) -> _Failure:
        """The failure for an answer with an error status."""
        status, reason = response.status_code, self._reason(response)
        message = f"{self.place} answered {status}" + (f": {reason}" if reason else "")
        message += "" if message.endswith((".", "!", "?", "…")) else "."
        missing = isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError)
        if missing or status == 404:
            return _Failure(UnknownModel(message, "Look at the name of the model and at the address."))
        if status in (401, 402, 403):
            return _Failure(GatedModel(message, "Give a token that may use this model: token=..."))
        if status == 413:
            return _Failure(TooLong(message, "Use a shorter text."))
        if status == 429 or status >= 500:
            delay = _retry_after(response.headers)
            kind = TooManyRequests if status == 429 else HubUnavailable
            if delay is not None and delay > LONGEST_WAIT:
                return _Failure(kind(message, f"It asks to wait {delay:.0f} seconds."))
            return _Failure(
                kind(message, "Try again later, with fewer samples or a smaller parallel."), delay or 0.0
            )
        return _Failure(
            Unsupported(message, "It may take fewer top_logprobs (5), or give none at all for this model.")
        )

    def _reason(self, response: Any) -> str:
        """The server's own error message, empty where the body has none."""
        try:
            body = response.json()
            reason = body.get("error", body.get("message", ""))
            return self.clean(reason.get("message", "") if isinstance(reason, dict) else reason)
        except Exception:  # not JSON, not readable, or of another shape
            return ""

    def clean(self, text: object) -> str:
        """Foreign text for an error message: one short printable line without the token."""
        words = str(text)
        for secret in (self._token, get_token()):
            words = words.replace(secret, "[token]") if secret else words
        words = " ".join(words.split())
        return "".join(c for c in words[:200] if c.isprintable()) + ("…" if len(words) > 200 else "")


def wrong_shape_error(place: str) -> Unsupported:
    """The error for an answer that does not have the task's shape."""
    return Unsupported(
        f"{place} gave an answer of another shape than the task's.",
        "Look at the address, the task and the model.",
    )


def _response(error: BaseException | None) -> Any:
    """The response with an error status that caused an error, directly or on the way."""
    while error is not None:
        response = getattr(error, "response", None)
        if getattr(response, "status_code", 0) >= 400:
            return response
        error = error.__context__
    return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The ``Retry-After`` of an answer in seconds: a number or a date (RFC 9110, section 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    try:
        return (
            float(value)
            if re.fullmatch(r"\d{1,9}(\.\d*)?", value)
            else max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        )
    except ValueError:
        return None


def _origin(address: str) -> str:
    """Scheme, host and port of an address; the rest may hold secrets. Raises ``BadOption``."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadOption(
            "The address of the endpoint cannot be read.", "Write it as https://host/v1."
        ) from None
    if parts.scheme not in ("http", "https") or not host or not address.isprintable() or " " in address:
        raise BadOption(
            "The address of the endpoint is not one of http or https.", "Write it as https://host/v1."
        )
    if parts.username is not None or parts.password is not None:
        raise BadOption(
            "The address contains a user name or a password.", "Pass the secret as token instead."
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_number(name: str, value: object, least: float, most: float, *, integer: bool = False) -> None:
    """Raise ``BadOption`` unless an option is a number of that range."""
    value = to_python(value)
    if not is_number(value) or (integer and not isinstance(value, int)) or not least <= value <= most:
        raise BadOption(
            f"{name} is {quote(value)}.",
            f"It must be {'a whole number' if integer else 'a number'} from {least:g} to {most:g}.",
        )
