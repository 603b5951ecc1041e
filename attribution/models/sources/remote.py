"""A model behind an HTTP endpoint, closed ones included, as a ``Function``: a classifier's answers, or a chat model's log-probabilities.

Only for who calls the library: no name makes one, so a visitor of a server cannot have it ask an address.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeGuard, TypeVar, get_args
from urllib.parse import urlsplit

import numpy as np
from huggingface_hub import InferenceClient, get_token
from huggingface_hub.errors import GatedRepoError, HTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from attribution.errors import (
    AttributionError,
    BadOption,
    Cancelled,
    GatedModel,
    HubUnavailable,
    NotFinite,
    TooLong,
    TooManyRequests,
    UnknownModel,
    Unsupported,
    nearest,
    quote,
)
from attribution.models.function import Function, Row

RemoteTask = Literal["chat", "text-classification"]
T = TypeVar("T")

PROMPT = "Classify the text. Answer with exactly one of these labels and nothing else: {labels}.\n\nText: {text}\n\nLabel:"
PAIR_PROMPT = (
    "Classify the pair of texts. Answer with exactly one of these labels and nothing else: {labels}.\n\n"
    "First text: {text}\n\nSecond text: {second}\n\nLabel:"
)
PLACE = re.compile(r"\{(text|second|labels)\}")

EVERY_LABEL = 1000
"""Labels that a classifier is asked for: more than it has."""
SHORT = "Good."
"""What a classifier is asked once, to learn its labels."""
AMBIGUOUS = 0.01
"""Share of the answers' probability that may begin with what two labels have in common."""
RESOLUTION = 1e-6
"""Endpoints round their log-probabilities: a smaller remainder of probability is noise."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds before the first retry (doubled each time), and the longest wait that an endpoint may ask for."""
ROUNDS = 4
"""Texts for each parallel request between two looks at the deadline."""


def remote(
    model: str,
    *,
    labels: Sequence[str] = (),
    task: RemoteTask = "chat",
    base_url: str | None = None,
    provider: str | None = None,
    token: str | None = None,
    prompt: str | None = None,
    top_logprobs: int = 20,
    normalise: bool = True,
    timeout: float = 30.0,
    retries: int = 2,
    parallel: int = 4,
    extra_body: Mapping[str, Any] | None = None,
    name: str = "",
) -> Function:
    """A model behind an endpoint, for ``attribute`` with the methods that only need answers to changed texts.

    Parameters
    ----------
    model : a name at the endpoint, such as ``"gpt-3.5-turbo"``, a name on the Hub, or the endpoint's address
        itself.
    labels : the classes. A chat model needs them; a classifier is asked once for its own.
    task : ``"chat"`` asks an OpenAI-compatible endpoint for one of the labels: f(label) is the probability
        that the answer's first token begins the label. ``"text-classification"`` asks an endpoint of that
        Hugging Face task.
    base_url : the address of the endpoint, http or https; else Hugging Face, or ``provider`` (see
        ``InferenceClient``).
    token : what the endpoint wants as a bearer token. The token saved by ``hf auth login`` never goes to a
        ``base_url``.
    prompt : what a chat model is asked, with the places ``{text}``, ``{second}`` (the other text of a pair)
        and ``{labels}``.
    top_logprobs : for how many tokens the log-probabilities are asked (a server may take fewer). A label that
        is not among them counts with an upper bound: the smallest of them, or what they leave of 1 if that is
        less.
    normalise : divide by the sum over the labels: the probability given that the answer is one of them.
    timeout : seconds for one request. ``retries`` follow 429, 5xx and broken connections, and keep to
        ``Retry-After`` of up to 20 s.
    parallel : requests at the same time, over all threads.
    extra_body : more fields for a chat request, such as what switches a model's reasoning off.

    ``function.asked`` of what is returned counts the texts asked, ``function.bounded`` the answers with a
    bound in them, and ``function.least`` is the smallest probability that an answer was one of the labels.

    Raises ``BadOption``; when asked ``HubUnavailable``, ``GatedModel``, ``UnknownModel``,
    ``TooManyRequests``, ``TooLong``, ``Unsupported`` (no log-probabilities, a missing label, an answer of
    another shape) and ``NotFinite``. No error holds the token.
    """
    if isinstance(labels, str):
        raise BadOption(
            "labels is one text.", 'It must be a list of names, such as ["negative", "positive"].'
        )
    if task not in get_args(RemoteTask):
        raise BadOption(f"task is {quote(task)}.", nearest(task, get_args(RemoteTask)))
    _check_number("timeout", timeout, 0.01, 3600)
    for option, value, least, most in (
        ("retries", retries, 0, 10),
        ("parallel", parallel, 1, 32),
        ("top_logprobs", top_logprobs, 1, 100),
    ):
        _check_number(option, value, least, most, whole=True)
    if "://" in model and base_url is None:
        model, base_url = "", model
    line = _connect(model, base_url, provider, token, timeout, retries, parallel)
    if task == "chat":
        asked: Endpoint = Chat(line, labels, prompt, top_logprobs, normalise, extra_body)
    else:
        if prompt is not None or extra_body is not None:
            raise BadOption(
                "A classifier takes no prompt and no extra_body.", "Leave them out, or use task='chat'."
            )
        asked = Classifier(line, labels)
    found = Function(asked, asked.labels, name=name or model or line.place, batch=parallel * ROUNDS)
    found.info = replace(found.info, architecture=f"{task} at {line.place}", note=asked.note)
    return found


@dataclass(frozen=True)
class _Failure:
    """A request that failed, and after how many seconds it may be tried again: None for never."""

    error: AttributionError
    wait: float | None = None


class Line:
    """The way to one endpoint: requests bounded in number, time and tries, failures as typed errors without the token in them."""

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
        return _Failure(_wrong_shape(self.place))

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


class Endpoint(ABC):
    """A function of texts that asks an endpoint, several texts at a time, their order kept."""

    def __init__(self, line: Line, labels: Sequence[str]) -> None:
        self.line, self.labels = line, tuple(labels)
        self.note = ""
        self.asked, self.bounded, self.least = 0, 0, 1.0
        self._counting = threading.Lock()

    def __call__(self, rows: Sequence[Row]) -> np.ndarray:
        """[rows, labels]"""
        stop = threading.Event()

        def one(row: Row) -> Sequence[float]:
            try:
                with self._counting:
                    self.asked += 1
                return self.answer(row, stop)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(min(self.line.parallel, len(rows)), thread_name_prefix="remote") as pool:
            jobs = [pool.submit(one, row) for row in rows]
            try:
                for job in jobs:
                    # Who was stopped by another's failure is not the one to report.
                    if (error := job.exception()) is not None and not isinstance(error, Cancelled):
                        raise error
                return np.array([job.result() for job in jobs], dtype=np.float64)
            finally:
                stop.set()

    @abstractmethod
    def answer(self, row: Row, stop: threading.Event) -> Sequence[float]:
        """The probabilities of the labels for one text or pair."""


class Classifier(Endpoint):
    """An endpoint of the Hugging Face task text-classification."""

    def __init__(self, line: Line, labels: Sequence[str]) -> None:
        super().__init__(line, labels)
        self._listed = False
        if not self.labels:
            self.labels = tuple(sorted(self._said(SHORT, threading.Event())))

    def answer(self, row: Row, stop: threading.Event) -> Sequence[float]:
        said = self._said(row, stop)
        folded = {label.casefold(): score for label, score in said.items()}
        found = [said.get(label, folded.get(label.casefold())) for label in self.labels]
        for label, score in zip(self.labels, found, strict=True):
            if score is None:
                known = ", ".join(self.line.clean(each) for each in list(said)[:20])
                raise Unsupported(
                    f"{self.line.place} said nothing about the label {quote(label)}.",
                    f"It answered for: {known}. It must answer for all labels (top_k).",
                )
        return [score for score in found if score is not None]

    def _said(self, row: Row, stop: threading.Event) -> dict[str, float]:
        """Each label's score."""
        text: object = row if isinstance(row, str) else {"text": row[0], "text_pair": row[1]}
        # In a list the answer is one too, for each text a list. The client drops all labels but one of a flat
        # answer, which some endpoints give to a single text.
        if not self._listed and isinstance(row, str):
            answer = self._ask(text, stop)
            if isinstance(answer, list):
                return self._scores(answer)
            self._listed = True
        return self._scores(self._ask([text], stop))

    def _ask(self, inputs: Any, stop: threading.Event) -> Any:
        return self.line.ask(lambda: self.line.client.text_classification(inputs, top_k=EVERY_LABEL), stop)

    def _scores(self, answer: Any) -> dict[str, float]:
        if not isinstance(answer, list) or not answer:
            raise _wrong_shape(self.line.place)
        found = {}
        for item in answer:
            label, score = getattr(item, "label", None), getattr(item, "score", None)
            if not isinstance(label, str) or not _is_number(score):
                raise _wrong_shape(self.line.place)
            found[label] = float(score)
        return found


class Chat(Endpoint):
    """A chat model that is asked for one of the labels; f(label) comes from the log-probabilities of its answer's first token."""

    def __init__(
        self,
        line: Line,
        labels: Sequence[str],
        prompt: str | None,
        top: int,
        normalise: bool,
        extra_body: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(line, labels)
        self._spelled = _check_labels(self.labels)
        if prompt is not None and "{text}" not in prompt:
            raise BadOption("The prompt has no place for the text.", "Write {text} where it goes.")
        self._prompt, self._top, self._normalise, self._extra = prompt, top, normalise, dict(extra_body or {})
        given = ", given that it is one of the labels" if normalise else ""
        self.note = (
            f"f is the probability that the answer's first token begins the label{given}. A label that is not among the {top} most "
            "probable tokens counts with an upper bound, the smallest of their probabilities."
        )

    def answer(self, row: Row, stop: threading.Event) -> Sequence[float]:
        message = {"role": "user", "content": self._fill(row)}
        client, extra = self.line.client, self._extra
        said = self.line.ask(
            lambda: client.chat_completion(
                [message],
                model=self.line.model or None,
                max_tokens=1,
                temperature=0.0,
                logprobs=True,
                top_logprobs=self._top,
                extra_body=extra,
            ),
            stop,
        )
        return self._masses(dict.fromkeys(self._tokens(said)))

    def _fill(self, row: Row) -> str:
        """The prompt for one text or pair; all places are filled at once, so that a text is never read as a template."""
        text, second = (row, None) if isinstance(row, str) else row
        prompt = self._prompt if self._prompt is not None else PROMPT if second is None else PAIR_PROMPT
        if ("{second}" in prompt) != (second is not None):
            if second is None:
                raise BadOption("The prompt is for a pair of texts.", "Give the other one as second.")
            raise BadOption("The prompt has no place for the second text.", "Write {second} where it goes.")
        parts = {"text": text, "second": second or "", "labels": ", ".join(self.labels)}
        return PLACE.sub(lambda place: parts[place[1]], prompt)

    def _tokens(self, said: Any) -> Iterator[tuple[str, float]]:
        """The answer's possible first tokens with their log-probabilities."""
        strange = (AttributeError, IndexError, TypeError, KeyError)
        try:
            logprobs = said.choices[0].logprobs
        except strange:
            raise _wrong_shape(self.line.place) from None
        try:
            found = logprobs.content[0].top_logprobs
        except strange:
            found = None
        if not found or not isinstance(found, list):
            raise Unsupported(
                f"{self.line.place} gave no log-probabilities.",
                "Ask a model and an endpoint that give top_logprobs for chat answers.",
            )
        for item in found:
            token, logprob = getattr(item, "token", None), getattr(item, "logprob", None)
            if not isinstance(token, str) or not _is_number(logprob):
                raise _wrong_shape(self.line.place)
            if math.isnan(logprob) or logprob > 1e-3:
                raise NotFinite(
                    f"{self.line.place} gave {logprob} as a log-probability.", "It must be a number up to 0."
                )
            yield token, float(logprob)

    def _masses(self, tokens: Mapping[tuple[str, float], None]) -> Sequence[float]:
        """The probabilities of the labels. The same token with the same number, listed twice, is one."""
        masses, total, smallest = [0.0] * len(self.labels), 0.0, 1.0
        shared: dict[tuple[int, ...], tuple[str, float]] = {}
        seen = set()
        for token, logprob in tokens:
            p = math.exp(min(logprob, 0.0))
            total, smallest = total + p, min(smallest, p)
            spelled = token.lstrip(" \t\r\n▁Ġ").casefold()
            fits = tuple(k for k, label in enumerate(self._spelled) if spelled and label.startswith(spelled))
            if len(fits) == 1:
                masses[fits[0]] += p
                seen.add(fits[0])
            elif fits:
                shared[fits] = (spelled, p + shared.get(fits, ("", 0.0))[1])
        found = sum(masses)
        for fits, (spelled, p) in shared.items():
            if p > AMBIGUOUS * (found + p):
                several = " and ".join(quote(self.labels[k]) for k in fits)
                raise Unsupported(
                    f"The answer's first token {quote(spelled)} begins the labels {several} alike.",
                    "Use labels that begin differently, such as A and B, and explain them in the prompt.",
                )
        if not seen:
            raise Unsupported(
                f"No label is among the first tokens of the answer: {', '.join(quote(self.line.clean(t), 20) for t, _ in list(tokens)[:5])}.",
                "Write a prompt that makes the model answer with a label alone.",
            )
        bound = min(smallest, max(1 - total, RESOLUTION))
        masses = [mass if k in seen else bound for k, mass in enumerate(masses)]
        with self._counting:
            self.bounded += len(seen) < len(masses)
            self.least = min(self.least, found)
        whole = max(sum(masses), 1e-300) if self._normalise else 1.0
        return [min(mass / whole, 1.0) for mass in masses]


def _connect(
    model: str,
    base_url: str | None,
    provider: str | None,
    token: str | None,
    timeout: float,
    retries: int,
    parallel: int,
) -> Line:
    """The client for an endpoint. Raises ``BadOption``."""
    if token is not None and (not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token)):
        raise BadOption(
            "The token has characters that no header can carry, or none at all.",
            "Look for line ends and spaces in it.",
        )
    if base_url is None:
        if not model:
            raise BadOption("There is no model.", "Give a name, or the address of an endpoint.")
        client = InferenceClient(model=model, provider=provider, token=token, timeout=timeout)
        return Line(
            client,
            "",
            f"The provider {quote(provider)}" if provider else "Hugging Face",
            token,
            retries,
            parallel,
        )
    if provider is not None:
        raise BadOption(
            "provider and base_url are both given.", "An address has no provider: leave one of them out."
        )
    place = _place(base_url)
    # Without a token the client would send the one saved for the Hub, to whatever address this is.
    headers = {} if token is not None else {"authorization": None}
    client = InferenceClient(base_url=base_url, token=token, timeout=timeout, headers=headers)
    return Line(client, model, place, token, retries, parallel)


def _place(address: str) -> str:
    """Scheme, host and port of an address, which is all of it that is shown. Raises ``BadOption``."""
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
        raise BadOption("The address holds a name or a password.", "Give the secret as token.")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def _check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """How the labels are spelled for comparison.

    Raises ``BadOption`` where first tokens cannot tell them apart.
    """
    if len(labels) < 2:
        raise BadOption("A chat model needs two labels at least.", 'Give labels=["negative", "positive"].')
    spelled = tuple(label.strip().casefold() if isinstance(label, str) else "" for label in labels)
    if not all(spelled):
        raise BadOption("A label is empty or no text.", "Give each a name.")
    for k, one in enumerate(spelled):
        for i, other in enumerate(spelled):
            if i != k and other.startswith(one):
                raise BadOption(
                    f"The label {quote(labels[i])} begins with the label {quote(labels[k])}: their first tokens can be the same.",
                    "Use labels that begin differently, such as A and B, and explain them in the prompt.",
                )
    return spelled


def _check_number(name: str, value: object, least: float, most: float, whole: bool = False) -> None:
    right = _is_number(value) and (not whole or isinstance(value, int)) and least <= value <= most
    if not right:
        raise BadOption(
            f"{name} is {quote(value)}.",
            f"It must be {'a whole number' if whole else 'a number'} from {least:g} to {most:g}.",
        )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong_shape(place: str) -> Unsupported:
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
