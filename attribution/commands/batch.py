"""Explain every row of a table, and store the results in a folder; stop and resume at any time.

python -m attribution batch reviews.csv --method integrated_gradients lime --out runs/reviews
python -m attribution batch --out runs/reviews --resume
accelerate launch --num_processes 2 -m attribution batch reviews.csv --out runs/reviews
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from attribution import request
from attribution.commands.common import process
from attribution.commands.common.arguments import group_by_owner, parse_options
from attribution.commands.track import add_tracker_arguments, read_settings
from attribution.errors import BadOption, BatchError
from attribution.export.drawing import terminal
from attribution.tables import Kind, open_table

if TYPE_CHECKING:
    from attribution.batch.processes import Group
    from attribution.batch.result import Progress, Result
    from attribution.batch.run import Run
    from attribution.types import Option

_COLUMNS = ("text", "second")
"""Fields that differ from row to row: here they name columns of the table."""
SHOWN = 3
"""Results that are shown as soon as they are ready."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: a table, the fields of a request for all rows, and a folder."""
    add = parser.add_argument
    add(
        "table",
        nargs="?",
        help=f"a file ({', '.join(get_args(Kind))}) or hf://datasets/OWNER/NAME[@REVISION][/SPLIT]",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where the run and its files are stored",
    )
    add("--resume", action="store_true", help="continue the run in that folder; the table may be left out")
    for column in ("text", "second", "label", "rationale"):
        add(
            f"--{column}",
            metavar="COLUMN",
            help=f"the column of the {column}; guessed by its name if --text is not given",
        )
    add("--kind", choices=get_args(Kind), help="the kind of file, if its ending does not tell")
    add("--encoding", help="of the file, such as latin-1 (default: by its byte order mark, else utf-8)")
    add("--delimiter", help="of CSV (default: comma, semicolon or tab, by the header)")
    add(
        "--quoted",
        action=argparse.BooleanOptionalAction,
        help="whether cells may stand in quotes (default: in CSV only)",
    )
    request.add_arguments(parser, without=_COLUMNS, several=["model", "method"])
    add(
        "--live",
        default="",
        metavar="URL",
        help="a running app, where links of the report and of wrong.csv open rows",
    )
    add_tracker_arguments(parser)


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Compute what is missing and write the files.

    Exit code 0: every row has a result or an error; 1: some are missing.
    """
    from attribution.batch.debugging import check_address
    from attribution.batch.processes import Group
    from attribution.batch.run import Run

    check_address(arguments.live)
    group = Group.of(environment)
    with group.first_before_others():
        run = _open_run(arguments) if group.first else Run.open(arguments.out)
    with run, _track(arguments, run, group) as session:
        try:
            _compute(run, group, session)
        except KeyboardInterrupt:
            progress = run.progress()
            finished = f"{progress.done + progress.failed:,} of {progress.total:,}"
            sys.stderr.write(f"{finished} are stored; continue with --resume.\n")
            raise
        group.leave()
        if not group.first:
            return 0
        group.wait_for_others(run)
        return _write_files(run, session, arguments.live)


def _open_run(arguments: argparse.Namespace) -> Run:
    """The run in the folder, created if there is none."""
    from attribution.batch.plan import make_plan, name_in_plan
    from attribution.batch.run import Run

    if (arguments.out / "plan.json").exists() and not arguments.resume:
        raise BatchError(
            f"There is a run in {arguments.out} already.",
            "Continue it with --resume, or name another folder.",
        )
    if arguments.table is None:
        if not arguments.resume:
            raise BadOption("There is no table.", "Name a file, or resume a run with --resume.")
        return Run.open(arguments.out)
    table = open_table(
        arguments.table,
        kind=arguments.kind,
        encoding=arguments.encoding,
        delimiter=arguments.delimiter,
        quoted=arguments.quoted,
    )
    columns = table.pick_columns(arguments.text, arguments.second, arguments.label, arguments.rationale)
    values = request.from_arguments(
        arguments,
        without=_COLUMNS,
        read_options=lambda items: _parse_method_options(arguments.method, items),
    )
    models = [name_in_plan(model) for model in values.pop("model")]
    plan = make_plan(table.name, columns, models, values.pop("method"), **values)
    return Run.create(arguments.out, table, plan)


def _parse_method_options(methods: Sequence[str], items: Sequence[str]) -> dict[str, dict[str, Option]]:
    """Options by method, in the types of the methods' signatures."""
    from attribution.methods import find

    return {
        method: parse_options(method, find(method).options, own)
        for method, own in group_by_owner(items, methods).items()
    }


@contextmanager
def _track(arguments: argparse.Namespace, run: Run, group: Group) -> Iterator[Any]:
    """The tracker's session, None where nothing is tracked. A resumed run continues the same session."""
    if not arguments.track or not group.first:
        yield None
        return
    from attribution.trackers import log_plan, track

    session = track(
        arguments.track,
        arguments.out.name,
        key=str(arguments.out.resolve()),
        folder=arguments.out / "track",
        **read_settings(arguments),
    )
    try:
        with session:
            log_plan(session, run.plan)
            yield session
    finally:
        sys.stderr.write(f"{session.status.sentence}\n")


def _compute(run: Run, group: Group, session: Any) -> None:
    """Compute the run, with a progress bar in the first process.

    Ctrl-C is passed on; stored results stay.
    """
    from tqdm import tqdm

    from attribution.engine import default_engine

    process.resume_collection()
    steps = run.steps(default_engine(), part=(group.number, group.count))
    first = next(steps)
    # From here on each process holds the lock of its part, for which the first one waits at the end.
    group.meet()
    bar = tqdm(
        total=first.total,
        initial=first.done + first.failed,
        unit="attributions",
        file=sys.stderr,
        disable=not group.first or not sys.stderr.isatty(),
        mininterval=0.5,
        dynamic_ncols=True,
    )
    shown = 0
    with bar:
        for progress in steps:
            for result in progress.newest[: SHOWN - shown] if group.first else ():
                shown += 1
                bar.write(_line(result), file=sys.stderr)
            _move(bar, progress)
            if session is not None:
                from attribution.trackers import log_progress

                log_progress(session, progress)


def _move(bar: Any, progress: Progress) -> None:
    if progress.failed:
        bar.set_postfix(failed=progress.failed, refresh=False)
    bar.update(progress.done + progress.failed - bar.n)


def _line(result: Result) -> str:
    """A result in one line, for a terminal."""
    if result.attribution is None:
        answer = result.error["message"] if result.error else ""
    else:
        top = "  ".join(f"{token.text} {score:+.2g}" for token, score in result.attribution.words().top(5))
        answer = f"{result.predicted or ''}: {top}"
    return terminal.neutralise(f"row {result.place + 1}, {result.method}: {answer}")


def _write_files(run: Run, session: Any, live: str) -> int:
    """Write the files, print a summary and return the exit code."""
    from attribution.batch.files import archive

    path = archive(run, live)
    progress = run.progress()
    if session is not None:
        from attribution.trackers import log_run

        log_run(session, run)
    missing = progress.total - progress.done - progress.failed
    failed = f", {progress.failed:,} failed (see summary.csv)" if progress.failed else ""
    sys.stdout.write(f"{progress.done:,} of {progress.total:,} attributions{failed}: {path}\n")
    if missing:
        sys.stderr.write(f"error: {missing:,} are missing; continue with --resume.\n")
    return 1 if missing else 0
