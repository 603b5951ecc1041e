"""Every text architecture of the installed transformers, tried: ``python -m benchmarks.architectures``.

A tiny random model of each class and task is built, and its numbers are held against the model called by hand
(``tests.sweep``), in a process of its own with a time limit. The results are kept in docs/architectures.json
and, from it, docs/architectures.md; with names of classes or kinds only these are tried again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe
from docs.markdown import escape, table
from tests.architectures import Architecture, architectures
from tests.sweep import PARTS, Verdict, examine

COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.architectures"
DOCS = Path(__file__).resolve().parents[1] / "docs"
JSON, PAGE = DOCS / "architectures.json", DOCS / "architectures.md"
SECONDS = 90
"""Time limit for one architecture."""
MARKS = {"right": "✓", "refused": "✗", "wrong": "**wrong**", "error": "**error**", "unbuilt": "–"}
HEADINGS = {"gradients": "saliency", "hiding": "occlusion", "attention": "attention weights"}


def try_all(
    chosen: Sequence[Architecture], seconds: float = SECONDS
) -> Iterator[tuple[Architecture, list[Verdict]]]:
    """Try the architectures one after another in a child process, which is replaced when it hangs or dies."""
    context = multiprocessing.get_context("spawn")
    child: Any = None
    for architecture in chosen:
        if child is None:
            ours, theirs = context.Pipe()
            child = context.Process(target=_work, args=(theirs,), daemon=True)
            child.start()
            theirs.close()
        ours.send(architecture)
        try:
            if not ours.poll(seconds):
                raise EOFError(f"It takes longer than {seconds:g} seconds.")
            verdicts = ours.recv()
        except EOFError as error:
            child.kill()
            child.join()
            child = None
            reason = str(error) or "Its process ended."
            verdicts = [Verdict(part, "error", reason) for part in PARTS]
        yield architecture, verdicts


def _work(requests: Connection) -> None:
    torch.set_num_threads(1)
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - warnings of hundreds of architectures
        os.dup2(nothing.fileno(), sys.stderr.fileno())
    while True:
        requests.send(examine(requests.recv()))


def markdown(report: Mapping[str, Any]) -> str:
    """The page: a line for each class, and the reasons of what does not work."""
    entries = report["architectures"]
    states = Counter(verdict["state"] for entry in entries for verdict in entry["verdicts"].values())
    reasons: dict[str, int] = {}
    rows = []
    for entry in sorted(entries, key=lambda entry: (entry["task"], entry["name"].lower())):
        marks = [_mark(entry["verdicts"][part], entry["name"], reasons) for part in PARTS]
        rows.append([entry["task"].replace("_", " "), f"`{entry['name']}`", *marks])
    listed = [f"{number}. {escape(reason)}" for reason, number in reasons.items()]
    about = (
        f"{len(entries)} classes of transformers, each with one of the tasks; measured on {report['date']} "
        f"({report['machine']}). Each is a tiny model with random weights, built by its own configuration "
        "class, and tried in a process of its own.",
        "",
        f"- ✓ ({states['right']} of {states.total()}): the numbers are those of the model called by hand. "
        "Saliency: f is the model's own logit, and the scores are the norms of its gradient at the output "
        "of its own embedding layer, taken by a hook. Occlusion: the difference of two plain calls, with "
        "the mask token in place of a token. Attention weights: finite and not all 0.",
        f"- ✗ ({states['refused']}): refused with an error that says why; the number is that of the "
        "[reason](#why-not).",
        f"- – ({states['unbuilt']}): not tried, since the model itself cannot be built so small or called "
        "with a text alone.",
        f"- Wrong numbers: {states['wrong']}. Other errors: {states['error']}.",
    )
    head = [
        f"<!-- Written by `{COMMAND}` from architectures.json: do not edit. -->",
        "# Every text architecture",
    ]
    body = table(["task", "class", *HEADINGS.values()], rows)
    return "\n".join([*head, "", *about, "", body, "", "## Why not", "", *listed, ""])


def _mark(verdict: Mapping[str, str], name: str, reasons: dict[str, int]) -> str:
    if verdict["state"] == "right":
        return MARKS["right"]
    reason = verdict["reason"].replace(name, "The model", 1)
    return f"{MARKS[verdict['state']]} {reasons.setdefault(reason, len(reasons) + 1)}"


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 where a number is wrong or an error is not typed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.architectures", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="only these classes or kinds, such as BertForMaskedLM or bert"
    )
    parser.add_argument("--page", action="store_true", help="write the page anew from its figures")
    options = parser.parse_args(arguments)
    before = json.loads(JSON.read_text(encoding="utf-8")) if JSON.exists() else {"architectures": []}
    if options.page:
        PAGE.write_text(markdown(before), encoding="utf-8")
        return 0
    names = set(options.names)
    chosen = [a for a in architectures() if not names or {a.kind, a.name} & names]
    entries = {(e["task"], e["name"]): e for e in before["architectures"]} if names else {}
    for architecture, verdicts in try_all(chosen):
        entries[architecture.task, architecture.name] = {
            "task": architecture.task,
            "name": architecture.name,
            "verdicts": {v.part: {"state": v.state, "reason": v.reason} for v in verdicts},
        }
        report = {"date": str(date.today()), "machine": describe(), "architectures": list(entries.values())}
        JSON.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(markdown(report), encoding="utf-8")
    states = {v["state"] for entry in entries.values() for v in entry["verdicts"].values()}
    return int(bool(states & {"wrong", "error"}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
