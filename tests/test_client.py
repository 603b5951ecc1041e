"""The client without a server: its signatures are those of the library, and bad requests are refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

import attribution
from attribution import Client, attribute
from attribution.errors import BadOption, BusyError, UnknownMethod
from attribution.request import fields
from tests.samples import sample

SHARED = ("assess", "attribute", "attribute_many", "compare", "estimate", "evaluate", "run_batch")


@pytest.fixture
def client() -> Client:
    with mock.patch("attribution.request.connection.Connection"):
        return Client("http://127.0.0.1:9")


def describe_parameters(function: Callable[..., Any]) -> list[tuple[Any, ...]]:
    """Names, order, kinds, defaults and types of the parameters."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default, str(p.annotation)) for p in parameters if p.name != "self"]


@pytest.mark.parametrize("name", SHARED)
def test_has_the_signature_of_the_library(name: str) -> None:
    function = getattr(attribution, name)
    assert describe_parameters(getattr(Client, name)) == describe_parameters(function)
    names = set(inspect.signature(function).parameters)
    assert {field.name for field in fields().values() if not field.kind.several} <= names


@pytest.mark.parametrize("name", SHARED)
def test_the_help_explains_every_field(name: str) -> None:
    for function in (getattr(attribution, name), getattr(Client, name)):
        text = inspect.getdoc(function) or ""
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
                assert f"{parameter.name} : " in text or f"{parameter.name}, " in text, parameter.name


def test_every_function_that_both_have_is_compared() -> None:
    public = {name for name in attribution.__all__ if callable(getattr(attribution, name))}
    both = {name for name in public if callable(getattr(Client, name, None))}
    assert both - {"list_methods", "list_metrics"} == set(SHARED)


def test_sends_only_what_differs_from_the_default(client: Client) -> None:
    with mock.patch.object(client, "_call", return_value=sample("english").to_dict()) as call:
        client.attribute("x", "m", target=("a", 1), revision="abc", samples=3, options={"hide": "pad"})
    assert call.call_args == mock.call(
        "/attribute",
        text="x",
        model="m",
        target=["a", 1],
        revision="abc",
        options={"hide": "pad", "samples": 3},
    )


@pytest.mark.parametrize("name", ["attribute", "estimate", "compare"])
def test_a_mistyped_keyword_is_refused_before_anything_is_sent(client: Client, name: str) -> None:
    with (
        mock.patch.object(client, "_call") as call,
        pytest.raises(BadOption, match="Did you mean 'position'"),
    ):
        getattr(client, name)("x", positon=3)
    call.assert_not_called()


def test_an_option_that_only_the_server_may_know_is_sent(client: Client) -> None:
    with mock.patch.object(client, "_call", side_effect=BusyError("")) as call, pytest.raises(BusyError):
        client.attribute("x", method="theirs", zzyzx=3)
    assert call.call_args.kwargs["options"] == {"zzyzx": 3}


def test_a_loaded_model_cannot_be_sent(client: Client) -> None:
    model = mock.Mock(info=mock.Mock(name="mine"))
    with pytest.raises(BadOption, match="cannot be sent to a server"):
        client.attribute("x", model)


@pytest.mark.parametrize("name", ["methods", "metrics", "models"])
def test_the_old_names_of_the_lists_work_with_a_note(client: Client, name: str) -> None:
    with mock.patch.object(client, "_call", return_value=[{"name": "a"}]):
        with pytest.warns(DeprecationWarning, match=f"list_{name}"):
            listed = getattr(client, name)()
        assert listed == getattr(client, f"list_{name}")() == [{"name": "a"}]


def test_the_old_name_of_run_batch_takes_the_old_arguments(client: Client) -> None:
    with (
        mock.patch.object(client, "run_batch") as run_batch,
        pytest.warns(DeprecationWarning, match="run_batch"),
    ):
        client.batch(["a"], "folder", "m", method="lime", target="x")
    assert run_batch.call_args == mock.call(["a"], "folder", "m", method="lime", target="x")


def test_many_texts_are_asked_for_in_order_and_an_error_stands_in_its_place(client: Client) -> None:
    answer = sample("english").to_dict()
    with mock.patch.object(client, "_call", side_effect=[answer, BusyError("Later."), answer]) as call:
        rows = [{"text": "a", "target": "x"}, {"text": "b"}, {"text": "c"}]
        results = client.attribute_many(rows, method="saliency", on_error="yield")
        call.assert_not_called()  # the rows may be endless
        kinds = [type(result).__name__ for result in results]
    assert kinds == ["Attribution", "BusyError", "Attribution"]
    assert [entry.kwargs for entry in call.call_args_list] == [
        {"text": "a", "method": "saliency", "target": "x"},
        {"text": "b", "method": "saliency"},
        {"text": "c", "method": "saliency"},
    ]


def test_the_first_error_of_many_texts_is_raised_in_its_turn(client: Client) -> None:
    answers = [sample("english").to_dict(), BusyError("Later.")]
    with mock.patch.object(client, "_call", side_effect=answers):
        results = client.attribute_many(["a", "b", "c"])
        assert next(results)
        with pytest.raises(BusyError):
            next(results)


def test_no_server_is_needed_for_the_signature() -> None:
    assert inspect.signature(attribute).parameters["quantity"].default == "logit"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("localhost", "http://localhost"),
        ("localhost/app", "http://localhost/app"),
        ("example.org/app/", "http://example.org/app/"),
        ("https://example.org", "https://example.org"),
        ("owner/name", "owner/name"),
    ],
)
def test_an_address_needs_no_scheme(address: str, expected: str) -> None:
    with mock.patch("attribution.request.connection.Connection") as connection:
        Client(f" {address} ")
    assert connection.call_args.args == (expected,)


@pytest.mark.parametrize("address", [None, 5, "", b"x"])
def test_what_is_no_address_is_refused(address: Any) -> None:
    with pytest.raises(BadOption, match="OWNER/NAME"):
        Client(address)


def test_the_hint_of_a_server_s_error_travels(url: str) -> None:
    client = Client(url)
    with pytest.raises(UnknownMethod) as caught:
        client.attribute("x", method="salency")
    client.close()
    assert (caught.value.message, caught.value.hint) == (
        "There is no method 'salency'.",
        "Did you mean 'saliency'?",
    )
