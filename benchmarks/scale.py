"""How time and memory grow: with tokens, explained targets, samples, texts in a batch and layers.

    python -m benchmarks.scale [--sweeps NAME ...] [--rounds N] [--threads N] [--quick] [--json FILE]
    [--markdown]

A small table a sweep: the median time of each method at each size, and the exponent k of time ∝ size^k,
fitted to the logarithms; 0 is constant, 1 proportional, 2 quadratic. Memory is the growth of the largest
resident set of a process of its own."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

import attribution
from benchmarks.machine import describe
from benchmarks.measure import Call, Outcome, aligned, markdown, slope, threads, timed, written
from benchmarks.memory import grown
from benchmarks.rows_whole import sentences
from benchmarks.subjects import SEED, Subject, subject, wordpiece

TOKENS, POINTS = 22, 16
LABELS = 16


@dataclass(frozen=True)
class Ours:
    """A method with its options as ``prepare``: an object, so that another process can be given it."""

    vary: str
    method: str
    options: tuple[tuple[str, Any], ...] = ()

    def __call__(self, size: int, small: bool) -> Call:
        return VARIED[self.vary](self.method, dict(self.options), size, small)


@dataclass(frozen=True)
class Curve:
    """One line of a table:

    ``prepare(size, small)`` gives the call to measure. ``memory`` measures bytes instead of seconds.
    """

    sweep: str
    name: str
    sizes: tuple[int, ...]
    prepare: Ours
    memory: bool = False


@dataclass(frozen=True)
class Grew:
    """What came out: ``amounts`` in ``unit`` at ``sizes``, and the exponent."""

    sweep: str
    name: str
    sizes: tuple[int, ...]
    amounts: tuple[float, ...]
    unit: str

    @property
    def exponent(self) -> float | None:
        """None where nothing measurable grew."""
        return slope(self.sizes, self.amounts) if min(self.amounts) > 0 else None


def _over_tokens(method: str, options: dict[str, Any], size: int, small: bool) -> Call:
    chosen = subject("minilm", small)
    return chosen.ours(next(chosen.texts(size)), method, **options)


def _over_generated(method: str, options: dict[str, Any], size: int, small: bool) -> Call:
    chosen = subject("gpt2", small)
    text = next(chosen.texts(TOKENS))
    words = " " + next(chosen.texts(30))
    return lambda: _flat(
        attribution.attribute(
            text, chosen.adapter, method, continuation=words, position=list(range(size)), **options
        )
    )


def _over_labels(method: str, options: dict[str, Any], size: int, small: bool) -> Call:
    chosen = bert(6, small)
    text = next(chosen.texts(TOKENS))
    return lambda: _flat(
        attribution.attribute(text, chosen.adapter, method, target=list(range(size)), **options)
    )


def _over_samples(method: str, options: dict[str, Any], size: int, small: bool) -> Call:
    """A size counts texts with hidden words: a permutation of 20 words takes 19 besides none and all."""
    chosen = subject("minilm", small)
    if method == "random":
        return chosen.ours(next(chosen.texts(TOKENS)), method)
    many = (
        {"permutations": max(4, size // (TOKENS - 3)), "exact_up_to": 1}
        if method == "shapley"
        else {"samples": size}
    )
    return chosen.ours(next(chosen.texts(TOKENS)), method, **many, **options)


def _over_rows(method: str, options: dict[str, Any], size: int, small: bool) -> Call:
    chosen = subject("minilm", small)
    rows = sentences(chosen, size)
    return lambda: Outcome(
        np.concatenate(
            [
                result.scores[0]
                for result in attribution.attribute_many(rows, chosen.adapter, method, options=options)
            ]
        )
    )


def _over_layers(method: str, options: dict[str, Any], size: int, small: bool) -> Call:
    chosen = bert(size, small)
    return chosen.ours(next(chosen.texts(TOKENS)), method, **options)


VARIED: dict[str, Callable[[str, dict[str, Any], int, bool], Call]] = {
    "tokens": _over_tokens,
    "generated tokens": _over_generated,
    "labels": _over_labels,
    "samples": _over_samples,
    "texts": _over_rows,
    "layers": _over_layers,
}


def _flat(result: attribution.Attribution) -> Outcome:
    return Outcome(result.scores)


@cache
def bert(layers: int, small: bool) -> Subject:
    """A classifier of MiniLM's width with random weights and ``LABELS`` labels."""
    torch.manual_seed(SEED)
    width, inner, heads = (32, 64, 2) if small else (384, 1536, 12)
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        num_labels=LABELS,
    )
    return Subject(f"bert-{layers}", BertForSequenceClassification(config).eval(), wordpiece(), "")


def curves(quick: bool) -> list[Curve]:
    """Everything that is measured; ``quick`` has two or three small sizes."""

    def sizes(*all_of_them: int) -> tuple[int, ...]:
        return all_of_them[:2] if quick else all_of_them

    points = (("rule", "gausslegendre"), ("steps", POINTS))
    long, few = sizes(8, 16, 32, 64, 128, 256, 512), sizes(1, 2, 4, 8, 16)
    drawn, rows, deep = sizes(100, 300, 1000, 2500, 5000), sizes(1, 4, 16, 64, 256), sizes(2, 4, 8, 16, 24)
    ig, ig_name = ("integrated_gradients", points), f"IG, {POINTS} points"

    def line(
        sweep: str, name: str, over: tuple[int, ...], method: str, options: tuple[tuple[str, Any], ...] = ()
    ) -> Curve:
        return Curve(sweep, name, over, Ours(sweep, method, options))

    def memory(
        sweep: str, name: str, over: tuple[int, ...], method: str, options: tuple[tuple[str, Any], ...] = ()
    ) -> Curve:
        return Curve(
            sweep,
            f"{name}: memory",
            (over[0], over[len(over) // 2], over[-1]),
            Ours(sweep, method, options),
            True,
        )

    return [
        line("tokens", "saliency", long, "saliency"),
        line("tokens", "attention", long, "attention"),
        line("tokens", ig_name, long, *ig),
        line("tokens", "occlusion of words", long, "occlusion"),
        memory("tokens", ig_name, long, *ig),
        line("generated tokens", "saliency", few, "saliency"),
        line(
            "generated tokens",
            f"IG, {POINTS // 2} points",
            few,
            "integrated_gradients",
            (points[0], ("steps", POINTS // 2)),
        ),
        line("generated tokens", "occlusion of tokens", few, "occlusion", (("features", "tokens"),)),
        memory("generated tokens", "saliency", few, "saliency"),
        line("labels", "saliency", few, "saliency"),
        line("labels", ig_name, few, *ig),
        line("labels", "occlusion of words", few, "occlusion"),
        memory("labels", ig_name, few, *ig),
        line("samples", "LIME", drawn, "lime"),
        line("samples", "Shapley values", drawn, "shapley"),
        memory("samples", "LIME", drawn, "lime"),
        line("texts", "attribute_many, saliency", rows, "saliency"),
        line("texts", f"attribute_many, {ig_name}", rows[:-1] if not quick else rows, *ig),
        memory("texts", "attribute_many, saliency", rows, "saliency"),
        line("layers", "saliency", deep, "saliency"),
        line("layers", ig_name, deep, *ig),
        line("layers", "attention rollout", deep, "attention_rollout"),
        memory("layers", ig_name, deep, *ig),
    ]


WHERE = {
    "tokens": "MiniLM, tokens of the text",
    "generated tokens": f"GPT-2 size, explained tokens of a continuation of 30 after {TOKENS}",
    "labels": f"6 layers of 384, explained labels at once, {TOKENS} tokens",
    "samples": f"MiniLM, texts with hidden words, {TOKENS} tokens",
    "texts": "MiniLM, sentences of 5 to 40 words",
    "layers": f"layers of 384, {TOKENS} tokens",
}


def _warm(prepare: Ours, size: int, small: bool) -> Call:
    """The call of ``size``, after a warm-up that only predicts: one-time allocations do not count."""
    replace(prepare, method="random", options=())(1 if prepare.vary != "tokens" else 8, small)()
    return prepare(size, small)


def measured(curve: Curve, rounds: int, count: int, small: bool) -> Grew:
    """One curve: at each size the median of some rounds after a warm-up, or the memory of one call."""
    amounts = []
    for size in curve.sizes:
        if curve.memory:
            growth = grown(_warm, curve.prepare, size, small, count=count)
            if growth.error:
                raise MemoryError(growth.error)
            amounts.append(growth.mebibytes)
            continue
        call = curve.prepare(size, small)
        first, _ = timed(call)
        # A long call says enough at once.
        times = [first] if first > 5 else [timed(call)[0] for _ in range(rounds if first < 1 else 1)]
        amounts.append(statistics.median(times))
    return Grew(curve.sweep, curve.name, curve.sizes, tuple(amounts), "MiB" if curve.memory else "s")


def table(sweep: str, curves_: Sequence[Grew], form: Callable[..., str]) -> str:
    """One sweep; sizes that a line was not measured at stay empty."""
    sizes = sorted({size for curve in curves_ for size in curve.sizes})
    rows = []
    for curve in curves_:
        at = dict(zip(curve.sizes, curve.amounts, strict=True))
        cells = [written(at[size], curve.unit) if size in at else "" for size in sizes]
        # Adding 0 makes a rounded −0 a 0.
        rows.append(
            [curve.name, *cells, "-" if curve.exponent is None else f"{round(curve.exponent, 2) + 0:.2f}"]
        )
    return form([WHERE[sweep], *map(str, sizes), "exponent"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", nargs="+", choices=list(WHERE), default=list(WHERE))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--quick", action="store_true", help="tiny models, two sizes: to see that the command works"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    machine = describe()
    print(f"{machine}, {options.threads} threads")
    results: list[Grew] = []
    started = time.monotonic()
    for sweep in options.sweeps:
        for curve in (entry for entry in curves(options.quick) if entry.sweep == sweep):
            print(f"[{time.monotonic() - started:.0f} s] {sweep}: {curve.name}", file=sys.stderr, flush=True)
            with threads(options.threads):
                results.append(
                    measured(curve, 1 if options.quick else options.rounds, options.threads, options.quick)
                )
        print(
            "\n"
            + table(
                sweep,
                [entry for entry in results if entry.sweep == sweep],
                markdown if options.markdown else aligned,
            )
        )
    if options.json:
        record = {
            "machine": machine,
            "results": [{**asdict(entry), "exponent": entry.exponent} for entry in results],
        }
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
