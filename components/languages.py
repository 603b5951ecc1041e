"""The languages of the interface: one table of our own strings, by their English text.

``say`` is for Gradio's labels, which the browser translates; the scripts of the pictures say the same strings through
``AttributionWords.say``. Sentences about a result stay English.
"""

import json
from functools import cache
from pathlib import Path

import gradio as gr

LANGUAGES = ("en", "de", "nl", "es", "zh", "ar")
_TABLE = Path(__file__).with_name("languages.json")


@cache
def table() -> dict[str, dict[str, str]]:
    """English text -> language -> text. English itself is not in it."""
    return json.loads(_TABLE.read_text(encoding="utf-8"))


@cache
def i18n() -> gr.I18n:
    """For ``launch(i18n=...)``: each language knows every text, English by itself."""
    return gr.I18n(
        **{
            language: {text: said.get(language, text) for text, said in table().items()}
            for language in LANGUAGES
        }
    )


def say(text: str) -> str:
    """A label that the browser shows in its own language. Raises ``KeyError`` for a text that is not in the table."""
    if text not in table():
        raise KeyError(text)
    return i18n()(text)


def script() -> str:
    """The script that defines ``AttributionWords``, for the ``<head>`` of the page, before all others."""
    words = (Path(__file__).with_name("static") / "words.js").read_text(encoding="utf-8")
    # A browser ends a script element at "</script" wherever it stands.
    known = json.dumps(table(), ensure_ascii=False).replace("<", "\\u003c")
    return "".join(("<script>", words.replace('"TABLE"', known), "</script>"))
