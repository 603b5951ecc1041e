"""A model behind an HTTP endpoint as a ``Function``: a classifier's answers, or a chat model's first token.

Only for who calls the library: no name makes one, so a visitor of a server cannot have it ask an address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from huggingface_hub import InferenceClient

from attribution.errors import (
    BadOption,
    nearest,
    quote,
)
from attribution.models.function import Function
from attribution.models.sources.connection import Connection
from attribution.models.sources.endpoints import ROUNDS, Chat, Classifier, Endpoint, is_number

RemoteTask = Literal["chat", "text-classification"]


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
    connection = _connect(model, base_url, provider, token, timeout, retries, parallel)
    if task == "chat":
        endpoint: Endpoint = Chat(connection, labels, prompt, top_logprobs, normalise, extra_body)
    else:
        if prompt is not None or extra_body is not None:
            raise BadOption(
                "A classifier takes no prompt and no extra_body.", "Leave them out, or use task='chat'."
            )
        endpoint = Classifier(connection, labels)
    function = Function(
        endpoint, endpoint.labels, name=name or model or connection.place, batch=parallel * ROUNDS
    )
    function.info = replace(function.info, architecture=f"{task} at {connection.place}", note=endpoint.note)
    return function


def _connect(
    model: str,
    base_url: str | None,
    provider: str | None,
    token: str | None,
    timeout: float,
    retries: int,
    parallel: int,
) -> Connection:
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
        return Connection(
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
    return Connection(client, model, place, token, retries, parallel)


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


def _check_number(name: str, value: object, least: float, most: float, whole: bool = False) -> None:
    right = is_number(value) and (not whole or isinstance(value, int)) and least <= value <= most
    if not right:
        raise BadOption(
            f"{name} is {quote(value)}.",
            f"It must be {'a whole number' if whole else 'a number'} from {least:g} to {most:g}.",
        )
