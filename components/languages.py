"""The languages of the interface: one table of the project's own texts, keyed by their English.

``say`` marks a label of Gradio's for translation in the browser; the scripts of the pictures translate with
``AttributionWords.say``. A text without a translation is shown in English. Sentences about a result are
English only.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import gradio as gr

from .assets import STATIC, as_json, asset

LANGUAGES = ("en", "de", "nl", "es", "zh", "ar")
_TABLE = Path(__file__).with_name("languages.json")


@cache
def table() -> dict[str, dict[str, str]]:
    """English text -> language -> translation. English itself is no language of it."""
    return json.loads(_TABLE.read_text(encoding="utf-8"))


@cache
def i18n() -> gr.I18n:
    """For ``launch(i18n=...)``: every text in every language, in English where there is no translation."""
    return gr.I18n(
        **{
            language: {text: translations.get(language, text) for text, translations in table().items()}
            for language in LANGUAGES
        }
    )


def say(text: str) -> str:
    """A label that the browser translates; ``text`` itself where the table does not have it."""
    return i18n()(text) if text in table() else text


def untranslated(texts: Iterable[str]) -> dict[str, list[str]]:
    """Language -> those of ``texts`` that it has no translation of; only languages that lack one."""
    missing = {
        language: [text for text in texts if not table().get(text, {}).get(language, "").strip()]
        for language in LANGUAGES
        if language != "en"
    }
    return {language: lacking for language, lacking in missing.items() if lacking}


def script() -> str:
    """The script element that defines ``AttributionWords``, the first in the ``<head>`` of a page."""
    words = asset(STATIC / "words.js").replace('"TABLE"', as_json(table()))
    return f"<script>{words}</script>"
