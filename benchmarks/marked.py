"""Texts in which people marked words: readers of the data sets that ``human_agreement`` measures on."""

from __future__ import annotations

import csv
import html
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from attribution.errors import BadTable
from attribution.rationales import Rationale, merge, of_words, read

LEAF = re.compile(r"\((\d) ([^()\s]+)\)")
SPELLED = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", r"\/": "/", r"\*": "*"}
NEUTRAL = 2
SPAN = re.compile(r"<span( class=\"active\")?>(.*?)</span>", re.DOTALL)


@dataclass(frozen=True)
class Marked:
    """Texts with marks.

    ``target`` is the label to explain, None: the predicted one; ``lost`` counts marks that fit no text.
    """

    name: str
    about: str
    texts: tuple[str, ...]
    rationales: tuple[Rationale, ...]
    target: str | None = None
    lost: int = 0


def sst(folder: Path, part: str) -> Marked:
    """Stanford Sentiment Treebank: each word's rating, 0 to 4, minus the neutral 2; above 0 is positive."""
    pairs = [
        _leaves(line)
        for line in (folder / "sst" / f"{part}.txt").read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    about = (
        "Words that people rated alone, from very negative to very positive, less neutral. "
        "Signed; the predicted label is explained."
    )
    return Marked(f"SST, {part}", about, *_columns(pairs))


def _leaves(line: str) -> tuple[str, Rationale]:
    leaves = LEAF.findall(line)
    words = [_spelled(word) for _, word in leaves]
    text = " ".join(words)
    weights = [float(int(label) - NEUTRAL) for label, _ in leaves]
    return text, of_words(text, words, weights, signed=True, label="positive")


def _spelled(word: str) -> str:
    for written, meant in SPELLED.items():
        word = word.replace(written, meant)
    return word


def yelp(folder: Path) -> Marked:
    """Yelp-HAT: the words that two or three people each marked when they judged a review."""
    people: dict[str, list[Rationale]] = {}
    lost = 0
    for row in _rows(folder / "yelp-hat" / "ham_part1_50words.csv"):
        marked = [
            (html.unescape(word), 1.0 if active else 0.0)
            for active, word in SPAN.findall(row["Answer.html_output"])
        ]
        rationale = _aligned(row["Input.text"], marked)
        if rationale is None:
            lost += 1
        else:
            people.setdefault(row["Input.text"], []).append(rationale)
    pairs = [(text, merge(each)) for text, each in people.items() if len(each) > 1]
    about = (
        "The share of up to three people who marked a word as they judged a review. "
        "Without signs; the predicted label is explained."
    )
    return Marked("Yelp-HAT", about, *_columns(pairs), lost=lost)


def _aligned(text: str, marked: list[tuple[str, float]]) -> Rationale | None:
    """Marks of words, some of which the map may lack: these are unknown.

    None where the map lacks more than a tenth of the text.
    """
    words = list(re.finditer(r"\S+", text))
    blocks = SequenceMatcher(
        None, [m[0] for m in words], [word for word, _ in marked], autojunk=False
    ).get_matching_blocks()
    spans = [(*words[a + k].span(), marked[b + k][1]) for a, b, size in blocks for k in range(size)]
    return Rationale(tuple(spans), partial=True) if len(spans) >= 0.9 * len(words) else None


def toxic(folder: Path) -> Marked:
    """Toxic spans: the characters that make a post toxic; posts without any are left out."""
    pairs, lost = [], 0
    for number, row in enumerate(_rows(folder / "toxic-spans" / "tsd_trial.csv"), start=1):
        try:
            marks = read(
                row["text"], row["spans"], "characters", row=f"Row {number}", column="spans", label="negative"
            )
        except BadTable:
            lost += 1
            continue
        if marks is not None and marks.weights:
            pairs.append((row["text"], marks))
    about = (
        "The characters that people called toxic. The model knows sentiment, not toxicity: "
        "what speaks for its label negative is "
        "compared, so a low figure may be the model's as well as the method's."
    )
    return Marked("Toxic spans, trial", about, *_columns(pairs), target="negative", lost=lost)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _columns(pairs: list[tuple[str, Rationale]]) -> tuple[tuple[str, ...], tuple[Rationale, ...]]:
    return tuple(text for text, _ in pairs), tuple(marks for _, marks in pairs)


READERS: dict[str, Callable[[Path], Marked]] = {
    "sst-dev": lambda folder: sst(folder, "dev"),
    "sst-train": lambda folder: sst(folder, "train"),
    "yelp": yelp,
    "toxic": toxic,
}
