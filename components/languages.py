"""The languages of the interface: a table of its texts, keyed by the English text.

``say`` marks a Gradio label for translation in the browser; the scripts of the pictures translate with
``AttributionWords.say``. A text without a translation is shown in English. Sentences about a result are
in English only.
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
    """Translations by English text and language; English is not among the languages."""
    entries: dict[str, dict[str, str]] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return entries


@cache
def i18n() -> gr.I18n:
    """The value of ``launch(i18n=...)``: every text in every language, in English without a translation."""
    return gr.I18n(
        **{
            language: {text: translations.get(language, text) for text, translations in table().items()}
            for language in LANGUAGES
        }
    )


def say(text: str) -> str:
    """A label that the browser translates; ``text`` itself if it is not in the table."""
    return i18n()(text) if text in table() else text


def untranslated(texts: Iterable[str]) -> dict[str, list[str]]:
    """The texts without a translation, by language; only languages that lack one."""
    missing = {
        language: [text for text in texts if not table().get(text, {}).get(language, "").strip()]
        for language in LANGUAGES
        if language != "en"
    }
    return {language: lacking for language, lacking in missing.items() if lacking}


@cache
def script() -> str:
    """The script element that defines ``AttributionWords``."""
    words = asset(STATIC / "words.js").replace('"TABLE"', as_json(table()))
    return f"<script>{words}</script>"
