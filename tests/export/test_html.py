"""The HTML file as bytes: what is in it, what can not be in it. tests/browser opens it in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest

from attribution import sentences
from attribution.export.drawing import colour
from attribution.export.html import FORMAT, STATIC, picture_script, picture_style, write
from attribution.sentences import number
from attribution.types import Attribution
from tests.samples import NAMES, TEXTS, classification, methods, sample

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "${alert(1)} {{value}} \\u{zz} `",
    "<!-- <script> --> ]]>",
    "a\u2028b\u2029c & \"quoted\" 'text'",
    *TEXTS.values(),
]


class Reader(HTMLParser):
    """Elements, attributes, and the text inside each script and style."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))


def data_of(document: str) -> dict[str, object]:
    [data] = re.findall(
        r'<script id="attribution" type="application/json">(.*?)</script>', document, re.DOTALL
    )
    return json.loads(data)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", NAMES)
def test_the_data_reads_back_equal(name: str) -> None:
    attribution = sample(name)
    assert Attribution.from_dict(data_of(write(attribution).decode())) == attribution


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    harmless, hostile = (Reader(write(classification(t)).decode()) for t in ("word", text))
    kinds = {tag for tag, _ in harmless.tags}
    assert {tag for tag, _ in hostile.tags} == kinds
    assert sum(tag == "script" for tag, _ in hostile.tags) == 3
    assert not [name for _, attributes in hostile.tags for name in attributes if name.startswith("on")]
    # The page without scripts shows the text unchanged.
    assert text in "".join(part for tag, part in hostile.texts if tag == "p")


def test_hostile_names_stay_text() -> None:
    bad = "<b onclick=alert(1)>x</b></script>"
    data = classification("word").to_dict()
    data["notes"], data["unit"], data["versions"] = [bad], bad, {bad: bad}
    data["model"].update(name=bad, revision=bad, architecture=bad, note=bad)
    data["prediction"]["labels"] = [bad, bad]
    data["outputs"][0]["text"] = bad
    data["request"].update(method=bad, options={bad: bad}, target={**data["request"]["target"], "label": bad})
    reader = Reader(write(Attribution.from_dict(data)).decode())
    assert "b" not in {tag for tag, _ in reader.tags}


def test_the_policy_allows_exactly_the_inlined_code() -> None:
    document = write(classification("word")).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy_of(document).split(";"))
    code = [
        body
        for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", document, re.DOTALL)
        if not attributes
    ]
    [style] = re.findall(r"<style>(.*?)</style>", document, re.DOTALL)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [digest(body) for body in code]
    assert rules["style-src"] == digest(style)


def digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


@pytest.mark.parametrize("name", ["english", "long", "causal"])
def test_small_and_without_links(name: str) -> None:
    attribution = sample(name)
    document = write(attribution).decode()
    around = re.sub(
        r'(<script id="attribution".*?</script>|<noscript>.*?</noscript>)', "", document, flags=re.DOTALL
    )
    assert len(around.encode()) <= 100_000
    assert not [
        1
        for _, attributes in Reader(document).tags
        if attributes.keys() & {"src", "href", "srcset", "action"}
    ]


class TestSeveral:
    def test_the_data_reads_back_equal(self) -> None:
        data = data_of(write(*methods()).decode())
        assert data["schema"] == "attributions/1"
        assert tuple(map(Attribution.from_dict, data["attributions"])) == methods()  # type: ignore[arg-type]

    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_stays_text(self, text: str) -> None:
        harmless, hostile = (Reader(write(*methods(t)).decode()) for t in ("word", text))
        assert {tag for tag, _ in hostile.tags} == {tag for tag, _ in harmless.tags}
        assert sum(tag == "script" for tag, _ in hostile.tags) == 3
        assert not [name for _, attributes in hostile.tags for name in attributes if name.startswith("on")]

    def test_hostile_heads_stay_text(self) -> None:
        bad = "<b onclick=alert(1)>x</b></script>"
        first, second, *_ = methods("word")
        reader = Reader(write(replace(first, title=bad), replace(second, title=f"{bad}2")).decode())
        assert "b" not in {tag for tag, _ in reader.tags}
        assert [text for tag, text in reader.texts if tag == "span" and text.strip()] == [bad, f"{bad}2"]

    def test_there_is_a_choice_of_each_and_the_first_is_chosen(self) -> None:
        radios = [attributes for tag, attributes in Reader(write(*methods()).decode()).tags if tag == "input"]
        assert [radio["value"] for radio in radios] == ["0", "1", "2", "3"]
        assert {radio["type"] for radio in radios} == {"radio"} and len(
            {radio["name"] for radio in radios}
        ) == 1
        assert ["checked" in radio for radio in radios] == [True, False, False, False]
        assert not [
            tag for tag, _ in Reader(write(methods()[0]).decode()).tags if tag in ("input", "fieldset")
        ]

    def test_every_result_has_its_facts_and_its_table(self) -> None:
        articles = re.findall(r"<article>(.*?)</article>", write(*methods()).decode(), re.DOTALL)
        for result, article in zip(methods(), articles, strict=True):
            assert (
                f'<dd dir="auto">{sentences.method(result)}</dd>' in article
                and escape(sentences.adds_up(result)) in article
            )
            assert (
                number(float(result.scores[0, 1]))
                in re.findall(r"<noscript>(.*?)</noscript>", article, re.DOTALL)[0]
            )

    def test_small_and_without_links(self) -> None:
        document = write(*methods("word " * 300)).decode()
        around = re.sub(
            r'(<script id="attribution".*?</script>|<noscript>.*?</noscript>)', "", document, flags=re.DOTALL
        )
        assert len(around.encode()) <= 100_000
        assert not [
            1
            for _, attributes in Reader(document).tags
            if attributes.keys() & {"src", "href", "srcset", "action"}
        ]

    def test_the_policy_allows_exactly_the_inlined_code(self) -> None:
        assert policy_of(write(*methods()).decode()) == policy_of(write(methods()[0]).decode())


def policy_of(document: str) -> str:
    return dict(Reader(document).tags[3][1])["content"] or ""


def test_without_scripts_there_is_a_table_of_every_token() -> None:
    attribution = sample("causal")
    [plain] = re.findall(r"<noscript>(.*?)</noscript>", write(attribution).decode(), re.DOTALL)
    assert plain.count("<tr>") == 1 + len(attribution.tokens)
    assert plain.count('<th scope="col" dir="auto">') == len(attribution.outputs)


def test_the_table_has_standard_errors_and_says_which_text() -> None:
    def table(name: str) -> list[list[str]]:
        [plain] = re.findall(r"<noscript>(.*?)</noscript>", write(sample(name)).decode(), re.DOTALL)
        return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", plain)]

    result = sample("sampled")
    head, first, *_ = table("sampled")
    assert head[1:] == ["positive", "Standard error"]
    assert first == ["[CLS]", number(result.scores[0, 0]), number(result.errors[0, 0])]  # type: ignore[index]
    head, *rows = table("pair")
    assert head[1:] == ["Text", "positive"]
    assert [row[1] for row in rows] == [
        "First text" if t.segment == "text" else "Second text" for t in sample("pair").tokens
    ]


def test_limits_of_trust_are_warnings() -> None:
    noise, sampled = (write(sample(name)).decode() for name in ("noise", "sampled"))
    assert re.search(r"<p class=warn>No signal: no score", noise) and re.search(
        r"<p class=warn>R² 0.2:", noise
    )
    assert re.search(r"<p>R² 0.83:", sampled) and "No signal" not in re.sub(
        r"<script.*?</script>", "", sampled, flags=re.DOTALL
    )
    assert "Uncertainty" not in write(sample("english")).decode()


@pytest.mark.parametrize(
    ("name", "prediction"),
    [
        ("regression", "0.83"),
        ("similarity", "Similarity 0.725"),
        ("question", "Answer: film"),
        ("labelled", "movie: I"),
    ],
)
def test_shows_the_prediction(name: str, prediction: str) -> None:
    [section] = re.findall(r"<h2>Prediction</h2>(.*?)</section>", write(sample(name)).decode(), re.DOTALL)
    assert prediction in section


def test_half_a_character_in_a_label_is_still_a_file() -> None:
    data = classification("word").to_dict()
    data["prediction"]["labels"] = ["\ud800", "b"]
    write(Attribution.from_dict(data)).decode()


def test_our_scripts_write_no_markup() -> None:
    banned = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\.html\(|\beval\b|new Function|https?://"
    )
    for path in [*STATIC.glob("*.js"), *STATIC.glob("*.css")]:
        assert not banned.search(path.read_text(encoding="utf-8")), path.name
    # What is inlined must not end its element.
    assert "</script" not in picture_script().lower()
    assert "</style" not in picture_style().lower()


def test_the_picture_has_the_colours_of_the_other_exports() -> None:
    source = (STATIC / "palette.js").read_text(encoding="utf-8")
    names = {"for": "positive", "against": "negative", "strength": "strength"}
    for kind, theme_field in names.items():
        block = re.search(rf"{kind}: {{(.*?)}}", source, re.DOTALL)
        assert block
        for theme in ("light", "dark"):
            line = re.search(rf"{theme}: (\[.*?\])", block[1])
            assert line and tuple(json.loads(line[1])) == getattr(colour.THEMES[theme], theme_field)


def test_the_kind_of_file() -> None:
    assert (FORMAT.extension, FORMAT.media_type) == ("html", "text/html")
