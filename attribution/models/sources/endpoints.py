"""Endpoints as functions of texts: classifiers, and chat models whose log-probabilities are read."""

from __future__ import annotations

import math
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribution.errors import BadOption, Cancelled, NotFinite, Unsupported, quote
from attribution.models.function import Row
from attribution.models.sources.connection import Connection, check_number, is_number, wrong_shape_error

PROMPT = (
    "Classify the text. Answer with exactly one of these labels and nothing else: {labels}.\n\n"
    "Text: {text}\n\nLabel:"
)
PAIR_PROMPT = (
    "Classify the pair of texts. Answer with exactly one of these labels and nothing else: {labels}.\n\n"
    "First text: {text}\n\nSecond text: {second}\n\nLabel:"
)
PLACE = re.compile(r"\{(text|second|labels)\}")

EVERY_LABEL = 1000
"""``top_k`` of a classifier: more labels than it has."""
PROBE = "Good."
"""The text sent once to learn a classifier's labels."""
AMBIGUOUS = 0.01
"""Largest share of the probability of an answer that may fall on a prefix that two labels have in common."""
RESOLUTION = 1e-6
"""Endpoints round their log-probabilities: a smaller remainder of probability is noise."""
ROUNDS = 4
"""Texts per parallel request between two checks of the deadline."""


class Endpoint(ABC):
    """A function of texts that sends several at a time to an endpoint and keeps their order.

    ``requests`` counts the texts sent, ``bounded`` the answers that contain a bound; ``least_mass`` is the
    smallest total probability of the labels in an answer.
    """

    def __init__(self, connection: Connection, labels: Sequence[str]) -> None:
        self.connection, self.labels = connection, tuple(labels)
        self.note = ""
        self.requests, self.bounded, self.least_mass = 0, 0, 1.0
        self._counting = threading.Lock()

    def __call__(self, rows: Sequence[Row]) -> np.ndarray:
        """Probabilities [rows, labels]. Raises the first error of a request and stops the others."""
        stop = threading.Event()

        def send(row: Row) -> Sequence[float]:
            try:
                with self._counting:
                    self.requests += 1
                return self.answer(row, stop)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(
            min(self.connection.parallel, len(rows)), thread_name_prefix="remote"
        ) as pool:
            jobs = [pool.submit(send, row) for row in rows]
            try:
                for job in jobs:
                    # A request that was stopped because another failed is not the error to report.
                    if (error := job.exception()) is not None and not isinstance(error, Cancelled):
                        raise error
                answers: np.ndarray = np.array([job.result() for job in jobs], dtype=np.float64)
                return answers
            finally:
                stop.set()

    @abstractmethod
    def answer(self, row: Row, stop: threading.Event) -> Sequence[float]:
        """The probabilities of the labels for one text or pair."""


class Classifier(Endpoint):
    """An endpoint of the Hugging Face task text-classification."""

    def __init__(self, connection: Connection, labels: Sequence[str]) -> None:
        super().__init__(connection, labels)
        self._listed = False
        if not self.labels:
            self.labels = tuple(sorted(self._request_scores(PROBE, threading.Event())))

    def answer(self, row: Row, stop: threading.Event) -> Sequence[float]:
        by_label = self._request_scores(row, stop)
        folded = {label.casefold(): score for label, score in by_label.items()}
        scores = []
        for label in self.labels:
            score = by_label.get(label, folded.get(label.casefold()))
            if score is None:
                names = ", ".join(self.connection.clean(name) for name in list(by_label)[:20])
                raise Unsupported(
                    f"{self.connection.place} gave no score for the label {quote(label)}.",
                    f"It answered for: {names}. It must answer for all labels (top_k).",
                )
            scores.append(score)
        return scores

    def _request_scores(self, row: Row, stop: threading.Event) -> dict[str, float]:
        """Send one text or pair: label → score."""
        text: object = row if isinstance(row, str) else {"text": row[0], "text_pair": row[1]}
        # Some endpoints answer a single text with a flat list, of which the client returns one label only. A
        # list of texts always gets a list for each text.
        if not self._listed and isinstance(row, str):
            answer = self._ask(text, stop)
            if isinstance(answer, list):
                return self._read_scores(answer)
            self._listed = True
        return self._read_scores(self._ask([text], stop))

    def _ask(self, inputs: Any, stop: threading.Event) -> Any:
        return self.connection.ask(
            lambda: self.connection.client.text_classification(inputs, top_k=EVERY_LABEL), stop
        )

    def _read_scores(self, answer: Any) -> dict[str, float]:
        if not isinstance(answer, list) or not answer:
            raise wrong_shape_error(self.connection.place)
        scores = {}
        for item in answer:
            label, score = getattr(item, "label", None), getattr(item, "score", None)
            if not isinstance(label, str) or not is_number(score):
                raise wrong_shape_error(self.connection.place)
            scores[label] = float(score)
        return scores


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How a chat model is asked for a label, and how its answer is read.

    Attributes
    ----------
    prompt : the message, with the places ``{text}``, ``{second}`` (the other text of a pair) and
        ``{labels}``; None for a general one.
    top_logprobs : number of tokens whose log-probabilities are requested, from 1 to 100 (a server may allow
        fewer). A label that is not among them counts with an upper bound: the smallest of them, or what
        they leave of 1 if that is less.
    normalise : divide by the sum over the labels: the probability given that the answer is one of them.
    extra_body : further fields of the request, such as one that switches a model's reasoning off.

    Raises ``BadOption``.
    """

    prompt: str | None = None
    top_logprobs: int = 20
    normalise: bool = True
    extra_body: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_number("top_logprobs", self.top_logprobs, 1, 100, integer=True)


class Chat(Endpoint):
    """A chat model; f(label) comes from the log-probabilities of the answer's first token."""

    def __init__(self, connection: Connection, labels: Sequence[str], options: ChatOptions) -> None:
        super().__init__(connection, labels)
        self._prefixes, self._options = check_labels(self.labels), options
        self._extra_body = dict(options.extra_body or {})
        if options.prompt is not None and "{text}" not in options.prompt:
            raise BadOption("The prompt has no place for the text.", "Write {text} where it goes.")
        condition = ", given that it is one of the labels" if options.normalise else ""
        self.note = (
            f"f is the probability that the answer's first token begins the label{condition}. A label that "
            f"is not among the {options.top_logprobs} most probable tokens counts with an upper bound, the "
            "smallest of their probabilities."
        )

    def answer(self, row: Row, stop: threading.Event) -> Sequence[float]:
        message = {"role": "user", "content": self._fill(row)}
        completion = self.connection.ask(
            lambda: self.connection.client.chat_completion(
                [message],
                model=self.connection.model or None,
                max_tokens=1,
                temperature=0.0,
                logprobs=True,
                top_logprobs=self._options.top_logprobs,
                extra_body=self._extra_body,
            ),
            stop,
        )
        return self._label_masses(dict.fromkeys(self._read_tokens(completion)))

    def _fill(self, row: Row) -> str:
        """The prompt for one text or pair, filled in one pass, so that a text is never read as a template."""
        text, second = (row, None) if isinstance(row, str) else row
        prompt = self._options.prompt
        if prompt is None:
            prompt = PROMPT if second is None else PAIR_PROMPT
        if ("{second}" in prompt) != (second is not None):
            if second is None:
                raise BadOption("The prompt is for a pair of texts.", "Give the other one as second.")
            raise BadOption("The prompt has no place for the second text.", "Write {second} where it goes.")
        parts = {"text": text, "second": second or "", "labels": ", ".join(self.labels)}
        return PLACE.sub(lambda place: parts[place[1]], prompt)

    def _read_tokens(self, completion: Any) -> Iterator[tuple[str, float]]:
        """The possible first tokens of the answer with their log-probabilities."""
        malformed = (AttributeError, IndexError, TypeError, KeyError)
        try:
            logprobs = completion.choices[0].logprobs
        except malformed:
            raise wrong_shape_error(self.connection.place) from None
        try:
            candidates = logprobs.content[0].top_logprobs
        except malformed:
            candidates = None
        if not candidates or not isinstance(candidates, list):
            raise Unsupported(
                f"{self.connection.place} gave no log-probabilities.",
                "Ask a model and an endpoint that give top_logprobs for chat answers.",
            )
        for item in candidates:
            token, logprob = getattr(item, "token", None), getattr(item, "logprob", None)
            if not isinstance(token, str) or not is_number(logprob):
                raise wrong_shape_error(self.connection.place)
            if math.isnan(logprob) or logprob > 1e-3:
                raise NotFinite(
                    f"{self.connection.place} gave {logprob} as a log-probability.",
                    "It must be a number up to 0.",
                )
            yield token, float(logprob)

    def _label_masses(self, tokens: Mapping[tuple[str, float], None]) -> Sequence[float]:
        """The probabilities of the labels. A token listed twice with the same probability counts once."""
        masses, total, smallest = [0.0] * len(self.labels), 0.0, 1.0
        shared: dict[tuple[int, ...], tuple[str, float]] = {}
        matched = set()
        for token, logprob in tokens:
            p = math.exp(min(logprob, 0.0))
            total, smallest = total + p, min(smallest, p)
            spelled = token.lstrip(" \t\r\n▁Ġ").casefold()
            fits = tuple(k for k, label in enumerate(self._prefixes) if spelled and label.startswith(spelled))
            if len(fits) == 1:
                masses[fits[0]] += p
                matched.add(fits[0])
            elif fits:
                shared[fits] = (spelled, p + shared.get(fits, ("", 0.0))[1])
        mass_of_labels = sum(masses)
        for fits, (spelled, p) in shared.items():
            if p > AMBIGUOUS * (mass_of_labels + p):
                several = " and ".join(quote(self.labels[k]) for k in fits)
                raise Unsupported(
                    f"The answer's first token {quote(spelled)} begins the labels {several} alike.",
                    "Use labels that begin differently, such as A and B, and explain them in the prompt.",
                )
        if not matched:
            first = ", ".join(quote(self.connection.clean(token), 20) for token, _ in list(tokens)[:5])
            raise Unsupported(
                f"No label is among the first tokens of the answer: {first}.",
                "Write a prompt that makes the model answer with a label alone.",
            )
        bound = min(smallest, max(1 - total, RESOLUTION))
        masses = [mass if k in matched else bound for k, mass in enumerate(masses)]
        with self._counting:
            self.bounded += len(matched) < len(masses)
            self.least_mass = min(self.least_mass, mass_of_labels)
        total_mass = max(sum(masses), 1e-300) if self._options.normalise else 1.0
        return [min(mass / total_mass, 1.0) for mass in masses]


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels folded for comparison.

    Raises ``BadOption`` where the first token of an answer cannot distinguish them.
    """
    if len(labels) < 2:
        raise BadOption("A chat model needs at least two labels.", 'Give labels=["negative", "positive"].')
    spelled = tuple(label.strip().casefold() if isinstance(label, str) else "" for label in labels)
    if not all(spelled):
        raise BadOption("A label is empty or not a string.", "Give each label a name.")
    for k, prefix in enumerate(spelled):
        for i, label in enumerate(spelled):
            if i != k and label.startswith(prefix):
                raise BadOption(
                    f"The label {quote(labels[i])} begins with the label {quote(labels[k])}: their first "
                    "tokens can be the same.",
                    "Use labels that begin differently, such as A and B, and explain them in the prompt.",
                )
    return spelled
