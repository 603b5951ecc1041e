"""The request of a page from the values of its controls."""

from typing import Any

import pytest

from attribution.errors import BadOption, EmptyInput
from attribution.request import Request
from components.controls.values import MOST_BESIDE, PageRequest, in_browser, target_arguments

VALUES: dict[str, Any] = {
    "text": "A good film.",
    "model": "m",
    "method": "lime",
    "beside": ["lime", "saliency"],
    "target": "",
    "quantity": "logit",
    "max_new_tokens": 16,
    "second": "",
    "contrast": "",
    "position": "",
    "continuation": "",
    "lime.samples": 20,
    "shapley.permutations": 5,
}


def test_empty_controls_stand_for_the_defaults() -> None:
    assert PageRequest.read(VALUES).request == Request.of("A good film.", "m", "lime", samples=20)


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("target", "positive", "positive"),
        ("position", "0, 2", (0, 2)),
        ("position", "sequence", "sequence"),
        ("max_new_tokens", 8.0, 8),
        ("max_new_tokens", "8", 8),
        ("continuation", "and so on", "and so on"),
    ],
)
def test_contents_become_values(name: str, content: object, value: object) -> None:
    assert getattr(PageRequest.read({**VALUES, name: content}).request, name) == value


@pytest.mark.parametrize(
    ("name", "content"),
    [("position", "x"), ("position", {}), ("max_new_tokens", "many"), ("max_new_tokens", float("inf"))],
)
def test_what_cannot_be_read_is_left_to_the_check(name: str, content: object) -> None:
    request = PageRequest.read({**VALUES, name: content}).request
    with pytest.raises(BadOption, match=name):
        request.checked()


def test_an_empty_text_is_refused_by_its_check() -> None:
    with pytest.raises(EmptyInput):
        PageRequest.read({**VALUES, "text": ""}).request.checked()


def test_other_methods_have_their_default_options() -> None:
    page_request = PageRequest.read({**VALUES, "target": "positive"})
    assert page_request.beside == ("saliency",)
    assert page_request.of_method("saliency") == Request("A good film.", "m", "saliency", "positive")


def test_the_number_of_other_methods_is_limited() -> None:
    names = [f"method {i}" for i in range(MOST_BESIDE + 2)]
    assert PageRequest.read({**VALUES, "beside": names}).beside == tuple(names[:MOST_BESIDE])
    assert PageRequest.read({**VALUES, "beside": None}).beside == ()


def test_pages_with_fewer_controls_pass_on_what_they_have() -> None:
    values = {"models": ["m"], "text": "x", "target": "positive", "second": "", "picked": 0}
    assert target_arguments(values) == {"target": "positive"}


def test_the_browser_reads_the_positions() -> None:
    script = in_browser("copyLink", ["text", "position", "lime.samples"])
    assert '["text", "position", "lime.samples"], values, ["position"]' in script
