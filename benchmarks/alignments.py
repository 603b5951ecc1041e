"""How often a method finds the word that is known to decide.

``bundled/dates-t5`` writes dates of styles that it never saw in ISO form with 99.9 % accuracy, so it must
read the day, the month and the year where they stand. A method is right about a digit if the word with its
highest score is the one that decides the digit.

    python -m benchmarks.alignments [--examples 50]"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from attribution import Attribution, attribute, list_methods
from attribution.models.tasks import seq2seq
from attribution.types import Option

MODEL = "bundled/dates-t5"
SEED = 7


def dates() -> ModuleType:
    """``training/dates.py``, which makes texts with their known sources and is no part of the package."""
    spec = importlib.util.spec_from_file_location(
        "dates", Path(__file__).resolve().parent.parent / "training" / "dates.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["dates"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def fitting() -> list[str]:
    """The methods that explain this model without another one."""
    return [
        name
        for name, method in list_methods().items()
        if method.unsupported_reason(seq2seq.TASK) is None and not method.companion
    ]


def right(result: Attribution, sources: tuple[tuple[int, int] | None, ...]) -> Iterator[bool]:
    """For each generated digit: does the word with the highest score decide it?"""
    words = result.words()
    places = [i for i, token in enumerate(words.tokens) if token.segment == "text" and not token.special]
    for row, output in zip(words.scores, words.outputs, strict=True):
        if (source := sources[output.start]) is not None:
            best = words.tokens[max(places, key=lambda i, row=row: row[i])]
            yield best.start < source[1] and source[0] < best.end


def accuracy(method: str, examples: int, **options: Option) -> tuple[int, int]:
    """Of how many digits of held-out dates in new styles a method finds the word: right ones, and all."""
    module = dates()
    rows = itertools.islice(module.examples(SEED, module.NEW_STYLES, held_out=True), examples)
    hits = [
        hit for row in rows for hit in right(attribute(row.text, MODEL, method, **options), row.sources())
    ]
    return sum(hits), len(hits)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=50, help="dates, of eight digits each (50)")
    examples = parser.parse_args().examples
    print("| method | right | of |\n|---|---:|---:|")
    accuracies = {name: accuracy(name, examples) for name in fitting()}
    for name, (hits, count) in sorted(accuracies.items(), key=lambda item: -item[1][0]):
        print(f"| {name} | {hits / count:.1%} | {count} |", flush=True)


if __name__ == "__main__":
    main()
