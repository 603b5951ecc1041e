"""Measure which method explains a model best, over the texts of a table or of a file with one text a line.

python -m attribution evaluate reviews.csv --method integrated_gradients lime --metric deletion insertion
python -m attribution evaluate reviews.txt --limit 50 --output quality.html --track mlflow
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from attribution import formats, request
from attribution.commands.common import process, streams
from attribution.commands.common.arguments import group_by_owner, parse_options
from attribution.commands.track import add_tracker_arguments, read_settings
from attribution.errors import BadOption, EmptyInput, nearest, quote
from attribution.request.progress import Bar
from attribution.settings import DEFAULT_MODEL
from attribution.studies.evaluation import METHODS, METRICS
from attribution.tables import Kind, open_table

if TYPE_CHECKING:
    from attribution.rationales import Rationale
    from attribution.studies.evaluation import Evaluation
    from attribution.tables import Sample
    from attribution.types import Option

_COLUMNS = ("text", "second")
"""Fields that differ from text to text: here they name columns of the table."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: texts, a model, methods, metrics, and where the answer goes."""
    add = parser.add_argument
    add(
        "texts",
        nargs="?",
        help=f"a table ({', '.join(get_args(Kind))}), a .txt file with one text a line, or - for such lines",
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
        help="one or several; random scores are always measured as a control",
    )
    add("--metric", nargs="+", default=list(METRICS), help="one or several; see --list-metrics")
    for column in ("text", "second", "rationale"):
        add(
            f"--{column}",
            metavar="COLUMN",
            help=f"the column of the {column}; guessed by its name if --text is not given",
        )
    add("--limit", type=int, metavar="COUNT", help="only the first COUNT texts")
    request.add_arguments(parser, without=[*_COLUMNS, "model", "method"])
    add("--seed", type=int, default=0, help="of all random choices (default: %(default)s)")
    add("--bootstrap", type=int, default=1000, help="resamples of each interval (default: %(default)s)")
    add("--format", help=f"{', '.join(formats.list_formats('evaluation'))} (default: md)")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write there; the ending sets the format unless --format does",
    )
    add("--list-metrics", action="store_true", help="every metric with its options")
    add_tracker_arguments(parser)


def run(arguments: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """Measure and write, with the progress on standard error. On Ctrl-C the finished texts are written."""
    if arguments.list_metrics:
        streams.write("\n".join(_describe_metrics()) + "\n")
        return 0
    file_format = _choose_format(arguments)
    tracker = read_settings(arguments) if arguments.track else None
    samples, rationales = _read_texts(arguments)
    from attribution.engine import default_engine
    from attribution.studies.evaluating import evaluate_steps

    process.resume_collection()
    evaluations = evaluate_steps(
        default_engine(),
        [sample.text for sample in samples],
        arguments.model,
        arguments.method,
        arguments.metric,
        rationales=rationales,
        seed=arguments.seed,
        bootstrap=arguments.bootstrap,
        second=[sample.second for sample in samples],
        **request.from_arguments(
            arguments, without=[*_COLUMNS, "model", "method"], read_options=_parse_options_by_owner
        ),
    )
    last = _consume(evaluations)
    if last is None:
        return 130
    _write_evaluation(last, arguments.output, file_format)
    if tracker is not None:
        _track(last, arguments, tracker)
    return 0 if last.finished else 130


def _choose_format(arguments: argparse.Namespace) -> str:
    """The file format, checked before anything is computed. Raises ``BadFile``, ``BadOption``."""
    name = arguments.format or ("md" if arguments.output is None else arguments.output.suffix)
    entry = formats.find(name, "evaluation")
    if entry.is_binary and arguments.output is None and sys.stdout.isatty():
        raise BadOption(
            f"A {entry.extension.upper()} file cannot be shown in a terminal.",
            "Please name a file with --output.",
        )
    return entry.extension


def _read_texts(arguments: argparse.Namespace) -> tuple[list[Sample], list[Rationale | None] | None]:
    """The texts, and their rationales where a metric compares with them.

    Raises ``EmptyInput``, ``BadTable``, ``OSError``.
    """
    from attribution.metrics import find
    from attribution.tables import Sample

    with_rationales = any("rationale" in find(name).needs for name in arguments.metric)
    if arguments.texts is None:
        raise EmptyInput(
            "There are no texts.", "Name a table, a file with one text a line, or - for standard input."
        )
    if arguments.limit is not None and arguments.limit < 1:
        raise BadOption(f"--limit is {arguments.limit}.", "It must be a whole number from 1.")
    if arguments.texts == "-" or arguments.texts.lower().endswith(".txt"):
        content = (
            sys.stdin.read()
            if arguments.texts == "-"
            else Path(arguments.texts).read_text(encoding="utf-8-sig")
        )
        samples = list(
            islice((Sample(line) for line in content.splitlines() if line.strip()), arguments.limit)
        )
        rationales = None
    else:
        samples, rationales = _read_table(arguments, with_rationales)
    if not samples:
        raise EmptyInput("There are no texts.", "The file is empty.")
    return samples, rationales


def _read_table(
    arguments: argparse.Namespace, with_rationales: bool
) -> tuple[list[Sample], list[Rationale | None] | None]:
    """The texts of a table. Its first bad row is an error: a study must not lose texts in silence."""
    from attribution.rationales import read

    table = open_table(arguments.texts)
    columns = table.pick_columns(arguments.text, arguments.second, None, arguments.rationale)
    samples, rationales = [], []
    for row in islice(table, arguments.limit):
        sample = columns.read(row)
        samples.append(sample)
        if with_rationales and columns.rationale is not None:
            rationales.append(read(sample.text, sample.rationale, row=row.title, column=columns.rationale))
    return samples, rationales or None


def _parse_options_by_owner(items: Sequence[str]) -> dict[str, dict[str, Option]]:
    """Options by method or metric, in the types that the signatures state. Raises ``BadOption``."""
    from attribution.methods import list_methods
    from attribution.metrics import list_metrics

    owners = {**list_methods(), **list_metrics()}
    values: dict[str, dict[str, Option]] = {}
    for owner, own in group_by_owner(items, list(owners)).items():
        if owner not in owners:
            raise BadOption(f"There is no method or metric {quote(owner)}.", nearest(owner, owners))
        values[owner] = parse_options(owner, owners[owner].options, own)  # type: ignore[attr-defined]
    return values


def _consume(evaluations: Iterator[Evaluation]) -> Evaluation | None:
    """The last of the growing evaluations, or the one reached at Ctrl-C; None where there is none yet.

    Shows a bar in a terminal, and at the end the count of texts on standard error.
    """
    last = None
    with suppress(KeyboardInterrupt), Bar(None, "texts") as bar:
        for last in evaluations:
            bar.reach(last.done, last.total)
    if last is not None:
        sys.stderr.write(f"{last.done} of {last.total} texts\n")
    return last


def _write_evaluation(evaluation: Evaluation, output: Path | None, file_format: str) -> None:
    content = formats.render(evaluation, file_format)
    if output is None:
        streams.write_file(content)
    else:
        output.write_bytes(content)


def _track(evaluation: Evaluation, arguments: argparse.Namespace, tracker: Mapping[str, Any]) -> None:
    """Log the evaluation as one run; what the tracker did not accept is reported on standard error."""
    from attribution import trackers

    name = "" if arguments.texts == "-" else Path(arguments.texts).stem
    with trackers.track(arguments.track, name, **tracker) as session:
        trackers.log_evaluation(session, evaluation)
    sys.stderr.write(f"{session.status.sentence}\n")


def _describe_metrics() -> Iterator[str]:
    from attribution.metrics import list_metrics

    for metric in list_metrics().values():
        yield f"{metric.name}: {metric.summary}"
        yield f"    {metric.kind}; {metric.better} is better; cost: {metric.cost}"
        for option in metric.options:
            allowed = "|".join(option.choices) if option.choices else option.kind
            example = f"{metric.name}.{option.name}={option.default}"
            yield f"    --option {example} ({allowed}) {option.help}".rstrip()
