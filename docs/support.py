"""Which method works for which family of models, by trying: the table in ``docs/support.md``.

``python -m docs.support`` tries every pair on a tiny random model; with names of families, only theirs, and
the rest of the table stays. ``--check`` writes nothing and fails where the table is not what it would write.
"""

from __future__ import annotations

import argparse
import atexit
import copy
import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from attribution import Attribution, attribute, load
from attribution.errors import BadOption, Unsupported
from attribution.methods import Method
from attribution.methods import list_methods as registered
from attribution.models.adapter import Adapter
from attribution.models.function import Function
from attribution.models.tasks import list_tasks
from attribution.types import Need
from docs.markdown import cell, escape, plain, table
from tests.families import FAMILIES, Family
from tests.quick import QUICK

FILE = Path(__file__).with_name("support.md")
COMMAND = "OMP_NUM_THREADS=1 python -m docs.support"
TEXT, SECOND = "the film was good", "a bad plot"
GROUPS: dict[Need, str] = {
    "gradients": "Methods that need gradients",
    "attentions": "Methods that look at attention",
    "texts": "Methods that only change the text",
}
KINDS = ("encoder", "decoder", "encoder-decoder")
METHOD_LINE = re.compile(r"^\| \[[^|]*\]\(methods/(\w+)\.md\) \|(.*)\|$", re.MULTILINE)
CELL = re.compile(r"^✗ (\d+)$")

Table = dict[str, dict[str, str]]
"""Family → method → why it does not work, empty where it does."""


class Failure(Exception):
    """A pair that neither works nor says why not."""


def own_methods() -> dict[str, Method]:
    """The project's methods by name, without those that another installed package adds."""
    return {
        name: m
        for name, m in registered().items()
        if m.function.__module__.startswith("attribution.methods.")
    }


def attempt_family(family: Family) -> tuple[dict[str, str], list[str]]:
    """Every method on one family: why it does not work, empty where it does; and what failed."""
    model, tokenizer = family.build()
    adapter = load(model, tokenizer)
    reasons, failures = {}, []
    for name in own_methods():
        try:
            reasons[name] = attempt(name, family, model, adapter)
        except Failure as failure:
            failures.append(f"{name} × {family.name}: {failure}")
    return reasons, failures


def attempt(name: str, family: Family, model: PreTrainedModel, adapter: Adapter | Function) -> str:
    """Why a method does not work for a family, empty where it does. Raises ``Failure``."""
    text, second = question(family, adapter)
    before, reason = state(model), ""
    try:
        options = {**QUICK.get(name, {}), **companion(registered()[name])}
        result = attribute(text, adapter, name, second=second, max_new_tokens=2, **options)
        check(result)
    except (Unsupported, BadOption) as refusal:
        # The row and the column say which; so that one reason is one note.
        reason = re.sub(rf"^{re.escape(registered()[name].title)}\b", "The method", str(refusal))
        reason = re.sub(rf"^{type(model).__name__}\b", "The model", reason)
    except Failure:
        raise
    except Exception as error:
        raise Failure(f"{type(error).__name__}: {str(error)[:300]}") from error
    if state(model) != before:
        raise Failure("the model was changed")
    return reason


def companion(method: Method) -> dict[str, str]:
    """The option that names a second model, for a method that needs one: a tiny masked language model."""
    option = getattr(method, "companion", "")
    return {option: _masked()} if option else {}


@cache
def _masked() -> str:
    """A folder with a tiny masked language model, until the process ends."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for part in FAMILIES["bert-masked"].build():
        part.save_pretrained(folder)
    return folder


def question(family: Family, adapter: Adapter | Function) -> tuple[str, str | None]:
    """A text for a family, and a second one where it takes two."""
    text, task = TEXT, list_tasks()[family.task]
    if task.fills_masks and isinstance(adapter, Adapter):
        text = TEXT.replace("good", str(adapter.tokenizer.mask_token))
    return text, SECOND if task.second == "required" or family.name.endswith("-nli") else None


def check(result: Attribution) -> None:
    """Raises ``Failure`` for scores that are not what they should be."""
    if result.scores.shape != (len(result.outputs), len(result.tokens)) or not result.scores.size:
        raise Failure(f"scores of shape {result.scores.shape}")
    if not np.isfinite(result.scores).all():
        raise Failure("scores that are not finite")
    if not result.scores.any():
        raise Failure("all scores are 0")
    if not result.signed and (result.scores < 0).any():
        raise Failure("negative scores of a method without signs")


def state(model: PreTrainedModel) -> dict[str, Any]:
    """All of a model that a method could change: two states are equal if and only if nothing was."""
    weights = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        weights.update(
            tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()
            if tensor.ndim
            else b"%r" % tensor.item()
        )
    modules = {
        name: (
            type(m),
            m.training,
            len(m._forward_hooks),
            len(m._forward_pre_hooks),
            len(m._backward_hooks),
            *sorted(vars(m)),
        )
        for name, m in model.named_modules()
    }
    return {
        "weights": weights.hexdigest(),
        "parameters": {
            name: (p.requires_grad, p.grad is None, p._version) for name, p in model.named_parameters()
        },
        "modules": modules,
        "config": copy.deepcopy(model.config.to_dict()),
        "attention": model.config._attn_implementation,
    }


def markdown(reasons: Mapping[str, Mapping[str, str]]) -> str:
    """The whole document: one line for each method, one column for each task and kind of model."""
    numbers: dict[str, int] = {}
    parts = [_head(reasons)]
    for need, title in GROUPS.items():
        if methods := [m for m in own_methods().values() if m.needs == need]:
            heads = ["", *(_title(group).replace(", ", ",<br>") for group in groups())]
            parts.append(f"## {title}\n\n" + table(heads, [_row(m, reasons, numbers) for m in methods]))
    rows = [[_title(group), *_named(families)] for group, families in groups().items()]
    parts.append("## The families\n\n" + table(["task and kind", "families", "names"], rows))
    listed = [f"{number}. {escape(reason)}" for reason, number in numbers.items()]
    return "\n".join(
        [*parts, "## Why not, and what works instead", "", *(listed or ["Every pair works."]), ""]
    )


def in_order() -> list[Family]:
    """The families by their task, then by their kind."""
    tasks = list(list_tasks())
    return sorted(FAMILIES.values(), key=lambda f: (tasks.index(f.task), KINDS.index(f.kind)))


def groups() -> dict[tuple[str, str], list[Family]]:
    """The families by task and kind of model, in the order of the columns."""
    return {key: list(members) for key, members in groupby(in_order(), key=lambda f: (f.task, f.kind))}


def _title(group: tuple[str, str]) -> str:
    return f"{list_tasks()[group[0]].title}, {group[1]}"


def _named(families: list[Family]) -> list[str]:
    return [", ".join(dict.fromkeys(f.title for f in families)), " ".join(f"`{f.name}`" for f in families)]


def _head(reasons: Mapping[str, Mapping[str, str]]) -> str:
    pairs = [reason for row in reasons.values() for reason in row.values()]
    works = pairs.count("")
    return (
        f"<!-- Written by `{COMMAND}`: do not edit. -->\n"
        "# What works with what\n\n"
        f"{len(own_methods())} methods on {len(reasons)} families of models: {works:,} of {len(pairs):,} "
        "pairs work (✓); for the others (✗) a number says which of the "
        "[reasons](#why-not-and-what-works-instead) it is. A column stands for all "
        "[families](#the-families) of a task and a kind of model; those that differ from the rest are named."
        "\n\n"
        "Each pair was run: a tiny model of the real architecture with random weights (two where a method "
        "needs a second one), one short text. ✓ says that the scores are finite, not all 0, and of the right "
        "shape, and that the model's weights, configuration, modules and hooks are the same afterwards, as "
        "they are after a refusal. It says nothing about how good an explanation is. The tests run all pairs "
        "again.\n"
    )


def _row(method: Method, reasons: Mapping[str, Mapping[str, str]], numbers: dict[str, int]) -> list[str]:
    """The line of one method; ``numbers`` takes the reasons in the order of their use."""
    cells = []
    for families in groups().values():
        marks: dict[str, list[str]] = {}
        for family in families:
            reason = reasons[family.name][method.name]
            mark = f"✗ {numbers.setdefault(reason, len(numbers) + 1)}" if reason else "✓"
            marks.setdefault(mark, []).append(family.name)
        usual = max(marks, key=lambda mark: len(marks[mark]))
        others = [" ".join([mark, *(f"`{n}`" for n in marks[mark])]) for mark in marks if mark != usual]
        cells.append("<br>".join([usual, *others]))
    return [f"[{cell(method.title)}](methods/{method.name}.md)", *cells]


def parse(document: str) -> Table:
    """The table that ``markdown`` wrote.

    Raises ``ValueError`` for a cell that is neither ✓ nor ✗ with a number.
    """
    reasons = {int(n): plain(text) for n, text in re.findall(r"^(\d+)\. (.*)$", document, re.MULTILINE)}
    columns = list(groups().values())
    table: Table = {family.name: {} for families in columns for family in families}
    for name, line in METHOD_LINE.findall(document):
        for families, shown in zip(columns, line.split("|"), strict=True):
            usual, *others = shown.strip().split("<br>")
            for family in families:
                table[family.name][name] = _reason(usual, reasons)
            for other in others:
                mark, _, names = other.partition(" `")
                for family_name in names.rstrip("`").split("` `"):
                    table[family_name][name] = _reason(mark, reasons)
    return table


def _reason(mark: str, reasons: Mapping[int, str]) -> str:
    number = CELL.match(mark)
    if number is None and mark != "✓":
        raise ValueError(f"{mark!r} is neither ✓ nor ✗ with a number.")
    return reasons[int(number[1])] if number else ""


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.support", description=__doc__)
    parser.add_argument(
        "families", nargs="*", metavar="family", help="only these; the rest of the table stays"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the table is stale")
    options = parser.parse_args(arguments)
    if unknown := set(options.families) - set(FAMILIES):
        parser.error(f"no family {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    logging.set_verbosity_error()
    torch.set_num_threads(1)  # Faster for models as small as these.
    before = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    table: Table = parse(before) if options.families else {}
    failures: list[str] = []
    for name in options.families or FAMILIES:
        table[name], failed = attempt_family(FAMILIES[name])
        failures += failed
    if failures:
        print("\n".join(failures), file=sys.stderr)
        return 1
    if missing := [n for n in FAMILIES if table.get(n, {}).keys() != own_methods().keys()]:
        print(f"The table lacks methods for {', '.join(missing)}: run it for these too.", file=sys.stderr)
        return 1
    after = markdown({name: table[name] for name in FAMILIES})
    if options.check:
        if after != before:
            print(f"{FILE.name} is stale: run {COMMAND}", file=sys.stderr)
        return int(after != before)
    FILE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
