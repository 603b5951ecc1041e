"""The guided tour of a course: one lesson at a time, each with an address of its own."""

from functools import partial
from html import escape
from typing import Any

import gradio as gr

from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled
from attribution.settings import DEFAULT_MODEL
from attribution.studies.counterfactual import deletion_curve
from attribution.types import Attribution

from ..assets import SHARED
from ..controls.fields import Field, Form, Link, Values
from ..controls.inputs import text_box
from ..controls.links import copy_link
from ..languages import say
from ..lessons import LESSONS, Lesson, View
from ..live.answers import QUIET, STALE, attribution_value, error_value
from ..live.drawing import Drawings, drawing
from ..live.latest import Superseded
from ..pictures.curves import Curves
from ..pictures.multiples import Multiples
from . import page

# Marks the lesson of the address; the links keep the language of the page.
_ON_LOAD = """
attributionShared.then(() => {
  const { base, own } = AttributionAddress;
  const query = new URLSearchParams(own ? location.search : "");
  const lesson = Number(query.get("lesson")) || 1;
  element.querySelectorAll("a").forEach((link, i) => {
    if (i + 1 === lesson) link.setAttribute("aria-current", "step");
    const lang = query.get("lang");
    link.href = new URL(link.getAttribute("href"), base());
    if (!own) Object.assign(link, { target: "_blank", rel: "noopener" });
    if (lang) link.search += `&lang=${encodeURIComponent(lang)}`;
  });
});
"""


@page(path="learn", title="Learn", order=90)
def learn(engine: Engine, demo: gr.Blocks) -> None:
    """Lessons on what attribution methods show and do not show, with live pictures."""
    _lesson_links()
    first = LESSONS[0]
    lead = Field(
        gr.Markdown(_lead(first), elem_id="lesson"), from_link=lambda link: _lead(_linked_lesson(link))
    )
    text = Field(
        text_box("text", first.text),
        "text",
        from_link=lambda link: link.text("text", _linked_lesson(link).text),
    )
    examples = Field(
        gr.Dataset(components=["text"], samples=_samples(first), label=say("Try"), elem_id="try"),
        from_link=lambda link: gr.Dataset(samples=_samples(_linked_lesson(link))),
    )
    pictures = Multiples(elem_id="pictures", label=say("Pictures"))
    curves = Curves(elem_id="curves", label=say("Probability as words are removed"))
    sources = Field(
        gr.Markdown(first.sources, elem_id="sources"), from_link=lambda link: _sources(_linked_lesson(link))
    )
    number = Field(
        gr.Number(1, visible="hidden", precision=0),
        "lesson",
        from_link=lambda link: LESSONS.index(_linked_lesson(link)) + 1,
        redraws=False,
    )
    form = Form(engine, [number, text, lead, examples, sources])
    copy_link(form.controls)
    draw = drawing(demo, form.controls, [pictures, curves], partial(_draw, engine))
    form.on_change(**draw)
    examples.control.click(lambda sample: sample[0], [examples.control], [text.control], **QUIET)
    form.on_open(demo).then(**draw)


def _lesson_links() -> None:
    links = "".join(
        f'<li><a href="./learn?lesson={i}">{escape(lesson.title)}</a></li>'
        for i, lesson in enumerate(LESSONS, 1)
    )
    gr.HTML(
        html_template=f'<nav aria-label="Lessons"><ol>{links}</ol></nav>',
        js_on_load=_ON_LOAD,
        head=SHARED,
        elem_id="lessons",
        apply_default_css=False,
    )


def _linked_lesson(link: Link) -> Lesson:
    return _lesson(link.query.get("lesson"))


def _lesson(number: Any) -> Lesson:
    """The lesson of that number, counted from 1; the first for anything else."""
    place = int(number) if str(number).isdecimal() and len(str(number)) < 4 else 1
    return LESSONS[place - 1] if 1 <= place <= len(LESSONS) else LESSONS[0]


def _lead(lesson: Lesson) -> str:
    return f"## {LESSONS.index(lesson) + 1} · {lesson.title}\n\n{lesson.body}"


def _sources(lesson: Lesson) -> str:
    return f"*Read:* {lesson.sources}"


def _samples(lesson: Lesson) -> list[list[str]]:
    return [[lesson.text], *([text] for text in lesson.try_it)]


def _draw(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """The pictures one by one, then how the prediction falls.

    The part that is drawn last asks for what follows.
    """
    lesson = _lesson(values["lesson"])
    items: list[dict[str, Any]] = [{"title": view.caption} for view in lesson.views]
    results: list[Attribution] = []
    for i, view in enumerate(lesson.views):
        try:
            results.append(_attribute(engine, values["text"], view, superseded))
            items[i] |= {"attribution": attribution_value(results[-1])}
        except Cancelled:
            raise
        except AttributionError as error:
            items[i] |= error_value(error)
        unfinished = i < len(lesson.views) - 1 or bool(lesson.removes and results)
        yield {"items": list(items), "more": unfinished}, STALE if i else {}
    if lesson.removes and results:
        yield STALE, _curves(engine, lesson, results)


def _attribute(engine: Engine, text: Any, view: View, superseded: Superseded) -> Attribution:
    return engine.attribute(
        text, DEFAULT_MODEL, view.method, quantity=view.quantity, options=view.options, cancelled=superseded
    )


def _curves(engine: Engine, lesson: Lesson, results: list[Attribution]) -> dict[str, Any]:
    """The value of ``Curves``: a line for each method over the number of removed words."""
    titles = {view.method: view.caption for view in lesson.views}
    lines = [{"name": titles[result.method], "values": deletion_curve(engine, result)} for result in results]
    label = results[0].outputs[0].text
    return {
        "lines": lines,
        "title": f"Probability of “{label}” as the strongest words are removed",
        "x": "words removed",
        "y": "probability",
        "range": [0, 1],
    }
