"""Measure which method explains a model best, over the texts of a table or of a file with one text a line.

python -m attribution evaluate reviews.csv --method integrated_gradients lime --metric deletion insertion
python -m attribution evaluate reviews.txt --limit 50 --output quality.html --track mlflow
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from attribution.commands.common.arguments import by_owner, options
from attribution.commands.track import add_track, settings
from attribution.errors import BadFile, BadOption, EmptyInput, nearest, quote
from attribution.settings import DEFAULT_MODEL
from attribution.studies.evaluation import METHODS, METRICS
from attribution.studies.measurement import steps
from attribution.tables.table import Kind, open_table

if TYPE_CHECKING:
    from attribution.rationales import Rationale
    from attribution.studies.evaluation import Evaluation
    from attribution.tables.table import Sample
    from attribution.types import Option


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments: texts, a model, methods, metrics, and where the answer goes."""
    add = parser.add_argument
    add(
        "texts",
        nargs="?",
        help=f"a table ({', '.join(get_args(Kind))}), a file with one text a line (.txt), or - for such lines",
    )
    add(
        "--model",
        default=DEFAULT_MODEL,
        help="a bundled, catalogue or Hub name, or a folder (default: %(default)s)",
    )
    add(
        "--method",
        nargs="+",
        default=list(METHODS),
        help="one or several; scores at random are always measured beside them",
    )
    add("--metric", nargs="+", default=list(METRICS), help="one or several; see --list-metrics")
    for column in ("text", "second", "rationale"):
        add(
            f"--{column}",
            metavar="COLUMN",
            help=f"the column of the {column}; guessed by its name if --text is not given",
        )
    add("--limit", type=int, metavar="COUNT", help="only so many texts, the first ones")
    add("--target", help="a label's name or index for all texts (default: what the model says)")
    add("--task", help="for a family name such as bert-base-uncased, e.g. sentiment")
    add(
        "--option",
        action="append",
        default=[],
        metavar="NAME.OPTION=VALUE",
        help="an option of a method or a metric",
    )
    add("--seed", type=int, default=0, help="of everything that is drawn (default: %(default)s)")
    add("--bootstrap", type=int, default=1000, help="draws behind each interval (default: %(default)s)")
    add("--format", help="json, csv, md, html, tex, svg or png (default: md)")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write there; its ending says the format if --format does not",
    )
    add("--list-metrics", action="store_true", help="every metric with its options")
    add_track(parser)


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Measure, with the number of finished texts on standard error, and write. Ctrl-C writes what is done."""
    from attribution.engine import default_engine

    if asked.list_metrics:
        sys.stdout.write("\n".join(_listed()) + "\n")
        return 0
    kind = _format(asked)
    tracker = settings(asked) if asked.track else None
    samples, marks = _read(asked)
    found = steps(
        default_engine(),
        [sample.text for sample in samples],
        asked.model,
        asked.method,
        asked.metric,
        rationales=marks,
        seed=asked.seed,
        bootstrap=asked.bootstrap,
        options=_options(asked.option),
        second=[sample.second for sample in samples],
        target=asked.target,
        task=asked.task,
    )
    last = _followed(found)
    if last is None:
        return 130
    _write(last, asked.output, kind)
    if tracker is not None:
        _track(last, asked, tracker)
    return 0 if last.finished else 130


def _format(asked: argparse.Namespace) -> str:
    """Refused before anything is computed. Raises ``BadFile``, ``BadOption``."""
    from attribution.export.drawing.evaluation import FORMATS

    written = asked.format or ("md" if asked.output is None else asked.output.suffix)
    kind = str(written).lower().lstrip(".")
    if kind not in FORMATS:
        raise BadFile(f"There is no format {quote(kind)}.", nearest(kind, FORMATS))
    if kind == "png" and asked.output is None and sys.stdout.isatty():
        raise BadOption("A PNG file would only garble this terminal.", "Please name a file with --output.")
    return kind


def _read(asked: argparse.Namespace) -> tuple[list[Sample], list[Rationale | None] | None]:
    """The texts, and people's marks where a metric compares with them. Raises ``EmptyInput``, ``BadTable``, ``OSError``."""
    from attribution.metrics import find
    from attribution.tables.table import Sample

    wanted = any("rationale" in find(name).needs for name in asked.metric)
    if asked.texts is None:
        raise EmptyInput(
            "There are no texts.", "Name a table, a file with one text a line, or - for standard input."
        )
    if asked.limit is not None and asked.limit < 1:
        raise BadOption(f"--limit is {asked.limit}.", "It must be a whole number from 1.")
    if asked.texts == "-" or asked.texts.lower().endswith(".txt"):
        whole = sys.stdin.read() if asked.texts == "-" else Path(asked.texts).read_text(encoding="utf-8-sig")
        samples = list(islice((Sample(line) for line in whole.splitlines() if line.strip()), asked.limit))
        marks = None
    else:
        samples, marks = _rows(asked, wanted)
    if not samples:
        raise EmptyInput("There are no texts.", "The file is empty.")
    return samples, marks


def _rows(asked: argparse.Namespace, wanted: bool) -> tuple[list[Sample], list[Rationale | None] | None]:
    """Those of a table, whose first bad row is an error: a study must not lose texts in silence."""
    from attribution.rationales import read

    table = open_table(asked.texts)
    columns = table.picked(asked.text, asked.second, None, asked.rationale)
    samples, marks = [], []
    for row in islice(table, asked.limit):
        sample = columns.read(row)
        samples.append(sample)
        if wanted and columns.rationale is not None:
            marks.append(read(sample.text, sample.rationale, row=row.called, column=columns.rationale))
    return samples, marks or None


def _options(written: Sequence[str]) -> dict[str, dict[str, Option]]:
    """Options by method or metric, in the types that the signatures state. Raises ``BadOption``."""
    from attribution.methods import list_methods
    from attribution.metrics import list_metrics

    known = {**list_methods(), **list_metrics()}
    found: dict[str, dict[str, Option]] = {}
    for owner, items in by_owner(written, list(known)).items():
        if owner not in known:
            raise BadOption(f"There is no method or metric {quote(owner)}.", nearest(owner, known))
        found[owner] = options(owner, known[owner].options, items)  # type: ignore[attr-defined]
    return found


def _followed(found: Iterator[Evaluation]) -> Evaluation | None:
    """The last that is there; what is done on Ctrl-C, None where that is nothing."""
    last = None
    try:
        for last in found:
            sys.stderr.write(f"\r{last.done} of {last.total} texts")
            sys.stderr.flush()
    except KeyboardInterrupt:
        pass
    sys.stderr.write("\n")
    return last


def _write(evaluation: Evaluation, output: Path | None, kind: str) -> None:
    from attribution.export.drawing.evaluation import render

    content = render(evaluation, kind)
    if output is not None:
        output.write_bytes(content)
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _track(evaluation: Evaluation, asked: argparse.Namespace, tracker: Mapping[str, Any]) -> None:
    """Log it as one run; what the tracker did not take is told on standard error."""
    from attribution import trackers

    name = "" if asked.texts == "-" else Path(asked.texts).stem
    with trackers.track(asked.track, name, **tracker) as session:
        trackers.log_evaluation(session, evaluation)
    sys.stderr.write(f"{session.standing.sentence}\n")


def _listed() -> Iterator[str]:
    from attribution.metrics import list_metrics

    for metric in list_metrics().values():
        yield f"{metric.name}: {metric.summary}"
        yield f"    {metric.kind}; {metric.better} is better; cost: {metric.cost}"
        for option in metric.options:
            allowed = "|".join(option.choices) if option.choices else option.kind
            yield f"    --option {metric.name}.{option.name}={option.default} ({allowed}) {option.help}".rstrip()
