"""Explain every row of a table, and keep the answers in a folder; stop and resume at any time.

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

from attribution.commands.common.arguments import by_owner, options, position
from attribution.commands.track import add_track, settings
from attribution.errors import BadOption, BatchError
from attribution.export.drawing import terminal
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.tables.table import Kind, open_table

if TYPE_CHECKING:
    from attribution.batch.processes import Group
    from attribution.batch.result import Progress, Result
    from attribution.batch.run import Run
    from attribution.types import Option

SHOWN = 3
"""Results that are shown as soon as they are there."""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments: a table, what ``attribute`` takes for all of its rows, and a folder."""
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
        help="where the run is kept, and its files are written",
    )
    add("--resume", action="store_true", help="go on with the run in that folder; the table may be left out")
    add(
        "--model",
        nargs="+",
        default=[DEFAULT_MODEL],
        help="one or several names or folders (default: %(default)s)",
    )
    add("--method", nargs="+", default=[DEFAULT_METHOD], help="one or several (default: %(default)s)")
    for column in ("text", "second", "label", "rationale"):
        add(
            f"--{column}",
            metavar="COLUMN",
            help=f"the column of the {column}; guessed by its name if --text is not given",
        )
    add("--kind", choices=get_args(Kind), help="what the file is, if its ending does not say it")
    add(
        "--encoding", help="of the file, such as latin-1 (default: what its byte order mark says, else utf-8)"
    )
    add("--delimiter", help="of CSV (default: comma, semicolon or tab, by the header)")
    add(
        "--quoted",
        action=argparse.BooleanOptionalAction,
        help="whether cells may stand in quotes (default: in CSV only)",
    )
    add("--target", action="append", help="a label's name or index for all rows; may be given several times")
    add("--contrast", help="why the target rather than this; runner-up is the next best")
    add("--position", help="which token of the text or of the answer: 3, or 0,2,5, or sequence")
    add("--quantity", help="logit, log_probability or probability")
    add("--max-new-tokens", type=int, help="for models that write")
    add("--task", help="for a family name such as bert-base-uncased, e.g. sentiment")
    add("--revision", help="the model's branch, tag or commit on the Hub")
    add(
        "--live",
        default="",
        metavar="URL",
        help="a running app, where links of the report and of wrong.csv open rows",
    )
    add("--option", action="append", default=[], metavar="[METHOD.]NAME=VALUE", help="an option of a method")
    add_track(parser)


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Compute what is missing and write the files. Exit code 0: every row has an answer or an error of its own; 1: some are missing."""
    from attribution.batch.debugging import checked
    from attribution.batch.processes import Group
    from attribution.batch.run import Run

    checked(asked.live)
    group = Group.of(environment)
    with group.first_before_others():
        found = _begun(asked) if group.first else Run.open(asked.out)
    with found, _tracked(asked, found, group) as session:
        try:
            _compute(found, group, session)
        except KeyboardInterrupt:
            kept = found.progress()
            sys.stderr.write(
                f"{kept.done + kept.failed:,} of {kept.total:,} are kept; go on with --resume.\n"
            )
            raise
        group.leave()
        if not group.first:
            return 0
        group.others_ended(found)
        return _written(found, session, asked.live)


def _begun(asked: argparse.Namespace) -> Run:
    """The run in the folder, made if need be."""
    from attribution.batch.plan import folder_or_name, plan
    from attribution.batch.run import Run

    if (asked.out / "plan.json").exists() and not asked.resume:
        raise BatchError(
            f"There is a run in {asked.out} already.", "Go on with it by --resume, or name another folder."
        )
    if asked.table is None:
        if not asked.resume:
            raise BadOption("There is no table.", "Name a file, or resume a run with --resume.")
        return Run.open(asked.out)
    table = open_table(
        asked.table, kind=asked.kind, encoding=asked.encoding, delimiter=asked.delimiter, quoted=asked.quoted
    )
    columns = table.picked(asked.text, asked.second, asked.label, asked.rationale)
    wanted = {
        name: getattr(asked, name) for name in ("contrast", "quantity", "max_new_tokens", "task", "revision")
    }
    wanted["target"] = asked.target[0] if asked.target and len(asked.target) == 1 else asked.target
    wanted["position"] = position(asked.position)
    models = [folder_or_name(model) for model in asked.model]
    made = plan(table.name, columns, models, asked.method, _options(asked.method, asked.option), wanted)
    return Run.create(asked.out, table, made)


def _options(methods: Sequence[str], written: Sequence[str]) -> dict[str, dict[str, Option]]:
    """Options by method, in the types that the methods' signatures state."""
    from attribution.methods import find

    return {
        method: options(method, find(method).options, items)
        for method, items in by_owner(written, methods).items()
    }


@contextmanager
def _tracked(asked: argparse.Namespace, found: Run, group: Group) -> Iterator[Any]:
    """The tracker's session, None where nothing is tracked. The same run goes on with the same one."""
    if not asked.track or not group.first:
        yield None
        return
    from attribution.trackers import log_plan, track

    session = track(
        asked.track,
        asked.out.name,
        key=str(asked.out.resolve()),
        folder=asked.out / "track",
        **settings(asked),
    )
    try:
        with session:
            log_plan(session, found.plan)
            yield session
    finally:
        sys.stderr.write(f"{session.standing.sentence}\n")


def _compute(found: Run, group: Group, session: Any) -> None:
    """Go through the steps, with a progress bar in the first process. Ctrl-C is passed on; what was kept stays."""
    from tqdm import tqdm

    from attribution.engine import default_engine

    steps = found.steps(default_engine(), part=(group.number, group.count))
    first = next(steps)
    group.meet()  # every process holds its part now: whoever waits for one that has ended does not miss one that has not begun
    is_terminal = sys.stderr.isatty()
    bar = tqdm(
        total=first.total,
        initial=first.done + first.failed,
        unit="attributions",
        file=sys.stderr,
        disable=not group.first,
        mininterval=0.5 if is_terminal else 10.0,
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
        said = result.error["message"] if result.error else ""
    else:
        top = "  ".join(f"{token.text} {score:+.2g}" for token, score in result.attribution.words().top(5))
        said = f"{result.predicted or ''}: {top}"
    return terminal.harmless(f"row {result.place + 1}, {result.method}: {said}")


def _written(found: Run, session: Any, live: str) -> int:
    """Write the files and say what there is; the exit code."""
    from attribution.batch.files import archive

    path = archive(found, live)
    progress = found.progress()
    if session is not None:
        from attribution.trackers import log_run

        log_run(session, found)
    missing = progress.total - progress.done - progress.failed
    failed = f", {progress.failed:,} failed (see summary.csv)" if progress.failed else ""
    sys.stdout.write(f"{progress.done:,} of {progress.total:,} attributions{failed}: {path}\n")
    if missing:
        sys.stderr.write(f"error: {missing:,} are missing; go on with --resume.\n")
    return 1 if missing else 0
