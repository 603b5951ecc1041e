"""Functions of texts that ask an endpoint: classifiers, and chat models whose log-probabilities are read."""

from __future__ import annotations

import math
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeGuard

import numpy as np

from attribution.errors import (
    BadOption,
    Cancelled,
    NotFinite,
    Unsupported,
    quote,
)
from attribution.models.function import Row
from attribution.models.sources.connection import Connection, wrong_shape_error

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
ROUNDS = 4
"""Texts for each parallel request between two looks at the deadline."""


class Endpoint(ABC):
    """A function of texts that asks an endpoint, several texts at a time, their order kept."""

    def __init__(self, connection: Connection, labels: Sequence[str]) -> None:
        self.connection, self.labels = connection, tuple(labels)
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

        with ThreadPoolExecutor(
            min(self.connection.parallel, len(rows)), thread_name_prefix="remote"
        ) as pool:
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

    def __init__(self, connection: Connection, labels: Sequence[str]) -> None:
        super().__init__(connection, labels)
        self._listed = False
        if not self.labels:
            self.labels = tuple(sorted(self._said(SHORT, threading.Event())))

    def answer(self, row: Row, stop: threading.Event) -> Sequence[float]:
        said = self._said(row, stop)
        folded = {label.casefold(): score for label, score in said.items()}
        found = [said.get(label, folded.get(label.casefold())) for label in self.labels]
        for label, score in zip(self.labels, found, strict=True):
            if score is None:
                known = ", ".join(self.connection.clean(each) for each in list(said)[:20])
                raise Unsupported(
                    f"{self.connection.place} said nothing about the label {quote(label)}.",
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
        return self.connection.ask(
            lambda: self.connection.client.text_classification(inputs, top_k=EVERY_LABEL), stop
        )

    def _scores(self, answer: Any) -> dict[str, float]:
        if not isinstance(answer, list) or not answer:
            raise wrong_shape_error(self.connection.place)
        found = {}
        for item in answer:
            label, score = getattr(item, "label", None), getattr(item, "score", None)
            if not isinstance(label, str) or not is_number(score):
                raise wrong_shape_error(self.connection.place)
            found[label] = float(score)
        return found


class Chat(Endpoint):
    """A chat model that answers with a label; f(label) comes from the log-probabilities of its first token."""

    def __init__(
        self,
        connection: Connection,
        labels: Sequence[str],
        prompt: str | None,
        top: int,
        normalise: bool,
        extra_body: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(connection, labels)
        self._spelled = check_labels(self.labels)
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
        client, extra = self.connection.client, self._extra
        said = self.connection.ask(
            lambda: client.chat_completion(
                [message],
                model=self.connection.model or None,
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
        """The prompt for one text or pair, filled at once, so that a text is never read as a template."""
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
            raise wrong_shape_error(self.connection.place) from None
        try:
            found = logprobs.content[0].top_logprobs
        except strange:
            found = None
        if not found or not isinstance(found, list):
            raise Unsupported(
                f"{self.connection.place} gave no log-probabilities.",
                "Ask a model and an endpoint that give top_logprobs for chat answers.",
            )
        for item in found:
            token, logprob = getattr(item, "token", None), getattr(item, "logprob", None)
            if not isinstance(token, str) or not is_number(logprob):
                raise wrong_shape_error(self.connection.place)
            if math.isnan(logprob) or logprob > 1e-3:
                raise NotFinite(
                    f"{self.connection.place} gave {logprob} as a log-probability.",
                    "It must be a number up to 0.",
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
                f"No label is among the first tokens of the answer: {', '.join(quote(self.connection.clean(t), 20) for t, _ in list(tokens)[:5])}.",
                "Write a prompt that makes the model answer with a label alone.",
            )
        bound = min(smallest, max(1 - total, RESOLUTION))
        masses = [mass if k in seen else bound for k, mass in enumerate(masses)]
        with self._counting:
            self.bounded += len(seen) < len(masses)
            self.least = min(self.least, found)
        whole = max(sum(masses), 1e-300) if self._normalise else 1.0
        return [min(mass / whole, 1.0) for mass in masses]


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
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


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number, which a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
