"""A run as an interactive page: failures, wrong rows, the words that count, every row with its heatmap.

The page is one file that asks nothing of anybody: as in ``attribution.export.html`` only the scripts and the
style that were written here run. Its size is bounded: rows and pictures that would not fit are left out,
wrong ones last, and it says so; ``results.jsonl`` has them. The same document, with fewer rows, is what the
app's batch page draws.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

from attribution.batch.compact import compact_attribution, rounded
from attribution.batch.debugging import Debugging, Findings, check_address
from attribution.batch.plan import Plan
from attribution.batch.result import Result
from attribution.batch.words import Gathering, Word, Words, score_words
from attribution.export.html import UNSAFE, content_security_policy, picture_script, picture_style
from attribution.export.writing.captions import replace_controls

SCHEMA = "report/1"
STATIC = Path(__file__).with_name("static")
ROWS = 10_000
"""Rows that are listed; wrong and failed ones have as many places of their own."""
PICTURE_BYTES = 8_000_000
"""Of all heatmaps; those of wrong rows have as much of their own."""
SHOWN = 12
"""Words of a list, and of a table."""
NAMED = 5
"""Rows that are named with an error."""
LONGEST = 1000
"""Characters of a text that stands in the list without its heatmap."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a document holds: see ``ROWS`` and ``PICTURE_BYTES``."""

    rows: int = ROWS
    picture_bytes: int = PICTURE_BYTES


@dataclass
class Room:
    """What is left of the bounds for one kind of row."""

    rows: int
    picture_bytes: int

    def takes_row(self) -> bool:
        self.rows -= 1
        return self.rows >= 0

    def takes(self, size: int) -> bool:
        """Once a picture did not fit, no later one is taken: the page shows the first rows without gaps."""
        fits = size <= self.picture_bytes
        self.picture_bytes = self.picture_bytes - size if fits else 0
        return fits


@dataclass
class Tally:
    """What became of one model's and method's rows."""

    answered: int = 0
    failed: int = 0
    unit: str = ""
    title: str = ""
    signed: bool = True


@dataclass
class Collector:
    """Takes the results of a run, in any order; ``document`` is what there is to show so far."""

    plan: Plan
    base: str = ""
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        self.base = check_address(self.base)
        self._pairs = {pair: number for number, pair in enumerate(self.plan.pairs)}
        self._tallies = [Tally() for _ in self._pairs]
        self._debugging = [Debugging(*pair, base=self.base) for pair in self._pairs]
        self._gathering = Gathering()
        self._rows: dict[int, dict[str, Any]] = {}
        self._failures: dict[str, dict[str, Any]] = {}
        self._rooms = {wrong: Room(self.bounds.rows, self.bounds.picture_bytes) for wrong in (False, True)}
        self._undrawn = 0

    def add(self, result: Result) -> None:
        pair = self._pairs[result.model, result.method]
        tally = self._tallies[pair]
        if result.attribution is None:
            tally.failed += 1
            self._count_error(result)
        else:
            tally.answered += 1
            tally.unit, tally.signed = result.attribution.unit, result.attribution.signed
            tally.title = result.attribution.title or tally.title
            words = score_words(result.attribution, result.predicted)
            self._gathering.add(result, words)
            self._debugging[pair].add(result, words)
        self._list(result, pair)

    def document(self, shown: int = SHOWN) -> dict[str, Any]:
        """Plain JSON types; ``static/report.js`` draws it."""
        return {**self.head(shown), "rows": list(self.rows())}

    def head(self, shown: int = SHOWN) -> dict[str, Any]:
        """The document without its rows."""
        findings = self.findings()
        words = self._gathering.words(shown)
        return {
            "schema": SCHEMA,
            "table": Path(self.plan.table).name,
            "made": self.plan.made,
            "base": self.base,
            "asked": dict(self.plan.arguments),
            "options": {name: dict(values) for name, values in self.plan.options.items()},
            "count": self.plan.count,
            "pairs": [self._pair(number, entry) for number, entry in enumerate(findings)],
            "failures": sorted(self._failures.values(), key=lambda failure: -failure["count"]),
            "words": [_group(words, group, self._pairs[group.model, group.method]) for group in words.groups],
            "missed": max([words.missed, *(entry.missed for entry in findings)]),
            "left_out": self.left_out(),
        }

    def findings(self) -> tuple[Findings, ...]:
        """Where each model goes wrong by each method, in the plan's order."""
        return tuple(one.findings() for one in self._debugging)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The listed rows of ``document``, in the table's order."""
        for place in sorted(self._rows):
            row = self._rows[place]
            yield {**row, "answers": [_drawn(answer) for answer in row["answers"]]}

    def left_out(self) -> str:
        """A sentence on what is not in the document, or ""."""
        answered = sum(tally.answered + tally.failed for tally in self._tallies)
        listed = sum(len(row["answers"]) for row in self._rows.values())
        parts = []
        if listed < answered:
            parts.append(f"{listed:,} of {answered:,} results are listed")
        if self._undrawn:
            parts.append(f"{self._undrawn:,} of those listed have no picture")
        if not parts:
            return ""
        kept = "Counts and words are of all; results.jsonl has every one."
        return f"{' and '.join(parts)}, to keep this page small. {kept}"

    def _count_error(self, result: Result) -> None:
        """By kind: messages name their rows, so the first of a kind stands for all."""
        error = result.error or {}
        kind, message = error.get("error", ""), error.get("message", "")
        failure = self._failures.setdefault(
            kind, {"error": kind, "message": message, "count": 0, "places": []}
        )
        failure["count"] += 1
        if len(failure["places"]) < NAMED:
            failure["places"].append(result.place)

    def _list(self, result: Result, pair: int) -> None:
        room = self._rooms[result.attribution is None or result.correct is False]
        row = self._rows.get(result.place)
        if row is None:
            if not room.takes_row():
                return
            row = self._rows[result.place] = {
                "place": result.place,
                "line": result.line,
                "text": result.text[:LONGEST],
                "second": None if result.second is None else result.second[:LONGEST],
                "label": result.label,
                "answers": [],
            }
        if result.label is not None:
            row["label"] = result.label
        row["answers"].append(self._answer(result, pair, room))
        row["answers"].sort(key=lambda answer: answer["pair"])

    def _answer(self, result: Result, pair: int, room: Room) -> dict[str, Any]:
        if result.attribution is None:
            return {"pair": pair, "error": dict(result.error or {})}
        chances = (
            sorted(result.attribution.prediction.probabilities, reverse=True)
            if result.probability is not None
            else []
        )
        answer: dict[str, Any] = {
            "pair": pair,
            "predicted": (result.predicted or "")[:LONGEST],
            "probability": rounded(result.probability),
            "margin": rounded(chances[0] - chances[1]) if len(chances) > 1 else None,
            "correct": result.correct,
        }
        # As text: as objects, thousands of pictures would take ten times the memory.
        drawn = _json(compact_attribution(result.attribution))
        if room.takes(len(drawn)):
            return {**answer, "drawing": drawn}
        self._undrawn += 1
        return answer

    def _pair(self, number: int, findings: Findings) -> dict[str, Any]:
        tally, (model, method) = self._tallies[number], self.plan.pairs[number]
        return {
            "model": model,
            "method": method,
            "title": tally.title or method,
            "unit": tally.unit,
            "signed": tally.signed,
            "answered": tally.answered,
            "failed": tally.failed,
            "judged": findings.judged,
            "mistakes": findings.mistakes,
            "accuracy": None
            if findings.accuracy is None
            else [rounded(value) for value in findings.accuracy],
            "drivers": [
                [d.word, d.predicted, d.wrong, d.right, rounded(d.low), rounded(d.high), list(d.places)]
                for d in findings.drivers[:SHOWN]
            ],
            "differences": [
                [
                    d.word,
                    d.predicted,
                    d.wrong,
                    d.right,
                    *map(rounded, (d.mean_wrong, d.mean_right, d.low, d.high, d.p, d.q)),
                ]
                for d in findings.differences[:SHOWN]
            ],
            "tested": findings.tested,
        }


def report(
    results: Iterable[Result], plan: Plan, *, base: str = "", bounds: Bounds | None = None
) -> Iterator[bytes]:
    """``page`` of these results, which are read once, before the first piece.

    Raises ``BadOption`` for a ``base`` that is no web address.
    """
    collector = Collector(plan, base, bounds or Bounds())
    for result in results:
        collector.add(result)
    return page(collector)


def page(collector: Collector) -> Iterator[bytes]:
    """The page in pieces of UTF-8, which together are the file.

    Links to rows lead to the running app at the collector's ``base``. The page's size has a bound: see
    ``Bounds``; 10,000 rows of usual length are some 8 MB.
    """
    # A cell may hold half a surrogate pair, which no file can.
    return (piece.encode("utf-8", "replace") for piece in _page(collector))


def _page(collector: Collector) -> Iterator[str]:
    head, plan = collector.head(), collector.plan
    style = picture_style() + report_style() + _asset("page.css")
    scripts = (picture_script(), report_script(), _asset("page.js"))
    title = f"{head['table']}: {', '.join(plan.methods)}"
    yield f"""<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(content_security_policy(style, scripts))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>{style}</style>
</head>
<body>
<header>
<div><h1 dir="auto">{_text(head["table"])}</h1><p dir="auto">{_text(_about(plan))}</p></div>
<button id="theme" type="button" hidden>Dark</button>
</header>
<main>
<noscript>{_plain(head, islice(collector.rows(), 100))}</noscript>
<div id="report"></div>
</main>
<script id="document" type="application/json">{_json(head)[:-1].translate(UNSAFE)},"rows":["""
    for number, row in enumerate(collector.rows()):
        yield ("," if number else "") + _json(row).translate(UNSAFE)
    yield f"""]}}</script>
{"".join(f"<script>{script}</script>" for script in scripts)}
</body>
</html>
"""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _drawn(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with its picture as plain JSON types."""
    return {**answer, "drawing": json.loads(answer["drawing"])} if "drawing" in answer else answer


@cache
def report_script() -> str:
    """The script that draws a document: defines ``AttributionReport``. It stands on ``picture_script``."""
    return _asset("report.js")


@cache
def report_style() -> str:
    """The style sheet of a document, on top of ``picture_style``."""
    return _asset("report.css")


@cache
def _asset(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _group(words: Words, group: Any, pair: int) -> dict[str, Any]:
    return {
        "pair": pair,
        "predicted": group.predicted,
        "explained": group.explained,
        "rows": words.rows[group],
        "positive": [_word(word) for word in words.positive[group]],
        "negative": [_word(word) for word in words.negative[group]],
    }


def _word(word: Word) -> list[Any]:
    return [word.text, word.rows, *map(rounded, (word.mean, word.low, word.high))]


def _about(plan: Plan) -> str:
    made = f" · {plan.made[:10]}" if plan.made else ""
    return f"{plan.count:,} rows · {', '.join(plan.models)} · {', '.join(plan.methods)}{made}"


def _plain(document: Mapping[str, Any], listed: Iterable[Mapping[str, Any]]) -> str:
    """What is shown without scripts: how many rows were answered and right, and the first rows."""
    lines = "".join(
        f"<tr><td>{_text(pair['model'])}</td><td>{_text(pair['method'])}</td><td>{pair['answered']}</td><td>{pair['failed']}</td>"
        f"<td>{'' if pair['accuracy'] is None else format(pair['accuracy'][0], '.1%')}</td></tr>"
        for pair in document["pairs"]
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Model", "Method", "Answered", "Failed", "Right")
    )
    rows = "".join(
        f'<tr><td>{row["place"] + 1}</td><td dir="auto">{_text(row["text"])}</td>'
        f'<td dir="auto">{_text(str(row["answers"][0].get("predicted", "")))}</td></tr>'
        for row in listed
    )
    cells = "".join(f'<th scope="col">{title}</th>' for title in ("Row", "Text", "Predicted"))
    first = f"<table><thead><tr>{cells}</tr></thead>{rows}</table>"
    return (
        f"<p>Pictures and search need scripts.</p><table><thead><tr>{head}</tr></thead>{lines}</table>{first}"
    )


def _text(text: str) -> str:
    """A text of the table as HTML."""
    return escape(replace_controls(text))
