"""The translations of the interface: complete, used, and with the same placeholders in every language."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from attribution import registry
from attribution.methods import list_methods
from attribution.pages import GROUP
from components.application import build
from components.header import LEAD
from components.languages import LANGUAGES, i18n, say, script, table, untranslated
from components.pages import list_pages, page

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *(ROOT / "components").rglob("*.py"),
    *(ROOT / "attribution/studies").glob("*.py"),
    *(ROOT / "attribution/models/tasks").glob("*.py"),
    *(ROOT / "components").rglob("*.js"),
    *(ROOT / "attribution/export/static").glob("*.js"),
    *(ROOT / "attribution/batch/static").glob("*.js"),
]
# Neighbouring literals are one text.
EVERYTHING = {
    str(path.relative_to(ROOT)): re.sub(r'"\s*\n\s*"', "", path.read_text(encoding="utf-8"))
    for path in SOURCES
}
SAY = re.compile(r'\bsay\(\s*"((?:[^"\\]|\\.)*)"')
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def test_the_values_in_a_text_are_the_same_in_every_language() -> None:
    for text, translations in table().items():
        wanted = sorted(PLACEHOLDER.findall(text))
        for language, value in translations.items():
            assert sorted(PLACEHOLDER.findall(value)) == wanted, (language, text)


def test_every_text_of_the_table_is_used() -> None:
    everything = "\n".join(EVERYTHING.values())
    options = {
        option.name.replace("_", " ").capitalize()
        for method in list_methods().values()
        for option in method.options
    }
    assert [text for text in table() if f'"{text}"' not in everything and text not in options] == []


def test_the_own_texts_lack_no_translation() -> None:
    own = set(table())
    own |= {match[1] for source in EVERYTHING.values() for match in SAY.finditer(source)}
    own |= {page.title for page in list_pages()} | {LEAD}
    assert untranslated(sorted(own)) == {}


def test_what_lacks_a_translation_is_listed_by_language() -> None:
    assert untranslated(["Text", "There is no such text"]) == {
        language: ["There is no such text"] for language in LANGUAGES if language != "en"
    }


def test_a_text_without_a_translation_is_shown_in_english() -> None:
    assert say("There is no such text") == "There is no such text"


def test_a_page_of_another_package_starts_without_translations(monkeypatch: pytest.MonkeyPatch) -> None:
    @page(path="theirs", title="Their own page", order=50)
    def theirs(engine: object, demo: gr.Blocks) -> None:
        gr.Textbox(label=say("Their own label"), elem_id="theirs")

    entry = SimpleNamespace(name="theirs", load=lambda: theirs)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == GROUP else [])
    list_pages.cache_clear()
    try:
        demo, _ = build()
    finally:
        list_pages.cache_clear()
    labels = {block.label for block in demo.blocks.values() if getattr(block, "elem_id", None) == "theirs"}
    assert labels == {"Their own label"}


def test_gradio_gets_all_of_it() -> None:
    translations = i18n().translations_dict
    assert set(translations) == set(LANGUAGES)
    assert translations["en"]["Text"] == "Text"
    assert translations["ar"]["Text"] == table()["Text"]["ar"]


def test_the_script_cannot_be_ended_by_a_text() -> None:
    assert script().count("</script>") == 1


def test_the_app_is_built_with_labels_that_the_browser_translates() -> None:
    demo, _ = build()
    assert any(
        "__i18n__" in str(block.label) for block in demo.blocks.values() if getattr(block, "label", None)
    )
