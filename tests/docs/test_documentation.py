"""The generated documentation is what the code says, and what running every method on every family gives."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gradio as gr
import pytest
import torch
from markdown_it import MarkdownIt

import attribution
from attribution.errors import Unsupported
from attribution.methods import Method, Scores, method
from attribution.models.perturbable import Perturbable
from docs import generated, method_pages, metric_page, screenshots, site, support
from docs.markdown import cell, escape, from_docstring, plain
from tests.families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
METHODS = support.own_methods()
every_method = pytest.mark.parametrize("name", METHODS)


def rendered(markdown: str) -> str:
    """What a reader sees of Markdown, rendered by its specification; white space as single spaces."""
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", shown)).split())


# Pages.


TEXTS = generated.texts()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_is_what_the_generator_writes(path: Path) -> None:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    assert text == TEXTS[path], f"stale: run {generated.COMMAND}"


def test_nothing_is_stale_or_left_over() -> None:
    assert generated.stale() == [], f"run {generated.COMMAND}"


def test_the_pictures_of_the_pages_show_this_interface() -> None:
    assert screenshots.stale() == [], f"run {generated.COMMAND} --pictures"


def test_a_changed_label_makes_a_picture_stale() -> None:
    def config(label: str, choices: list[str]) -> dict[str, Any]:
        with gr.Blocks() as demo:
            gr.Dropdown(choices, label=label)
        return demo.get_config_file()

    before = screenshots.fingerprints_of(config("Method", ["LIME"]))
    assert screenshots.fingerprints_of(config("Method", ["LIME", "SHAP"])) == before
    assert screenshots.fingerprints_of(config("Methods", ["LIME"])) != before


@every_method
def test_a_page_shows_the_whole_docstring(name: str) -> None:
    shown = rendered(method_pages.page(METHODS[name]))
    for block in re.split(r"\n\s*\n", inspect.getdoc(METHODS[name].function) or ""):
        for line in block.replace("``", "").splitlines():
            words = " ".join(re.sub(r"^\s*([-*]|\d+\.) |^[-=~]{3,}$", "", line).split())
            assert words.removesuffix(":") in shown


@every_method
def test_a_page_says_what_a_person_needs(name: str) -> None:
    chosen, shown = METHODS[name], rendered(method_pages.page(METHODS[name]))
    for said in (chosen.title, chosen.summary, chosen.caveat, chosen.cost, *chosen.aliases):
        assert " ".join(said.split()) in shown
    for option in chosen.options:
        assert option.name in shown and " ".join(option.help.split()) in shown
        assert all(choice in shown for choice in option.choices)


@pytest.mark.parametrize("name", metric_page.own_metrics())
def test_the_page_of_metrics_says_what_a_person_needs(name: str) -> None:
    chosen = metric_page.own_metrics()[name]
    section = rendered(metric_page.page().split(f"### {name}\n", 1)[1].split("\n### ", 1)[0])
    for said in (chosen.title, chosen.summary, chosen.caveat, chosen.cost, f"{chosen.better} is better"):
        assert " ".join(said.split()) in section
    for line in (inspect.getdoc(chosen.function) or "").replace("``", "").splitlines():
        assert " ".join(line.split()) in section
    for option in chosen.options:
        assert option.name in section and " ".join(option.help.split()) in section


@pytest.mark.parametrize("name", [name for name in METHODS if name not in method_pages.NO_PICTURE])
def test_a_method_has_a_small_picture_of_its_own(name: str) -> None:
    data = (generated.PICTURES / f"{name}.svg").read_bytes()
    assert len(data) < 40_000
    root = ElementTree.fromstring(data)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    said = root.attrib["aria-label"].lower()
    assert METHODS[name].title.lower() in said or name.replace("_", " ") in said
    shown = " ".join("".join(root.itertext()).split())
    assert all(word in shown for word in method_pages.example(METHODS[name])["text"].split(",")[0].split())


def test_what_is_left_out_is_not_there() -> None:
    names = {name.replace("_", " ") for m in METHODS.values() for name in (m.name, *m.aliases)}
    for title in method_pages.LEFT_OUT:
        assert re.sub(r" \(.*", "", title).lower() not in names
    assert all(why.endswith(".") for why in method_pages.LEFT_OUT.values())


def test_links_between_documents_lead_somewhere() -> None:
    """On the forge; in the site, Sphinx checks them."""
    for document in (ROOT / "README.md", *site.documents()):
        assert [path for path in site.links(document) if not path.exists()] == [], document


def test_a_site_that_loads_from_another_host_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://other.example">fine</a><img src="a.png"><script async src="https://other.example/a.js">',
        encoding="utf-8",
    )
    (tmp_path / "b.css").write_text(
        "@font-face { src: url(//other.example/a.woff2), url(a.woff2) }", encoding="utf-8"
    )
    assert [line.split(":")[0] for line in site.foreign(tmp_path)] == ["a.html", "b.css"]


# Markdown.


@pytest.mark.parametrize(
    "text",
    [
        "s_i = Σ_h e_ih · ∂f/∂e_ih(b + α(e − b))",
        "‖x‖_2 and _this_ and __that__",
        "α ~ N(0, 1) ~ β ~~ γ",
        "a * b * c, *d*",
        "[k/n](k + 1), <b>, a &amp; b, C:\\new, `x`, |S|",
    ],
)
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    assert rendered(escape(text)) == text
    assert plain(escape(text)) == text
    assert rendered(f"| a |\n| --- |\n| {cell(text)} |\n") == f"a {text}"


def test_a_docstring_keeps_its_parts() -> None:
    text = """Name: s_i = 1 for ``samples``
        + 2.

        Text before a list:
        - one | bar,
          and more
        - two

        Text again::

            x_i = [0](1)

        Raises
        ------
        Nothing.
        """
    assert from_docstring(text) == (
        "Name: s_i = 1 for `samples` + 2.\n\n"
        "Text before a list:\n\n- one | bar, and more\n- two\n\n"
        "Text again:\n\n```text\nx_i = [0](1)\n```\n\n"
        "**Raises**\n\nNothing.\n"
    )


# What works with what.


def test_the_table_of_support_has_every_pair() -> None:
    document = support.FILE.read_text(encoding="utf-8")
    table = support.parse(document)
    assert list(table) == [f.name for f in support.in_order()]
    assert all(row.keys() == METHODS.keys() for row in table.values()), f"run {support.COMMAND}"
    assert support.markdown(table) == document, f"run {support.COMMAND}"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Two threads spend more time on waiting for each other than on models as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_of_support_is_what_running_gives(family: str) -> None:
    found, failures = support.attempt_family(FAMILIES[family])
    assert failures == []
    assert found == support.parse(support.FILE.read_text(encoding="utf-8"))[family], (
        f"run {support.COMMAND} {family}"
    )


def odd(
    monkeypatch: pytest.MonkeyPatch, function: Callable[[Perturbable], Scores], signed: bool = True
) -> str:
    """What the table would say of a method that does something odd, on one family."""
    known: dict[str, Any] = {
        "title": "Odd",
        "summary": "Odd.",
        "caveat": "Odd.",
        "cost": "none",
        "unit": "odds",
        "needs": "texts",
    }
    made: Method = method(signed=signed, **known)(function)
    monkeypatch.setattr("attribution.engine.engine.find", lambda name: made)
    monkeypatch.setattr(support, "registered", lambda: {"odd": made})
    family = FAMILIES["bert"]
    model, tokenizer = family.build()
    return support.attempt("odd", family, model, attribution.load(model, tokenizer))


def scored(f: Perturbable, value: float = 1.0) -> Scores:
    return Scores(torch.full((len(f.outputs), len(f.tokens)), value))


def test_a_method_that_works_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert odd(monkeypatch, scored) == ""


def test_a_refusal_is_kept_without_the_names_in_its_row_and_column(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(f: Perturbable) -> Scores:
        raise Unsupported("BertForSequenceClassification is in the way.", "Use another.")

    assert odd(monkeypatch, refuse) == "The model is in the way. Use another."


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "all scores are 0"), (float("nan"), "NotFinite"), (-1.0, "negative scores")]
)
def test_bad_scores_are_failures(monkeypatch: pytest.MonkeyPatch, value: float, said: str) -> None:
    with pytest.raises(support.Failure, match=said):
        odd(monkeypatch, lambda f: scored(f, value), signed=False)


def test_scores_of_another_shape_and_bugs_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(support.Failure, match="ValueError: scores are"):
        odd(monkeypatch, lambda f: Scores(torch.ones(1, 1)))
    with pytest.raises(support.Failure, match="ZeroDivisionError"):
        odd(monkeypatch, lambda f: scored(f, 1 / 0))


def _weight(model: Any) -> None:
    with torch.no_grad():
        model.classifier.weight[0, 0] += 1e-7


def _hook(model: Any) -> None:
    model.classifier.register_forward_hook(lambda *_: None)


CHANGES: dict[str, Callable[[Any], None]] = {
    "weight": _weight,
    "hook": _hook,
    "config": lambda model: setattr(model.config, "classifier_dropout", 0.5),
    "mode": lambda model: model.train(),
    "gradient": lambda model: setattr(
        model.classifier.weight, "grad", torch.zeros_like(model.classifier.weight)
    ),
    "method": lambda model: setattr(model.classifier, "forward", lambda x: x),
    "frozen": lambda model: model.requires_grad_(False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_has_another_state(change: str) -> None:
    model, _ = FAMILIES["bert"].build()
    before = support.state(model)
    assert support.state(model) == before
    CHANGES[change](model)
    assert support.state(model) != before


def test_a_table_is_read_back_and_a_strange_cell_is_refused() -> None:
    table = {name: dict.fromkeys(METHODS, "") for name in FAMILIES}
    table["bert"]["saliency"] = "The model has [no] such_thing. Use 'auto'."
    table["gpt2"]["lime"] = table["t5"]["lime"] = "Another * reason."
    document = support.markdown(table)
    assert support.parse(document) == table
    assert document.count("\n2. ") == 1 and "\n3. " not in document
    with pytest.raises(ValueError, match="neither"):
        support.parse(document.replace("| ✓ |", "| ? |", 1))
