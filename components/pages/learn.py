"""The guided tour of a course: one lesson at a time, each with an address of its own."""

from functools import partial
from html import escape
from typing import Any

import gradio as gr

from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled
from attribution.settings import DEFAULT_MODEL
from attribution.studies.counterfactual import falls
from attribution.types import Attribution

from ..controls.inputs import text_box
from ..controls.links import copy_link
from ..languages import say
from ..lessons import LESSONS, Lesson, View
from ..live.answers import QUIET, STALE, failed, light
from ..live.drawing import Drawings, drawing
from ..live.latest import Overtaken
from ..pictures.curves import Curves
from ..pictures.multiples import Multiples
from . import page

# Which lesson the address asks for, and what its links are called in the language of the page.
_ON_LOAD = """
const asked = Number(new URLSearchParams(location.search).get("lesson")) || 1;
element.querySelectorAll("a").forEach((link, i) => {
  if (i + 1 === asked) link.setAttribute("aria-current", "step");
  const lang = new URLSearchParams(location.search).get("lang");
  if (lang) link.search += `&lang=${encodeURIComponent(lang)}`;
});
"""


@page(path="learn", title="Learn", order=90)
def learn(engine: Engine, demo: gr.Blocks) -> None:
    """Five lessons on what attribution methods say and do not say, with live pictures."""
    steps = "".join(
        f'<li><a href="./learn?lesson={i}">{escape(lesson.title)}</a></li>'
        for i, lesson in enumerate(LESSONS, 1)
    )
    gr.HTML(
        html_template=f'<nav aria-label="Lessons"><ol>{steps}</ol></nav>',
        js_on_load=_ON_LOAD,
        elem_id="lessons",
        apply_default_css=False,
    )
    lead = gr.Markdown(_lead(LESSONS[0]), elem_id="lesson")
    text = text_box("text", LESSONS[0].text)
    examples = gr.Dataset(components=["text"], samples=_samples(LESSONS[0]), label=say("Try"), elem_id="try")
    pictures = Multiples(elem_id="pictures", label=say("Pictures"))
    curves = Curves(elem_id="curves", label=say("Probability as words are removed"))
    sources = gr.Markdown(LESSONS[0].sources, elem_id="sources")
    number = gr.Number(1, visible="hidden", precision=0)

    def opened(request: gr.Request) -> tuple[Any, ...]:
        asked = dict(request.query_params)
        chosen = _lesson(asked.get("lesson"))
        typed = asked.get("text", chosen.text)[: engine.settings.max_characters + 1]
        return (
            _lead(chosen),
            typed,
            gr.Dataset(samples=_samples(chosen)),
            _sources(chosen),
            LESSONS.index(chosen) + 1,
        )

    controls = {"lesson": number, "text": text}
    copy_link(controls)
    draw = drawing(demo, controls, [pictures, curves], partial(_answers, engine))
    text.change(**draw)
    examples.click(lambda sample: sample[0], [examples], [text], **QUIET)
    demo.load(opened, None, [lead, text, examples, sources, number], **QUIET).then(**draw)


def _lesson(asked: Any) -> Lesson:
    """The lesson of that number, counted from 1; the first for anything else."""
    number = int(asked) if str(asked).isdecimal() and len(str(asked)) < 4 else 1
    return LESSONS[number - 1] if 1 <= number <= len(LESSONS) else LESSONS[0]


def _lead(lesson: Lesson) -> str:
    return f"## {LESSONS.index(lesson) + 1} · {lesson.title}\n\n{lesson.said}"


def _sources(lesson: Lesson) -> str:
    return f"*Read:* {lesson.sources}"


def _samples(lesson: Lesson) -> list[list[str]]:
    return [[lesson.text], *([text] for text in lesson.try_it)]


def _answers(engine: Engine, said: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """The pictures one by one, then how the prediction falls. The part that is drawn last asks for what follows."""
    lesson = _lesson(said["lesson"])
    items: list[dict[str, Any]] = [{"title": view.caption} for view in lesson.views]
    results: list[Attribution] = []
    for i, view in enumerate(lesson.views):
        try:
            results.append(_ask(engine, said["text"], view, overtaken))
            items[i] |= {"attribution": light(results[-1])}
        except Cancelled:
            raise
        except AttributionError as error:
            items[i] |= failed(error)
        last = i == len(lesson.views) - 1
        yield {"items": list(items), "more": not last or bool(lesson.removes and results)}, STALE if i else {}
    if lesson.removes and results:
        yield STALE, _curves(engine, lesson, results)


def _ask(engine: Engine, text: Any, view: View, overtaken: Overtaken) -> Attribution:
    return engine.attribute(
        text, DEFAULT_MODEL, view.method, quantity=view.quantity, options=view.options, cancelled=overtaken
    )


def _curves(engine: Engine, lesson: Lesson, results: list[Attribution]) -> dict[str, Any]:
    """The value of ``Curves``: a line a method, over the number of words taken out."""
    titles = {view.method: view.caption for view in lesson.views}
    lines = [{"name": titles[result.method], "values": falls(engine, result)} for result in results]
    label = results[0].outputs[0].text
    return {
        "lines": lines,
        "title": f"Probability of “{label}” as the strongest words are removed",
        "x": "words removed",
        "y": "probability",
        "range": [0, 1],
    }
