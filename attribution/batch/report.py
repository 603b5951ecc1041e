"""The report of a run as an interactive page: failures, wrong rows, important words, and heatmaps.

The page is a single file that loads nothing else: as in ``attribution.export.html``, only its own scripts and
style run. Its size is bounded: rows and pictures beyond the bounds are left out, wrong rows last, and the
page says so; ``results.jsonl`` has all of them. The app's batch page draws the same document with fewer rows.
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

from attribution.batch.compact import compact_attribution, round_digits
from attribution.batch.debugging import Debugging, Findings, check_address
from attribution.batch.plan import Plan
from attribution.batch.result import Result
from attribution.batch.words import Word, WordCollector, Words, score_words
from attribution.export.html import UNSAFE, content_security_policy, picture_script, picture_style
from attribution.export.writing.captions import replace_controls

SCHEMA = "report/1"
STATIC = Path(__file__).with_name("static")
ROWS = 10_000
"""The most rows listed; wrong and failed rows have the same limit for themselves."""
PICTURE_BYTES = 8_000_000
"""The most bytes of all heatmaps; those of wrong rows have the same limit for themselves."""
SHOWN = 12
"""The most words in a list or a table."""
NAMED = 5
"""Rows that are listed with an error."""
LONGEST = 1000
"""Characters of a text in the list of rows, without its heatmap."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a document: see ``ROWS`` and ``PICTURE_BYTES``."""

    rows: int = ROWS
    picture_bytes: int = PICTURE_BYTES


@dataclass
class Budget:
    """The remaining rows and bytes for one kind of row."""

    rows: int
    picture_bytes: int

    def take_row(self) -> bool:
        """Use one row of the budget; False where none is left."""
        self.rows -= 1
        return self.rows >= 0

    def take_picture(self, size: int) -> bool:
        """Use ``size`` bytes of the budget; False where they do not fit, and for all later pictures.

        The first rows of the page then have pictures without gaps.
        """
        fits = size <= self.picture_bytes
        self.picture_bytes = self.picture_bytes - size if fits else 0
        return fits


@dataclass
class Tally:
    """The numbers of rows answered and failed for one model and method."""

    answered: int = 0
    failed: int = 0
    unit: str = ""
    title: str = ""
    signed: bool = True


@dataclass
class Collector:
    """Collects the results of a run, in any order, for a report."""

    plan: Plan
    base: str = ""
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        self.base = check_address(self.base)
        self._pairs = {pair: number for number, pair in enumerate(self.plan.pairs)}
        self._tallies = [Tally() for _ in self._pairs]
        self._debugging = [Debugging(*pair, base=self.base) for pair in self._pairs]
        self._words = WordCollector()
        self._rows: dict[int, dict[str, Any]] = {}
        self._failures: dict[str, dict[str, Any]] = {}
        self._budgets = {
            wrong: Budget(self.bounds.rows, self.bounds.picture_bytes) for wrong in (False, True)
        }
        self._undrawn = 0

    def add(self, result: Result) -> None:
        """Add one result."""
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
            self._words.add(result, words)
            self._debugging[pair].add(result, words)
        self._list_row(result, pair)

    def document(self, shown: int = SHOWN) -> dict[str, Any]:
        """The report so far in plain JSON types, drawn by ``static/report.js``."""
        return {**self.head(shown), "rows": list(self.rows())}

    def head(self, shown: int = SHOWN) -> dict[str, Any]:
        """The document without its rows."""
        findings = self.findings()
        words = self._words.words(shown)
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
        """The error analysis of each model and method, in the plan's order."""
        return tuple(debugging.findings() for debugging in self._debugging)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the listed rows of ``document``, in the table's order."""
        for place in sorted(self._rows):
            row = self._rows[place]
            yield {**row, "answers": [_parse_drawing(answer) for answer in row["answers"]]}

    def left_out(self) -> str:
        """A sentence on what is left out of the document, or ""."""
        answered = sum(tally.answered + tally.failed for tally in self._tallies)
        listed = sum(len(row["answers"]) for row in self._rows.values())
        parts = []
        if listed < answered:
            parts.append(f"{listed:,} of {answered:,} results are listed")
        if self._undrawn:
            parts.append(f"{self._undrawn:,} of those listed have no picture")
        if not parts:
            return ""
        remedy = "Counts and words cover all results; results.jsonl has every one."
        return f"{' and '.join(parts)}, to keep this page small. {remedy}"

    def _count_error(self, result: Result) -> None:
        """Count an error by class; since messages name their rows, the first one represents its class."""
        error = result.error or {}
        kind, message = error.get("error", ""), error.get("message", "")
        failure = self._failures.setdefault(
            kind, {"error": kind, "message": message, "count": 0, "places": []}
        )
        failure["count"] += 1
        if len(failure["places"]) < NAMED:
            failure["places"].append(result.place)

    def _list_row(self, result: Result, pair: int) -> None:
        budget = self._budgets[result.attribution is None or result.correct is False]
        row = self._rows.get(result.place)
        if row is None:
            if not budget.take_row():
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
        row["answers"].append(self._build_answer(result, pair, budget))
        row["answers"].sort(key=lambda answer: answer["pair"])

    def _build_answer(self, result: Result, pair: int, budget: Budget) -> dict[str, Any]:
        if result.attribution is None:
            return {"pair": pair, "error": dict(result.error or {})}
        probabilities = (
            sorted(result.attribution.prediction.probabilities, reverse=True)
            if result.probability is not None
            else []
        )
        answer: dict[str, Any] = {
            "pair": pair,
            "predicted": (result.predicted or "")[:LONGEST],
            "probability": round_digits(result.probability),
            "margin": round_digits(probabilities[0] - probabilities[1]) if len(probabilities) > 1 else None,
            "correct": result.correct,
        }
        # Stored as text: thousands of pictures as objects would take ten times the memory.
        drawing = _json(compact_attribution(result.attribution))
        if budget.take_picture(len(drawing)):
            return {**answer, "drawing": drawing}
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
            "judged": findings.labelled,
            "mistakes": findings.mistakes,
            "accuracy": None
            if findings.accuracy is None
            else [round_digits(value) for value in findings.accuracy],
            "drivers": [
                [
                    d.word,
                    d.predicted,
                    d.wrong,
                    d.right,
                    round_digits(d.low),
                    round_digits(d.high),
                    list(d.places),
                ]
                for d in findings.drivers[:SHOWN]
            ],
            "differences": [
                [
                    d.word,
                    d.predicted,
                    d.wrong,
                    d.right,
                    *map(round_digits, (d.mean_wrong, d.mean_right, d.low, d.high, d.p, d.q)),
                ]
                for d in findings.differences[:SHOWN]
            ],
            "tested": findings.tested,
        }


def report(
    results: Iterable[Result], plan: Plan, *, base: str = "", bounds: Bounds | None = None
) -> Iterator[bytes]:
    """The page of these results in pieces; the results are read once, before the first piece.

    Raises ``BadOption`` for a ``base`` that is not a web address.
    """
    collector = Collector(plan, base, bounds or Bounds())
    for result in results:
        collector.add(result)
    return page(collector)


def page(collector: Collector) -> Iterator[bytes]:
    """Write the page, in pieces of UTF-8.

    Links to rows lead to the running app at the collector's ``base``. The size is limited by ``Bounds``;
    10,000 rows of usual length take about 8 MB.
    """
    # A cell may contain an unpaired surrogate, which UTF-8 cannot encode.
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
<div><h1 dir="auto">{_text(head["table"])}</h1><p dir="auto">{_text(_describe_plan(plan))}</p></div>
<button id="theme" type="button" hidden>Dark</button>
</header>
<main>
<noscript>{_write_static(head, islice(collector.rows(), 100))}</noscript>
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


def _parse_drawing(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with its drawing as plain JSON types."""
    return {**answer, "drawing": json.loads(answer["drawing"])} if "drawing" in answer else answer


@cache
def report_script() -> str:
    """The script that draws a document: it defines ``AttributionReport`` and requires ``picture_script``."""
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
    return [word.text, word.rows, *map(round_digits, (word.mean, word.low, word.high))]


def _describe_plan(plan: Plan) -> str:
    created = f" · {plan.made[:10]}" if plan.made else ""
    return f"{plan.count:,} rows · {', '.join(plan.models)} · {', '.join(plan.methods)}{created}"


def _write_static(document: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """The page without scripts: the numbers of rows answered and right, and the first rows."""
    lines = "".join(
        f"<tr><td>{_text(pair['model'])}</td><td>{_text(pair['method'])}</td><td>{pair['answered']}</td><td>{pair['failed']}</td>"
        f"<td>{'' if pair['accuracy'] is None else format(pair['accuracy'][0], '.1%')}</td></tr>"
        for pair in document["pairs"]
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Model", "Method", "Answered", "Failed", "Right")
    )
    row_lines = "".join(
        f'<tr><td>{row["place"] + 1}</td><td dir="auto">{_text(row["text"])}</td>'
        f'<td dir="auto">{_text(str(row["answers"][0].get("predicted", "")))}</td></tr>'
        for row in rows
    )
    cells = "".join(f'<th scope="col">{title}</th>' for title in ("Row", "Text", "Predicted"))
    first = f"<table><thead><tr>{cells}</tr></thead>{row_lines}</table>"
    return (
        f"<p>Pictures and search need scripts.</p><table><thead><tr>{head}</tr></thead>{lines}</table>{first}"
    )


def _text(text: str) -> str:
    """Escape a text of the table for HTML."""
    return escape(replace_controls(text))
