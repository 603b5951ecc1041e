"""Write the results of a run as files, and as one archive of all files.

JSON Lines and Parquet are for programs, tables for spreadsheets, the report for people. Results are streamed
in the order of the table. Each file is written atomically.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

from attribution.batch.debugging import write_cases, write_words
from attribution.batch.disk import open_atomic, write_file
from attribution.batch.report import Collector, page
from attribution.batch.result import Result
from attribution.batch.run import Run
from attribution.export.csv import guard

RESULTS, PARQUET, SUMMARY, REPORT, ARCHIVE = (
    "results.jsonl",
    "results.parquet",
    "summary.csv",
    "report.html",
    "results.zip",
)
WRONG, WORDS = "wrong.csv", "words.csv"
"""Wrong and least certain rows, and words that score differently in wrong and right rows: ``debugging``."""
ROWS_AT_ONCE = 256
"""Results in a row group of a Parquet file."""
STRONGEST = 5
"""Words in a line of the summary."""
COLUMNS = (
    "row", "line", "model", "method", "text", "second", "label", "predicted", "probability",
    "correct", "explained", "residual",
    "strongest", "error",
)  # fmt: skip
"""Columns of the summary.

``row`` counts from 1, ``residual`` is the largest of all outputs, ``strongest`` are words with their scores.
"""
_SURROGATE = re.compile("[\ud800-\udfff]")


class Writer(Protocol):
    """Writes one result after another."""

    def write(self, result: Result) -> None: ...

    def close(self) -> None: ...


def write(run: Run, live: str = "") -> tuple[Path, ...]:
    """Write the results that the run has so far into its folder, and return the files' paths.

    Parquet is written only where pyarrow is installed. ``live`` is the address of a running app that links
    lead to; without it there are no links. Raises ``BatchError`` where the disk is full, and ``BadOption``
    for a ``live`` that is not a web address.
    """
    kinds: dict[str, Any] = {RESULTS: JsonLines, SUMMARY: Summary}
    with suppress(ImportError):
        import pyarrow  # noqa: F401 - is it installed?

        kinds[PARQUET] = Parquet
    collector = Collector(run.plan, live)
    with ExitStack() as stack:
        writers: list[Writer] = []
        for name, kind in kinds.items():
            file = stack.enter_context(open_atomic(run.folder / name))
            writers.append(kind(file))
            stack.callback(writers[-1].close)
        for result in run.results():
            for writer in writers:
                writer.write(result)
            collector.add(result)
    with open_atomic(run.folder / REPORT) as file:
        file.writelines(page(collector))
    findings = collector.findings()
    write_file(run.folder / WRONG, write_cases(findings))
    write_file(run.folder / WORDS, write_words(findings))
    return tuple(run.folder / name for name in (*kinds, REPORT, WRONG, WORDS))


def archive(run: Run, live: str = "") -> Path:
    """Write all files of ``write`` and the plan into one zip archive, and return its path."""
    paths = (run.folder / "plan.json", *write(run, live))
    with (
        open_atomic(run.folder / ARCHIVE) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive_file,
    ):
        for path in paths:
            archive_file.write(path, path.name)
    return run.folder / ARCHIVE


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of ``results.jsonl``: see ``Result.to_dict``.

    ``Attribution.from_dict`` reads their attributions.
    """
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


class JsonLines:
    """One object for each result, without loss: every attribution is read back equal."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, result: Result) -> None:
        # Escaped, so that a text with an unpaired surrogate is written too.
        self._file.write(json.dumps(result.to_dict(), separators=(",", ":")).encode("ascii") + b"\n")

    def close(self) -> None:
        """Nothing is buffered."""


class Summary:
    """One line for each result: UTF-8 with a byte order mark, and no cell that a spreadsheet would run."""

    def __init__(self, file: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        self._lines = csv.writer(self._text, lineterminator="\r\n")
        self._lines.writerow(COLUMNS)

    def write(self, result: Result) -> None:
        self._lines.writerow([_cell(value) for value in _summary(result)])

    def close(self) -> None:
        self._text.flush()
        self._text.detach()  # the caller closes the file


class Parquet:
    """One row for each result, with lists of tokens and scores; ``row`` has the table's cells as JSON."""

    def __init__(self, file: IO[bytes]) -> None:
        import pyarrow
        from pyarrow import parquet

        self._arrow = pyarrow
        texts = ("model", "method", "text", "second", "label", "predicted", "unit", "error", "row")
        words, integers, flags = (
            pyarrow.list_(kind) for kind in (pyarrow.string(), pyarrow.int32(), pyarrow.bool_())
        )
        numbers = pyarrow.list_(pyarrow.float64())
        self._schema = pyarrow.schema(
            {
                "place": pyarrow.int64(),
                "line": pyarrow.int64(),
                **dict.fromkeys(texts, pyarrow.string()),
                "probability": pyarrow.float64(),
                "correct": pyarrow.bool_(),
                "signed": pyarrow.bool_(),
                **dict.fromkeys(("tokens", "segments", "outputs"), words),
                **dict.fromkeys(("word", "start", "end"), integers),
                "special": flags,
                "scores": pyarrow.list_(numbers),
                **dict.fromkeys(("values", "residual"), numbers),
            }
        )
        self._file = parquet.ParquetWriter(file, self._schema)
        self._rows: list[dict[str, Any]] = []

    def write(self, result: Result) -> None:
        self._rows.append(_flat(result))
        if len(self._rows) == ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows = []


def _flat(result: Result) -> dict[str, Any]:
    attribution = result.attribution
    row: dict[str, Any] = {
        "place": result.place,
        "line": result.line,
        "model": result.model,
        "method": result.method,
        "text": _replace_surrogates(result.text),
        "second": _replace_surrogates(result.second),
        "label": _replace_surrogates(result.label),
        "predicted": _replace_surrogates(result.predicted),
        "probability": result.probability,
        "correct": result.correct,
        "error": _error_text(result),
        "row": json.dumps(dict(result.row)),
    }
    if attribution is not None:
        row |= {
            name: [getattr(token, name) for token in attribution.tokens]
            for name in ("word", "start", "end", "special")
        }
        row |= {
            "unit": attribution.unit,
            "signed": attribution.signed,
            "tokens": [_replace_surrogates(token.text) for token in attribution.tokens],
            "segments": [token.segment for token in attribution.tokens],
            "outputs": [_replace_surrogates(output.text) for output in attribution.outputs],
            "scores": attribution.scores.tolist(),
            "values": [output.value for output in attribution.outputs],
            "residual": None if attribution.residual is None else list(attribution.residual),
        }
    return row


def _summary(result: Result) -> Iterable[Any]:
    attribution = result.attribution
    yield from (
        result.place + 1,
        result.line or None,
        result.model,
        result.method,
        result.text,
        result.second,
        result.label,
    )
    yield from (result.predicted, result.probability, result.correct)
    if attribution is None:
        yield from (None, None, None, _error_text(result))
        return
    strongest = (f"{token.text} {score:+.3g}" for token, score in attribution.words().top(STRONGEST))
    residual = None if not attribution.residual else max(attribution.residual, key=abs)
    yield from (
        ", ".join(output.text for output in islice(attribution.outputs, 20)),
        residual,
        "; ".join(strongest),
        None,
    )


def _error_text(result: Result) -> str | None:
    if result.error is None:
        return None
    return _replace_surrogates(
        f"{result.error['error']}: {result.error['message']} {result.error['hint']}".strip()
    )


def _cell(value: Any) -> Any:
    """A cell as in ``attribution.export.csv``: guarded text, plain numbers, 1 for True."""
    return guard(value) if isinstance(value, str) else int(value) if isinstance(value, bool) else value


def _replace_surrogates(text: str | None) -> str | None:
    """Replace unpaired surrogates, which UTF-8 cannot encode."""
    return None if text is None else _SURROGATE.sub("\ufffd", text)
