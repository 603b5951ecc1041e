"""How far each method agrees with words that people marked: ``python -m benchmarks.human_agreement DATA``.

DATA is a folder with ``sst/``, ``yelp-hat/`` and ``toxic-spans/`` as their authors publish them. Writes docs/human-agreement.json and, from it,
docs/human-agreement.md; the figures of data sets that are not measured anew stay.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from attribution import Evaluation, evaluate
from attribution.settings import DEFAULT_MODEL
from attribution.types import Option
from benchmarks.machine import describe
from benchmarks.marked import READERS, Marked
from docs.markdown import table

COMMAND = "python -m benchmarks.human_agreement DATA"
DOCS = Path(__file__).resolve().parent.parent / "docs"
JSON, PAGE = DOCS / "human-agreement.json", DOCS / "human-agreement.md"
METRICS = ("somers_d", "kendall_tau", "auprc", "person_agreement")
FAST = (
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "attention",
    "attention_rollout",
    "attention_x_gradient",
    "occlusion",
    "leave_one_in",
)
SLOW = (
    "alti", "attention_flow", "deeplift", "gradient_shap", "kernel_shap", "lime", "lrp", "partition_shap", "sequential_integrated_gradients",
    "shapley", "smoothgrad", "value_zeroing",
)  # fmt: skip
AIMS = {"saliency": 0.72, "integrated_gradients": 0.78, "attention": 0.65}
"""What this project's first description claimed for Kendall's τ, taken as an aim for Somers' D."""
CHOSEN: dict[str, dict[str, Option]] = {
    "saliency": {"norm": "relative", "contexts": 40, "share": 0.75, "fade": True},
    "integrated_gradients": {"contexts": 40, "share": 0.05, "absent": "delete"},
    "attention": {"layer": 4, "contexts": 32, "share": 0.15},
}
"""Settings chosen on some 250 sentences of SST's training part, by Somers' D."""
SKIPPED = 1000
"""Sentences of SST's training part, in the order of ``picked``, that are not measured: most of those that settings were chosen on."""


@dataclass(frozen=True)
class Line:
    """One method with its options on one data set: each metric's mean, 95 % interval, texts and ceiling."""

    method: str
    options: Mapping[str, Option]
    figures: Mapping[str, Mapping[str, Any]]


@dataclass
class Report:
    """What is measured so far, as plain JSON."""

    machine: str
    model: str
    seed: int
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, key: str, data: Marked, lines: Sequence[Line]) -> None:
        """More lines of one data set."""
        kept = self.sets.setdefault(
            key, {"name": data.name, "about": data.about, "texts": len(data.texts), "lost": data.lost, "lines": []}
        )
        kept["lines"] += [{"method": one.method, "options": dict(one.options), "figures": dict(one.figures)} for one in lines]

    def to_dict(self) -> dict[str, Any]:
        ordered = {name: self.sets[name] for name in READERS if name in self.sets}
        return {"machine": self.machine, "model": self.model, "seed": self.seed, "sets": ordered}


def picked(data: Marked, count: int, seed: int, skipped: int = 0) -> Marked:
    """So many texts of a data set, drawn at random and always in the same order, after the first ``skipped``."""
    order = list(range(len(data.texts)))
    random.Random(seed).shuffle(order)
    chosen = order[skipped : skipped + count]
    return replace(data, texts=tuple(data.texts[k] for k in chosen), rationales=tuple(data.rationales[k] for k in chosen))


def measured(
    data: Marked, methods: Sequence[str], options: Mapping[str, Mapping[str, Option]], seed: int, model: Any
) -> list[Line]:
    """Each method on the texts, the random control last."""
    found: Evaluation = evaluate(
        data.texts, model, methods, METRICS, rationales=data.rationales, options=options, seed=seed, target=data.target
    )
    if found.failures:
        print(f"{data.name}: {len(found.failures)} failed, the first: {found.failures[0]}", file=sys.stderr)
    return [Line(name, options.get(name, {}), {m: _figure(found, name, m) for m in METRICS}) for name in found.methods]


def _figure(found: Evaluation, method: str, metric: str) -> dict[str, Any]:
    one = found.figure(method, metric)
    return {name: _short(getattr(one, name)) for name in ("mean", "low", "high", "count", "ceiling")}


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def markdown(report: Mapping[str, Any]) -> str:
    """The page."""
    return "\n".join(
        [
            f"<!-- Written by `{COMMAND}` from human-agreement.json: do not edit. -->",
            "# Agreement with people",
            "",
            INTRODUCTION,
            f"Measured with `{COMMAND}`, seed {report['seed']}, on {report['machine']}, model `{report['model']}`.",
            "",
            *_aims(report),
            *(part for found in report["sets"].values() for part in _set(found)),
            CLOSING,
        ]
    )


INTRODUCTION = """\
Do the words with high scores have the marks of people? Each figure is a mean over texts, with a 95 % bootstrap interval over them. One English
sentiment model with six layers was measured; nothing here says what another model, language or task would give.

- **Somers' D** (`somers_d`): of the pairs of words that people ranked differently, the share in the same order less the share in the opposite
  one. 1 is full agreement, 0 chance.
- **τ-b** (`kendall_tau`): Kendall's τ-b over all pairs. People leave most words alike, so scores cannot reach 1; beside it stands the most that
  the same scores could reach in the best order.
- **AUPRC** (`auprc`): 1 where all marked words come first; scores at random get the share of marked words.

Words: a word's score is the sum over its tokens, special tokens belong to none, and a word's mark is the mean over its characters. Methods with
signs are compared with signed marks as they are, both towards the explained label; methods without signs with the size of signed marks. So
figures of the two kinds are not answers to one question.

People here rated words alone (SST) or marked what decided (Yelp-HAT, toxic spans). A method that agrees with people is plausible, which does
not make it faithful: `leave_one_in` asks the model about single words, as the people of SST were asked, and says least about the sentence.
"""
CLOSING = """\
## What was chosen, and on what

Options beside a method's name are not its defaults; the defaults stay as the papers have them. These options were chosen by Somers' D on some
300 sentences of SST's training part, in samples of 22 to 150, so that differences of less than 0.05 between settings mean little. The model
was trained on phrases of that part, single words among them, with labels of the same people: figures on it are too high, and a sentence or
two of those measured here may be among those that served for choosing.

Two settings of each were measured on SST's development part, with fewer copies and with more. On 21 training sentences they stood at 0.64 and
0.68 (`saliency`), 0.81 and 0.82 (`integrated_gradients`), 0.70 and 0.68 (`attention`), which tells them apart for none; those with more
copies were taken, since more copies are a mean with less noise. On 33 development sentences the ones with fewer copies had 0.65, 0.75 and 0.63.

What helped: looking at words in copies of the text that lack other words (`contexts`), since people rated words without their sentence, the
more so where the others are deleted (`absent`); for gradients also fading the copies (`fade`) and counting change relative to the embedding
(`norm="relative"`). These averages are ours, made of published parts: gradients, SmoothGrad's mean, integrated gradients, attention weights.

What did not: the largest score of a word's tokens instead of their sum, the L1 norm, gradients at later layers, the probability instead of the
logit, the mean over all layers' attention. Norms of the attended vectors in place of attention weights helped less than copies did.
Attention needs its layer chosen, the last but one here, which says nothing about another model.
"""


def _aims(report: Mapping[str, Any]) -> list[str]:
    """The table of the aims on SST's development part."""
    found = report["sets"].get("sst-dev")
    if found is None:
        return []
    rows = []
    for line in found["lines"]:
        if line["options"] and line["options"] == CHOSEN.get(line["method"]):
            aim, figure = AIMS[line["method"]], line["figures"]["somers_d"]
            rows.append([_called(line), f"{aim:.2f}", _said(figure), _against(aim, figure)])
    if not rows:
        return []
    first = max(found["lines"], key=lambda line: line["figures"]["somers_d"]["mean"])
    return [
        "## The aims",
        "",
        "The first description of this project claimed Kendall's τ of 0.72, 0.78 and 0.65 with people for the gradient, integrated gradients "
        f"and attention, without saying how it was measured. Taken as aims for Somers' D on {found['name']} ({found['texts']} sentences):",
        "",
        table(["method", "aim", "Somers' D", ""], rows),
        f"The first of all is {_called(first)} with {_said(first['figures']['somers_d'])}.",
        "",
    ]


def _against(aim: float, figure: Mapping[str, Any]) -> str:
    """Whether an aim is reached, in words."""
    if figure["mean"] < aim:
        return f"missed by {aim - figure['mean']:.3f}"
    return "reached" if figure["low"] >= aim else "reached by the mean; the interval begins below"


def _set(found: Mapping[str, Any]) -> list[str]:
    lines = sorted(found["lines"], key=lambda line: -(line["figures"]["somers_d"]["mean"] or -1))
    rows = [
        [
            _called(line),
            *(_said(line["figures"][m]) for m in ("somers_d", "kendall_tau")),
            _ceiling(line),
            _said(line["figures"]["auprc"]),
        ]
        for line in lines
    ]
    person = found["lines"][0]["figures"]["person_agreement"]
    people = [f"One person with the mean of the others: Somers' D {_said(person)}.", ""] if person["count"] else []
    lost = f" {found['lost']} people's marks fit no text and are left out." if found["lost"] else ""
    return [
        f"## {found['name']}",
        "",
        f"{found['texts']} texts. {found['about']}{lost}",
        "",
        *people,
        table(["method", "Somers' D", "τ-b", "at most", "AUPRC"], rows),
    ]


def _called(line: Mapping[str, Any]) -> str:
    options = ", ".join(f"{name}={json.dumps(value)}" for name, value in line["options"].items())
    return f"`{line['method']}`" + (f" `{options}`" if options else "")


def _said(figure: Mapping[str, Any]) -> str:
    if figure["mean"] is None:
        return "undefined"
    between = "" if figure["low"] is None else f" ({figure['low']:.2f} to {figure['high']:.2f})"
    return f"{figure['mean']:.2f}{between}"


def _ceiling(line: Mapping[str, Any]) -> str:
    value = line["figures"]["kendall_tau"]["ceiling"]
    return "" if value is None else f"{value:.2f}"


def write(report: Mapping[str, Any]) -> None:
    JSON.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(markdown(report), encoding="utf-8")


def _known(seed: int) -> dict[str, Any]:
    """The data sets that were measured before, with the same seed."""
    before = json.loads(JSON.read_text(encoding="utf-8")) if JSON.exists() else {}
    return before["sets"] if before.get("seed") == seed else {}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.human_agreement", description=__doc__)
    parser.add_argument(
        "data", type=Path, nargs="?", help="the folder with the data sets; without it the page is written anew from its figures"
    )
    parser.add_argument("--texts", type=int, default=100, help="texts of each data set (100)")
    parser.add_argument(
        "--sets", nargs="+", choices=READERS, default=list(READERS), help="only these; the figures of others stay"
    )
    parser.add_argument("--slow", action="store_true", help="all methods, also those that take long for a text")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if given.data is None:
        write(json.loads(JSON.read_text(encoding="utf-8")))
        return 0
    report = Report(describe(), DEFAULT_MODEL, given.seed, _known(given.seed))
    for name in given.sets:
        report.sets.pop(name, None)
        data = picked(READERS[name](given.data), given.texts, given.seed, SKIPPED if name == "sst-train" else 0)
        report.add(name, data, measured(data, FAST + (SLOW if given.slow else ()), {}, given.seed, DEFAULT_MODEL))
        report.add(name, data, measured(data, tuple(CHOSEN), CHOSEN, given.seed, DEFAULT_MODEL)[:-1])
        write(report.to_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
