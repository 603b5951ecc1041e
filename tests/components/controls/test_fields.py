"""What follows from a page's list of fields: links, changes of the model, values by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from attribution.engine import Engine
from attribution.models.sources.store import Store
from attribution.settings import DEFAULT_MODEL, DEFAULTS
from components.controls.fields import Field, Form, Link

WRITER = "bundled/shakespeare-gpt2"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(DEFAULTS, Store(DEFAULTS, any_model=False))


def link(models: tuple[str, ...] = (DEFAULT_MODEL,), **query: str) -> Link:
    return Link(query, models, longest=10)


def handler(demo: gr.Blocks, event: str) -> Any:
    """The function that an event of the page runs."""
    [block] = [fn for fn in demo.fns.values() if any(name == event for _, name in fn.targets)]
    return block


class TestLink:
    def test_a_text_is_cut_off(self) -> None:
        assert link(text="x" * 99).text("text") == "x" * 10
        assert link().text("text", "default") == "default"

    def test_only_a_value_that_is_there_is_set(self) -> None:
        assert link(second="b").update("second") == {"value": "b"}
        assert link(second="").update("second") == {"value": ""}
        assert link().update("second") == {}
        assert link().update("second", default="first") == {"value": "first"}

    @pytest.mark.parametrize(
        ("text", "number"), [("3", 3), ("007", 7), ("-1", 5), ("1e3", 5), ("9" * 10, 5), ("", 5), ("²", 5)]
    )
    def test_a_number_has_up_to_nine_digits(self, text: str, number: int) -> None:
        assert link(layer=text).number("layer", 5) == number

    def test_names_are_separated_by_commas(self) -> None:
        assert link(methods="lime, ,saliency").names("methods") == ["lime", "saliency"]


class TestForm:
    @pytest.fixture
    def page(self, engine: Engine) -> tuple[gr.Blocks, Form]:
        with gr.Blocks() as demo:
            model = Field(
                gr.Dropdown([DEFAULT_MODEL, WRITER]), "model", lambda link: link.model, redraws=False
            )
            text = Field(gr.Textbox("a"), "text", lambda link: link.text("text", "start"))
            follower = Field(
                gr.Markdown(), on_model=lambda models, values: f"{models[0]} {values.get('text')}"
            )
            hidden = Field(gr.Textbox(), "key", lambda _: "new", shared=False, redraws=False)
            form = Form(engine, [model, text, follower, hidden])
            form.on_change(fn=lambda: None)
            form.on_model()
            form.on_open(demo)
        return demo, form

    def test_values_are_read_by_name(self, page: tuple[gr.Blocks, Form]) -> None:
        _, form = page
        assert form.read(["m", "t"]) == {"model": "m", "text": "t"}
        assert len(form.inputs) == 2
        with pytest.raises(ValueError):
            form.read(["m"])

    def test_a_link_sets_what_it_names_and_what_follows_the_model(self, page: tuple[gr.Blocks, Form]) -> None:
        opened = handler(page[0], "load")
        request = SimpleNamespace(query_params={"model": WRITER})
        assert opened.fn(request) == [WRITER, "start", f"{WRITER} None", "new"]
        assert len(opened.outputs) == 4

    def test_a_link_cannot_name_a_model_that_the_server_does_not_take(
        self, page: tuple[gr.Blocks, Form]
    ) -> None:
        request = SimpleNamespace(query_params={"model": "../secret"})
        assert handler(page[0], "load").fn(request)[0] == DEFAULT_MODEL

    def test_a_change_of_the_model_reaches_what_follows_it(self, page: tuple[gr.Blocks, Form]) -> None:
        chosen = handler(page[0], "input")
        # One output: Gradio takes the value as it is.
        assert chosen.fn(WRITER, "typed", "key") == f"{WRITER} typed"
        assert len(chosen.outputs) == 1

    def test_the_pictures_follow_what_redraws(self, page: tuple[gr.Blocks, Form]) -> None:
        drawn = handler(page[0], "change")
        assert len(drawn.targets) == 1


@pytest.mark.parametrize("model", [DEFAULT_MODEL, WRITER])
def test_a_field_without_a_value_of_its_own_is_left_alone(model: str) -> None:
    assert Field(gr.Markdown()).open(link((model,))) == gr.skip()
