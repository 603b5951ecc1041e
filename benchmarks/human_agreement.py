"""How far each method agrees with words that people marked: ``python -m benchmarks.human_agreement DATA``.

DATA is a folder with ``sst/``, ``yelp-hat/`` and ``toxic-spans/`` as their authors publish them. Writes
docs/human-agreement.json and, from it, docs/human-agreement.md; figures that are not measured again stay.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from attribution import Evaluation, evaluate, list_methods
from attribution.settings import DEFAULT_MODEL
from attribution.types import Option
from benchmarks.machine import describe
from benchmarks.marked import READERS, Marked
from docs.markdown import table

COMMAND = "python -m benchmarks.human_agreement DATA"
DOCS = Path(__file__).resolve().parent.parent / "docs"
JSON, PAGE = DOCS / "human-agreement.json", DOCS / "human-agreement.md"
METRICS = (
    "somers_d",
    "kendall_tau",
    "auprc",
    "person_agreement",
    "aopc_comprehensiveness",
    "aopc_sufficiency",
)
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
NOT_COMPARED = ("random", "reagent")
"""The control, which is always measured, and a method for models that write."""
SLOW = tuple(name for name in list_methods() if name not in (*FAST, *NOT_COMPARED))
AIMS = {"saliency": 0.72, "integrated_gradients": 0.78, "attention": 0.65}
"""What this project's first description claimed for Kendall's τ, taken as an aim for Somers' D."""
CHOSEN: dict[str, dict[str, Option]] = {
    "saliency": {"norm": "relative", "contexts": 40, "share": 0.75, "fade": True},
    "integrated_gradients": {"contexts": 40, "share": 0.05, "absent": "delete"},
    "attention": {"layer": 4, "contexts": 32, "share": 0.15},
}
"""Settings chosen on some 250 sentences of SST's training part, by Somers' D."""
PAIR = ("deeplift", "integrated_gradients")
"""Two quick signed methods that add up to the prediction: which of them should a page begin with?"""
SKIPPED = 1000
"""Sentences of SST's training part, in the order of ``sample``, that settings were chosen on, mostly."""


@dataclass(frozen=True)
class Line:
    """One method with its options on one data set: each metric's mean, 95 % interval, texts and ceiling."""

    method: str
    options: Mapping[str, Option]
    figures: Mapping[str, Mapping[str, Any]]


@dataclass
class Report:
    """The figures so far, as plain JSON."""

    machine: str
    model: str
    seed: int
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, key: str, data: Marked, lines: Sequence[Line]) -> None:
        """Replace lines of the same methods and options; drop lines over another number of texts."""
        about = {"name": data.name, "about": data.about, "texts": len(data.texts), "lost": data.lost}
        before = self.sets.get(key, {"texts": len(data.texts), "lines": []})
        earlier = before["lines"] if before["texts"] == len(data.texts) else []
        new = [asdict(line) for line in lines]
        names = [(line["method"], line["options"]) for line in new]
        lines_now = [line for line in earlier if (line["method"], line["options"]) not in names] + new
        self.sets[key] = {
            **about,
            "lines": lines_now,
            **({"pair": before["pair"]} if earlier and "pair" in before else {}),
        }

    def has(self, key: str, texts: int, method: str, options: Mapping[str, Option]) -> bool:
        """Whether a method has been measured on that many texts by all metrics."""
        entry = self.sets.get(key, {"texts": None, "lines": []})
        return entry["texts"] == texts and (method, dict(options)) in [
            (line["method"], line["options"]) for line in entry["lines"]
        ]

    def to_dict(self) -> dict[str, Any]:
        ordered = {name: self.sets[name] for name in READERS if name in self.sets}
        return {"machine": self.machine, "model": self.model, "seed": self.seed, "sets": ordered}


def sample(data: Marked, count: int, seed: int, skipped: int = 0) -> Marked:
    """``count`` texts after the first ``skipped``, in a random order that depends only on ``seed``."""
    order = list(range(len(data.texts)))
    random.Random(seed).shuffle(order)
    chosen = order[skipped : skipped + count]
    return replace(
        data, texts=tuple(data.texts[k] for k in chosen), rationales=tuple(data.rationales[k] for k in chosen)
    )


def measure(
    data: Marked, methods: Sequence[str], options: Mapping[str, Mapping[str, Option]], seed: int, model: Any
) -> list[Line]:
    """Each method on the texts, the random control last."""
    evaluation: Evaluation = evaluate(
        data.texts,
        model,
        methods,
        METRICS,
        rationales=data.rationales,
        options=options,
        seed=seed,
        target=data.target,
    )
    if evaluation.failures:
        print(
            f"{data.name}: {len(evaluation.failures)} failed, the first: {evaluation.failures[0]}",
            file=sys.stderr,
        )
    return [
        Line(name, options.get(name, {}), {m: _figure(evaluation, name, m) for m in METRICS})
        for name in evaluation.methods
    ]


def compare_pair(data: Marked, seed: int, model: Any) -> dict[str, dict[str, Any]]:
    """By metric: the first method of ``PAIR``, its share of draws, and whether it is distinguishable."""
    metrics = [name for name in METRICS if name != "person_agreement"]
    evaluation: Evaluation = evaluate(
        data.texts, model, PAIR, metrics, rationales=data.rationales, seed=seed, target=data.target
    )
    best = {name: evaluation.best(name) for name in metrics}
    return {
        name: {
            "first": choice.method,
            "share": _short(choice.chance),
            "apart": not set(choice.rivals) & set(PAIR),
        }
        for name, choice in best.items()
    }


def _figure(evaluation: Evaluation, method: str, metric: str) -> dict[str, Any]:
    figure = evaluation.figure(method, metric)
    return {name: _short(getattr(figure, name)) for name in ("mean", "low", "high", "count", "ceiling")}


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
            f"Measured with `{COMMAND}`, seed {report['seed']}, on {report['machine']}, "
            f"model `{report['model']}`.",
            "",
            *_aims(report),
            *_pair(report),
            *(part for entry in report["sets"].values() for part in _set(entry)),
            CLOSING,
        ]
    )


INTRODUCTION = """\
Do the words with high scores carry the marks of people? Each figure is a mean over texts, with a 95 %
bootstrap interval over them. One English sentiment model with six layers was measured; nothing here says
what another model, language or task would give.

- **Somers' D** (`somers_d`): of the pairs of words that people ranked differently, the share in the same
  order minus the share in the opposite one. 1 is full agreement, 0 chance.
- **τ-b** (`kendall_tau`): Kendall's τ-b over all pairs. People leave most words alike, so scores cannot
  reach 1; beside it stands the most that the same scores could reach in the best order.
- **AUPRC** (`auprc`): 1 if all marked words come first; random scores get the share of marked words.
- **Comprehensiveness** and **sufficiency** (`aopc_...`) ask the model, not people: how far its probability
  falls when the first words of the order are hidden (higher is better), and when only they are kept (lower
  is better). Methods without signs put words that speak against the label first, too.

A word's score is the sum over its tokens, special tokens belong to no word, and a word's mark is the mean
over its characters. Methods with signs are compared with signed marks as they are, both towards the
explained label; methods without signs with the size of signed marks. So figures of the two kinds do not
answer the same question.

People rated words alone (SST) or marked what decided (Yelp-HAT, toxic spans). A method that agrees with
people is plausible, which does not make it faithful: `leave_one_in` asks the model about single words, as
the people of SST were asked, and says least about the sentence.
"""
FOLLOWS = """\
So the page *Explain* begins with DeepLift for models that read a text and with integrated gradients for
models that write one, which nobody has measured here. `attribution/studies/recommendation.py` holds this
table, by task, by kind of model and by time; everything except classification with one English encoder is
carried over from there.
"""
CLOSING = """\
## What was chosen, and on what

Options beside a method's name are not its defaults; the defaults stay as the papers have them. These
options were chosen by Somers' D on some 500 sentences of SST's training part, in samples of 22 to 185, so
that differences of less than 0.05 between settings mean little. The model was trained on phrases of that
part, single words among them, with labels of the same people: figures on it are too high, and a sentence or
two of those measured here may be among those that were used for choosing.

Two settings of each were measured on SST's development part, with fewer copies and with more. On 21
training sentences they stood at 0.64 and 0.68 (`saliency`), 0.81 and 0.82 (`integrated_gradients`), 0.70
and 0.68 (`attention`), distinguishable for none; the ones with more copies were taken, because a mean over
more copies has less noise. On 33 development sentences the ones with fewer copies had 0.65, 0.75 and 0.63.

What helped: looking at words in copies of the text that lack other words (`contexts`), since people rated
words without their sentence, even more where the others are deleted (`absent`); for gradients also fading
the copies (`fade`) and counting change relative to the embedding (`norm="relative"`). These averages are
ours, made of published parts: gradients, SmoothGrad's mean, integrated gradients, attention weights.

What did not: the largest score of a word's tokens instead of their sum, the L1 norm, gradients at later
layers, the probability instead of the logit, the mean over all layers' attention. Norms of the attended
vectors in place of attention weights helped less than copies did. Attention needs its layer chosen, the
last but one here, which says nothing about another model.

The gradient stays below its aim. On 185 training sentences its setting stood at 0.701; twice as many copies
at 0.702, a smaller share of words left out at 0.684, the contrast with the other label at 0.694, words
deleted instead of hidden, mixtures of shares and the distance to the baseline no higher than noise. A norm
has no sign, and people's strongest words are not always those to which the model is most sensitive.

An ensemble is the mean of normalized scores (`ensemble`). On 47 training sentences its default members
stood at 0.65 (integrated gradients) and 0.62 (Kernel SHAP) alone and at 0.68 together; with DeepLift as a
third at 0.70, where DeepLift alone stood at 0.67. The most plausible one, of `leave_one_in` and integrated
gradients over copies, stood at 0.84 like its better member alone, and was not made a method.

Where signs are not asked for (Yelp-HAT, toxic spans), scores with signs are compared as they are, towards
the explained label: words that speak against it come last, as people left them unmarked.
"""


def _aims(report: Mapping[str, Any]) -> list[str]:
    """The table of the aims on SST's development part."""
    entry = report["sets"].get("sst-dev")
    if entry is None:
        return []
    rows = []
    for line in entry["lines"]:
        if line["options"] and line["options"] == CHOSEN.get(line["method"]):
            aim, figure = AIMS[line["method"]], line["figures"]["somers_d"]
            rows.append([_name(line), f"{aim:.2f}", _format(figure), _verdict(aim, figure)])
    if not rows:
        return []
    first = max(entry["lines"], key=lambda line: line["figures"]["somers_d"]["mean"])
    return [
        "## The aims",
        "",
        "The first description of this project claimed Kendall's τ of 0.72, 0.78 and 0.65 with people for "
        "the gradient, integrated gradients and attention, without saying how it was measured. As aims for "
        f"Somers' D on {entry['name']} ({entry['texts']} sentences):",
        "",
        table(["method", "aim", "Somers' D", ""], rows),
        f"The first of all is {_name(first)} with {_format(first['figures']['somers_d'])}.",
        "",
    ]


def _pair(report: Mapping[str, Any]) -> list[str]:
    """The table of the two methods that a page may begin with."""
    measured_sets = {key: entry for key, entry in report["sets"].items() if "pair" in entry}
    if not measured_sets:
        return []
    metrics = list(next(iter(measured_sets.values()))["pair"])
    rows = [
        [f"{entry['name']} ({entry['texts']})", *(_first(entry["pair"][metric]) for metric in metrics)]
        for entry in measured_sets.values()
    ]
    return [
        "## What a page should begin with",
        "",
        f"`{PAIR[0]}` and `{PAIR[1]}` both answer at once, have signs and add up to the prediction. "
        "Which of them is first on the same texts, and in what share of 1,000 bootstrap draws; bold where 0 "
        "lies outside the 95 % interval of the difference:",
        "",
        table(["texts", *(f"`{metric}`" for metric in metrics)], rows),
        "",
        FOLLOWS,
    ]


def _first(choice: Mapping[str, Any]) -> str:
    label = (
        f"`{choice['first']}`, {choice['share']:.0%}"
        if choice["share"] is not None
        else f"`{choice['first']}`"
    )
    return f"**{label}**" if choice["apart"] else label


def _verdict(aim: float, figure: Mapping[str, Any]) -> str:
    """Whether an aim is reached, in words."""
    if figure["mean"] < aim:
        return f"missed by {aim - figure['mean']:.3f}"
    return "reached" if figure["low"] >= aim else "reached by the mean; the interval begins below"


def _set(entry: Mapping[str, Any]) -> list[str]:
    lines = sorted(entry["lines"], key=lambda line: -(line["figures"]["somers_d"]["mean"] or -1))
    rows = [
        [
            _name(line) + _count_note(line, entry["texts"]),
            *(_format(line["figures"][m]) for m in ("somers_d", "kendall_tau")),
            _ceiling(line),
            *(_format(line["figures"][m]) for m in ("auprc", "aopc_comprehensiveness", "aopc_sufficiency")),
        ]
        for line in lines
    ]
    person = entry["lines"][0]["figures"]["person_agreement"]
    people = (
        [f"One person with the mean of the others: Somers' D {_format(person)}.", ""]
        if person["count"]
        else []
    )
    lost = f" {entry['lost']} people's marks fit no text and are left out." if entry["lost"] else ""
    return [
        f"## {entry['name']}",
        "",
        f"{entry['texts']} texts. {entry['about']}{lost}",
        "",
        *people,
        table(["method", "Somers' D", "τ-b", "at most", "AUPRC", "comprehensiveness", "sufficiency"], rows),
    ]


def _name(line: Mapping[str, Any]) -> str:
    options = ", ".join(f"{name}={json.dumps(value)}" for name, value in line["options"].items())
    return f"`{line['method']}`" + (f" `{options}`" if options else "")


def _count_note(line: Mapping[str, Any], texts: int) -> str:
    """A note on a method that refused some texts."""
    counts = [line["figures"][metric]["count"] for metric in METRICS if metric.startswith("aopc")]
    return f" ({min(counts)} texts)" if min(counts) < texts else ""


def _format(figure: Mapping[str, Any]) -> str:
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


def _before(seed: int) -> Report:
    """Earlier figures with the same seed and the same metrics."""
    before = json.loads(JSON.read_text(encoding="utf-8")) if JSON.exists() else {}
    sets = before["sets"] if before.get("seed") == seed else {}
    complete = {
        name: entry
        for name, entry in sets.items()
        if all(set(line["figures"]) == set(METRICS) for line in entry["lines"])
    }
    return Report(describe(), DEFAULT_MODEL, seed, complete)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.human_agreement", description=__doc__)
    parser.add_argument(
        "data",
        type=Path,
        nargs="?",
        help="the folder with the data sets; without it the page is written anew from its figures",
    )
    parser.add_argument("--texts", type=int, default=100, help="texts of each data set (100)")
    parser.add_argument("--sets", nargs="+", choices=READERS, default=list(READERS), help="only these")
    parser.add_argument(
        "--methods", nargs="+", default=[*FAST, *CHOSEN], help="those that answer at once (default), or any"
    )
    parser.add_argument(
        "--slow", action="store_true", help="all methods, also those that take long for a text"
    )
    parser.add_argument("--anew", action="store_true", help="measure again what is measured")
    parser.add_argument(
        "--pair", action="store_true", help=f"only set {PAIR[0]} against {PAIR[1]}, text by text"
    )
    parser.add_argument("--seed", type=int, default=0)
    choices = parser.parse_args(arguments)
    if choices.data is None:
        write(json.loads(JSON.read_text(encoding="utf-8")))
        return 0
    for name in choices.sets:
        data = sample(
            READERS[name](choices.data), choices.texts, choices.seed, SKIPPED if name == "sst-train" else 0
        )
        if choices.pair:
            pair = compare_pair(data, choices.seed, DEFAULT_MODEL)
            report = _before(choices.seed)
            report.sets[name]["pair"] = pair
            write(report.to_dict())
            continue
        for method, options in requests_of([*choices.methods, *(SLOW if choices.slow else ())]):
            if choices.anew or not _before(choices.seed).has(name, len(data.texts), method, options):
                lines = measure(data, (method,), {method: options}, choices.seed, DEFAULT_MODEL)
                report = _before(choices.seed)  # read again: another process may measure another set
                report.add(name, data, lines)
                write(report.to_dict())
    return 0


def requests_of(names: Sequence[str]) -> list[tuple[str, Mapping[str, Option]]]:
    """Each method once with its defaults, and once with the options that were chosen for it, if any."""
    once = dict.fromkeys(names)
    return [(name, {}) for name in once] + [(name, CHOSEN[name]) for name in once if name in CHOSEN]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
