"""Results in a notebook, as IPython's own display formatter shows them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from attribution import Assessment, Attribution, Comparison, attentions, load
from attribution.errors import EmptyInput
from attribution.formats import register
from tests.export.test_studies import RESULTS
from tests.samples import sample


@pytest.fixture(scope="module")
def shown() -> Any:
    """The HTML and the text of an object in a notebook."""
    formatter = DisplayFormatter()
    formatter.active_types = ["text/plain", "text/html"]
    register(formatter.formatters["text/html"])

    def show(value: object) -> tuple[str, str]:
        data, _ = formatter.format(value)
        return data.get("text/html", ""), data["text/plain"]

    return show


def results() -> dict[str, object]:
    funny = load(lambda texts: np.full((len(texts), 2), 0.5), labels=["no", "<b>yes</b>"], name="coin")
    return {
        "attribution": sample("english"),
        "generation": sample("causal"),
        "other tool": Attribution.of(["a", "<b>"], [1, -1], target="<i>"),
        "comparison": Comparison.of(sample("english"), sample("english_unsigned")),
        "evaluation": RESULTS["evaluation"],
        "assessment": RESULTS["assessment"],
        "attentions": attentions("It is not good."),
        "model": load("bundled/sst2-minilm"),
        "function": funny,
        "list": [sample("english"), EmptyInput("There is <nothing>."), sample("causal")],
        "top": sample("english").words().top(3),
    }


RESULT = results()


@pytest.mark.parametrize("name", RESULT)
def test_they_show_themselves_without_script_or_style_sheet(name: str, shown: Any) -> None:
    """VS Code, Colab and sandboxed frames need that; on dark pages, text has the page's colour."""
    markup, text = shown(RESULT[name])
    assert markup and len(text) < 600 and "object at 0x" not in text and "array(" not in text
    assert not re.search(r"<(script|style|link|iframe|img|b|i)\b|\bon\w+=|https?://", markup)
    for style in re.findall(r'style="([^"]*)"', markup):
        coloured = re.search(r"(^|;)color:", style)
        assert bool(coloured) == bool(re.search(r"(^|;)background", style)), style


def test_words_print_as_a_list_and_stay_pairs(shown: Any) -> None:
    words = sample("english").words().top(2)
    _, text = shown(words)
    assert [line.split() for line in text.splitlines()] == [
        [token.text, f"{score:+.4g}"] for token, score in words
    ]
    assert [(token.text, score) for token, score in words] == [(t.text, s) for t, s in list(words)]
    assert isinstance(words, list) and isinstance(words[0], tuple)


def test_other_lists_are_left_alone(shown: Any) -> None:
    assert shown([1, 2]) == ("", "[1, 2]")
    assert shown([]) == ("", "[]")
    assert shown([EmptyInput("x")])[0] == ""
    assert shown([sample("english"), 3])[0] == ""


def test_a_long_list_is_cut_and_says_so(shown: Any) -> None:
    markup, _ = shown([sample("one")] * 25)
    assert "and 5 more" in markup


def test_the_results_say_what_they_are() -> None:
    assert repr(RESULT["attribution"]).startswith(
        "<Attribution of 'positive' by integrated_gradients of bundled/sst2"
    )
    assert "Integrated gradients, Saliency" in repr(RESULT["comparison"])
    assert isinstance(RESULT["assessment"], Assessment) and "<Assessment of '" in repr(RESULT["assessment"])
    assert "6 layers × 12 heads" in repr(RESULT["attentions"])
    assert repr(RESULT["function"]) == "<Function coin: text classification, labels no, <b>yes</b>>"
