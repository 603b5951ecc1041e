"""The table of the interface's texts: whole, used, and the same placeholders in every language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from attribution.methods import list_methods
from components.application import build
from components.header import LEAD
from components.languages import LANGUAGES, i18n, say, script, table
from components.pages import list_pages

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *(ROOT / "components").rglob("*.py"),
    *(ROOT / "attribution/studies").glob("*.py"),
    *(ROOT / "components").rglob("*.js"),
    *(ROOT / "attribution/export/static").glob("*.js"),
    *(ROOT / "attribution/batch/static").glob("*.js"),
]
# Neighbouring literals are one text.
EVERYTHING = {
    str(path.relative_to(ROOT)): re.sub(r'"\s*\n\s*"', "", path.read_text(encoding="utf-8"))
    for path in SOURCES
}
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def test_every_text_is_there_in_every_language() -> None:
    for text, said in table().items():
        assert set(said) == set(LANGUAGES) - {"en"}, text
        assert all(value.strip() for value in said.values()), text


def test_the_values_in_a_text_are_the_same_in_every_language() -> None:
    for text, said in table().items():
        wanted = sorted(PLACEHOLDER.findall(text))
        for language, value in said.items():
            assert sorted(PLACEHOLDER.findall(value)) == wanted, (language, text)


def test_every_text_that_a_script_says_is_in_the_table() -> None:
    say_calls = re.compile(r'\bsay\(\s*"((?:[^"\\]|\\.)*)"')
    found = {match[1]: name for name, source in EVERYTHING.items() for match in say_calls.finditer(source)}
    assert len(found) > 50
    assert {text: name for text, name in found.items() if text not in table()} == {}


def test_every_text_of_the_table_is_used() -> None:
    everything = "\n".join(EVERYTHING.values())
    options = {
        option.name.replace("_", " ").capitalize()
        for method in list_methods().values()
        for option in method.options
    }
    assert [text for text in table() if f'"{text}"' not in everything and text not in options] == []


def test_titles_of_the_pages_are_in_the_table() -> None:
    assert [one.title for one in list_pages() if one.title not in table()] == []
    assert LEAD in table()


def test_a_text_that_is_not_in_the_table_is_a_mistake_at_once() -> None:
    with pytest.raises(KeyError):
        say("There is no such text")


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
