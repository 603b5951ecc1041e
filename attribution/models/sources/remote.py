"""A model behind an HTTP endpoint as a ``Function``: a classifier's answers, or a chat model's first token.

For callers of the library only: no model name leads here, so visitors of a server cannot make it send
requests to an address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from attribution.errors import BadOption, nearest, quote
from attribution.models.function import Function
from attribution.models.sources.connection import Connection, EndpointSettings
from attribution.models.sources.endpoints import ROUNDS, Chat, ChatOptions, Classifier, Endpoint
from attribution.models.sources.labels import read_labels

RemoteTask = Literal["chat", "text-classification"]


def remote(  # noqa: PLR0913 - the keywords are the interface
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
    """Make a model behind an endpoint usable with the methods that need only answers to changed texts.

    Parameters
    ----------
    model : a name at the endpoint such as ``"gpt-3.5-turbo"``, a name on the Hub, or the endpoint's address.
    labels : the classes. A chat model needs them; a classifier is asked once for its own.
    task : ``"chat"`` is an OpenAI-compatible endpoint: f(label) is the probability that the first token of
        the answer begins the label. ``"text-classification"`` is an endpoint of that Hugging Face task.
    base_url, provider, token, timeout, retries, parallel : see ``EndpointSettings``.
    prompt, top_logprobs, normalise, extra_body : for chat models, see ``ChatOptions``.
    name : the name shown in results; by default that of the model.

    The ``function`` of the returned model counts what it sends and receives, see ``Endpoint``.

    Raises ``BadOption``; when called ``HubUnavailable``, ``GatedModel``, ``UnknownModel``,
    ``TooManyRequests``, ``TooLong``, ``Unsupported`` (no log-probabilities, a missing label, an answer of
    another shape) and ``NotFinite``. No error contains the token.
    """
    if "://" in model and base_url is None:
        model, base_url = "", model
    connection = Connection(EndpointSettings(model, base_url, provider, token, timeout, retries, parallel))
    options = ChatOptions(prompt, top_logprobs, normalise, extra_body)
    endpoint = _build_endpoint(task, connection, labels, options)
    function = Function(
        endpoint, endpoint.labels, name=name or model or connection.place, batch=parallel * ROUNDS
    )
    function.info = replace(function.info, architecture=f"{task} at {connection.place}", note=endpoint.note)
    return function


def _build_endpoint(
    task: str, connection: Connection, labels: Sequence[str], options: ChatOptions
) -> Endpoint:
    """The endpoint of a task. Raises ``BadOption``, and for a classifier what its first request raises."""
    labels = read_labels(labels)
    if task not in get_args(RemoteTask):
        raise BadOption(f"task is {quote(task)}.", nearest(task, get_args(RemoteTask)))
    if task == "chat":
        return Chat(connection, labels, options)
    if options.prompt is not None or options.extra_body is not None:
        raise BadOption(
            "A classifier takes no prompt and no extra_body.", "Leave them out, or use task='chat'."
        )
    return Classifier(connection, labels)
