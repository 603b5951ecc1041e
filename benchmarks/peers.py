"""Our methods against captum, lime, shap, transformers-interpret and inseq, in one process, in turn.

    python -m benchmarks.peers [--rows NAME ...] [--models NAME ...] [--threads 1 2] [--tokens 22 128]
    [--rounds N] [--quick] [--json FILE] [--markdown] [--list]

Each line is a case: the median time of ours and of theirs, the ratio theirs / ours round by round (smallest,
median, largest; above 1 we are faster), and how far the values agree: the largest difference / the largest
score where both compute the same, else Spearman's rank correlation and a sentence that says what differs.
Each round has another text of the same length. Ours begins with the text and includes tokens and prediction;
a peer that takes embeddings gets them ready."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import rows_generation, rows_gradients, rows_perturbations, rows_whole
from benchmarks.machine import describe
from benchmarks.measure import aligned, markdown, threads, written
from benchmarks.rows import QUICK, Case, Effort, Result, Row
from benchmarks.subjects import NAMES, subject

INSTALL = "pip install -r requirements.txt -r requirements-peers.txt"
HEAD = (
    "comparison",
    "model",
    "tokens",
    "threads",
    "ours",
    "theirs",
    "theirs / ours: min median max",
    "rounds",
    "agreement",
    "remarks",
)


def every_row() -> list[Row]:
    return [*rows_gradients.rows(), *rows_perturbations.rows(), *rows_generation.rows(), *rows_whole.rows()]


def cases(
    rows: Sequence[Row],
    models: Sequence[str],
    lengths: Sequence[int],
    counts: Sequence[int] | None,
    effort: Effort,
) -> Iterator[tuple[Row, Case]]:
    """Every case that was asked for, model by model so that few are in memory."""
    for name in NAMES:
        for row in rows:
            if name not in models or name not in row.models:
                continue
            for tokens in row.tokens:
                if len(row.tokens) > 1 and tokens not in lengths:
                    continue
                for count in counts or row.threads:
                    yield row, Case(subject(name, effort.small), tokens, count, effort)


def measured(chosen: Sequence[tuple[Row, Case]]) -> Iterator[Result]:
    """The results, with progress on standard error."""
    started = time.monotonic()
    for number, (row, case) in enumerate(chosen, start=1):
        where = f"{row.name}, {case.subject.name}, {case.tokens} tokens, {case.threads} threads"
        print(
            f"[{number}/{len(chosen)}, {time.monotonic() - started:.0f} s] {where}",
            file=sys.stderr,
            flush=True,
        )
        with threads(case.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the peers warn of what newer versions of others will do
            try:
                result = row.run(case)
            except (
                Exception
            ) as error:  # a peer that breaks is a finding, and no reason to lose the other rows
                result = row.result(case, error=f"does not run: {type(error).__name__}: {str(error)[:200]}")
        print("    " + "  ".join(cell for cell in line(result)[4:] if cell), file=sys.stderr, flush=True)
        yield result


def line(result: Result) -> list[str]:
    """The cells of one result, as in ``HEAD``."""
    ours, theirs = (
        None if value is None else written(value, result.unit) for value in (result.ours, result.theirs)
    )
    agreement = ""
    if result.agreement is not None:
        agreement = f"differ by {result.agreement:.1e}" if result.same else f"ρ = {result.agreement:.2f}"
    facts = [f"{name}: {between(*bounds)}" for name, bounds in result.facts.items()]
    return [
        f"{result.title}" + (f" ({result.peer})" if result.peer else ""),
        result.model,
        str(result.tokens or ""),
        str(result.threads),
        ours or "",
        theirs or "-",
        "" if result.ratio is None else " ".join(f"{value:.2f}" for value in result.ratio),
        str(result.rounds),
        agreement,
        "; ".join(part for part in (result.error, *facts, result.note) if part),
    ]


def between(low: float, high: float) -> str:
    """A fact over the rounds, to two figures, or whole from 100 on."""
    ends = [f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}" for value in (low, high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def parsed() -> argparse.Namespace:
    effort = Effort()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="these rows only; see --list")
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument(
        "--threads",
        nargs="+",
        type=int,
        default=[1, 2],
        help="for the rows that are measured with several (1 2)",
    )
    parser.add_argument(
        "--tokens",
        nargs="+",
        type=int,
        default=[22, 128],
        help="for the rows that are measured at several (22 128)",
    )
    parser.add_argument("--rounds", type=int, help=f"at most, beside one to warm up ({effort.rounds})")
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"after which a case is cut short, but for one round ({effort.seconds:g})",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny models, one round: to see that the command works"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--list", action="store_true", help="the names of the rows, and nothing else")
    return parser.parse_args()


def chosen_rows(names: Sequence[str] | None) -> list[Row]:
    """The rows of these names, whose peer is there.

    Says what is left out; ends the program for an unknown name.
    """
    by_name = {row.name: row for row in every_row()}
    if unknown := sorted(set(names or []) - set(by_name)):
        sys.exit(f"There are no rows {', '.join(unknown)}. There are: {', '.join(by_name)}.")
    chosen = [row for name, row in by_name.items() if names is None or name in names]
    for peer in dict.fromkeys(row.missing() for row in chosen):
        if peer:
            left = ", ".join(row.name for row in chosen if row.missing() == peer)
            print(f"Left out, since {peer} is not installed: {left}. To have it: {INSTALL}\n")
    return [row for row in chosen if not row.missing()]


def effort_of(options: argparse.Namespace) -> Effort:
    from dataclasses import replace

    limits = {
        name: getattr(options, name) for name in ("rounds", "seconds") if getattr(options, name) is not None
    }
    return replace(QUICK if options.quick else Effort(), **limits)


def main() -> None:
    options = parsed()
    if options.list:
        print("\n".join(f"{row.name:24} {row.title}" for row in every_row()))
        return
    effort = effort_of(options)
    rows = chosen_rows(options.rows)
    machine = describe(*dict.fromkeys(row.peer for row in rows if row.peer))
    print(machine)
    chosen = list(cases(rows, options.models, options.tokens, options.threads, effort))
    for name in dict.fromkeys(case.subject.name for _, case in chosen):
        print(f"{name}: {subject(name, effort.small).origin}")
    print()
    results = list(measured(chosen))
    table = markdown if options.markdown else aligned
    print(table(HEAD, [line(result) for result in results]))
    if options.json:
        record = {"machine": machine, "results": [result.to_dict() for result in results]}
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    if any(result.error for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
