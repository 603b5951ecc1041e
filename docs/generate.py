"""Pages about the methods, written from their registry, a picture for each, and the JSON schema of the files.

``python -m docs.generate`` writes ``docs/methods``, ``docs/schema`` and the pictures that are missing; ``--pictures`` draws all of
them anew, and ``--check`` writes nothing and fails where a page is stale. What works with what is tried by ``python -m docs.support``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from attribution import attribute
from attribution.export import render
from attribution.export.writing.schema import schema
from attribution.methods import TASK_WORDS, TASKS, Method
from attribution.registry import Option
from attribution.types import Need, Task
from docs import quality
from docs.markdown import cell, escape, from_docstring, table
from docs.support import own_methods

ROOT = Path(__file__).resolve().parent
PAGES, PICTURES, SCHEMA = ROOT / "methods", ROOT / "pictures", ROOT / "schema" / "attribution-1.json"
COMMAND = "python -m docs.generate"
WIDTH = 760
"""Of a picture."""

EXAMPLES: dict[Task, dict[str, Any]] = {
    "classification": {"text": "The plot is thin, but the acting is wonderful."},
    "seq2seq": {"text": "the 3rd of March, 1987", "model": "bundled/dates-t5"},
    "causal": {"text": "My lord, the king is", "model": "bundled/shakespeare-gpt2", "max_new_tokens": 4},
}
"""What the pictures show: the first that a method works for."""

NEEDS: dict[Need, tuple[str, str]] = {
    "gradients": (
        "Following gradients",
        "gradients: a model that is loaded here, not a mere function of texts",
    ),
    "attentions": (
        "Looking at attention",
        "attention weights: a model that is loaded here and whose attention can be looked into",
    ),
    "texts": ("Changing the text", "answers to changed texts, no more: any model, also a function of texts"),
}

NO_PICTURE = {"reagent"}
"""Methods that need a second model, which is not bundled."""

LEFT_OUT: dict[str, str] = {
    "Discretized integrated gradients (Sanyal & Ren 2021)": "Its path runs through words that lie near the straight line, which a "
    "graph of nearest neighbours over the whole vocabulary has to give; it would have to be computed for each model beforehand.",
    "Guided backpropagation (Springenberg et al. 2015) and deconvolution (Zeiler & Fergus 2014)": "Both say what happens to a "
    "gradient at a ReLU; most transformers have GELU or SiLU there, for which neither is defined.",
    "Grad-CAM (Selvaraju et al. 2017)": "It weights the feature maps of a convolution by their gradients, and a transformer has no "
    "such maps.",
    "DeepLIFT SHAP (Lundberg & Lee 2017)": "The mean of DeepLift over a data set of baselines needs that data set, which one typed "
    "text does not bring along.",
    "Scores for layers and neurons (conductance, internal influence)": "They explain units inside a model; here the tokens of its "
    "input are explained.",
    "Interactions of tokens (integrated Hessians, Shapley interaction indices)": "They score pairs or sets of tokens; here each "
    "token has one score for each output.",
    "Anchors (Ribeiro et al. 2018)": "Their answer is a rule, not a score for each token.",
    "Influence functions, TracIn": "They score examples of the training data, which a checkpoint does not bring along.",
}
"""Methods that people know from elsewhere, and why they are not here."""


def example(method: Method) -> dict[str, Any]:
    """The arguments of ``attribute`` for a method's picture. Raises ``ValueError`` where no bundled model fits."""
    for task, given in EXAMPLES.items():
        if task in method.tasks:
            return {**given, "method": method.name}
    raise ValueError(f"{method.title} works for {method.tasks}: add an example to EXAMPLES.")


def page(method: Method) -> str:
    """The Markdown of one method."""
    text = example(method)["text"]
    first, _, rest = from_docstring(inspect.getdoc(method.function) or "").partition("\n\n")
    definition = "\n".join(f"> {line}".rstrip() for line in first.strip().splitlines())
    options = _options(method.options) if method.options else "None.\n"
    shown = (
        f'![The words of "{escape(text)}" in the colours of their scores](../pictures/{method.name}.svg)\n\n'
    )
    shown = "" if method.name in NO_PICTURE else shown
    return (
        f"{_mark()}# {escape(method.title)}\n\n{escape(method.summary)}\n\n"
        f"{shown}"
        f"> **What limits trust:** {escape(method.caveat)}\n\n{_facts(method)}\n"
        f"## Definition\n\n{definition}\n\n{rest.strip()}\n\n"
        f"## Options\n\n{options}\n## How to call it\n\n{_calls(method)}"
    ).replace("\n\n\n", "\n\n")


def _facts(method: Method) -> str:
    names = ", ".join(f"`{name}`" for name in (method.name, *method.aliases))
    signs = (
        "below 0 speaks against what is explained, above 0 for it"
        if method.signed
        else "strengths from 0 up, without a direction"
    )
    unit = method.unit.format(quantity="the explained number")
    if unit == "the explained number":
        unit += ": logit, log-probability or probability, as asked for"
    tasks = ", ".join(TASK_WORDS[task] for task in TASKS if task in method.tasks)
    rows = [
        ["Names", names],
        ["Scores", signs],
        ["Unit", cell(unit)],
        ["Cost", cell(method.cost)],
        ["Needs", NEEDS[method.needs][1]],
        ["Works for", f"{tasks}; see [what works with what](../support.md)"],
    ]
    return table(["", ""], rows)


def _options(options: tuple[Option, ...]) -> str:
    rows = [[f"`{o.name}`", o.kind, f"`{json.dumps(o.default)}`", _allowed(o), cell(o.help)] for o in options]
    return table(["option", "kind", "default", "allowed", "what it does"], rows)


def _allowed(option: Option) -> str:
    if option.kind == "choice":
        return ", ".join(f"`{choice}`" for choice in option.choices)
    if option.kind == "text":
        return f"at most {option.maximum:g} characters"
    if option.minimum is None or option.maximum is None:
        return "true, false" if option.kind == "bool" else "any"
    return f"{_number(option.minimum)} to {_number(option.maximum)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _calls(method: Method) -> str:
    """The same call three times: on this machine, over HTTP, and by the client."""
    given = example(method)
    options = {option.name: option.default for option in method.options[:1]}
    said = ", ".join(
        [
            repr_of(given["text"]),
            *(f"{k}={repr_of(v)}" for k, v in {**given, **options}.items() if k != "text"),
        ]
    )
    body = {**given, "options": options} if options else given
    return (
        "```python\n"
        f"attribute({said})\n"
        f'requests.post("http://127.0.0.1:7860/api/attribute", json={repr_of(body)}).json()\n'
        f'Client("http://127.0.0.1:7860").attribute({said})\n'
        "```\n\n"
        "The first on this machine, the second over HTTP, the third by the Python client: see the [README](../../README.md).\n"
    )


def repr_of(value: Any) -> str:
    """A Python literal with double quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{repr_of(k)}: {repr_of(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def index() -> str:
    """The list of all methods, and of those that are left out."""
    chosen = own_methods()
    parts = [
        f"{_mark()}# Methods\n",
        f"{len(chosen)} ways to ask which tokens drive a prediction. Each page has the definition with its paper and equation, what "
        "limits trust, the options, and a picture. [What works with what](../support.md) was tried with every family of models.\n",
    ]
    for need, (title, _) in NEEDS.items():
        rows = [
            [f"[{cell(m.title)}]({m.name}.md)", cell(m.summary), "yes" if m.signed else "no", cell(m.cost)]
            for m in sorted(chosen.values(), key=lambda m: m.title.lower())
            if m.needs == need
        ]
        if rows:
            parts.append(
                f"## {title}\n\nAsks for {NEEDS[need][1]}.\n\n"
                + table(["method", "what it shows", "signed", "cost"], rows)
            )
    parts.append(
        "## Left out, and why\n\n"
        + "\n".join(f"- **{escape(name)}.** {escape(why)}" for name, why in LEFT_OUT.items())
    )
    return "\n".join(parts) + "\n"


def _mark() -> str:
    return f"<!-- Written by `{COMMAND}`: do not edit. -->\n"


def pages() -> dict[Path, str]:
    """Every generated text by its file, but for the table of ``docs.support``."""
    described = (
        json.dumps(
            {"$comment": f"Written by `{COMMAND}`: do not edit.", **schema()}, indent=2, ensure_ascii=False
        )
        + "\n"
    )
    methods = {PAGES / f"{name}.md": page(m) for name, m in own_methods().items()}
    return {
        PAGES / "README.md": index(),
        ROOT / "metrics.md": f"{_mark()}{quality.page()}",
        SCHEMA: described,
        **methods,
    }


def stale() -> list[Path]:
    """Pages that are not what would be written, pages and pictures of methods that are gone, and pictures that are missing."""
    wanted = pages()
    pictures = {PICTURES / f"{name}.svg" for name in own_methods() if name not in NO_PICTURE}
    wrong = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    return sorted([*wrong, *_gone(), *(path for path in pictures if not path.exists())])


def _gone() -> list[Path]:
    """Pages and pictures of methods that there are no more."""
    known = {"README", *own_methods()}
    return [path for path in (*PAGES.glob("*.md"), *PICTURES.glob("*.svg")) if path.stem not in known]


def picture(method: Method) -> bytes:
    return render(attribute(**example(method)), "svg", width=WIDTH)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something is stale")
    parser.add_argument(
        "--pictures", action="store_true", help="draw every picture anew, not only those that are missing"
    )
    given = parser.parse_args(arguments)
    if given.check:
        wrong = [str(path.relative_to(ROOT.parent)) for path in stale()]
        if wrong:
            print(f"Stale: {', '.join(wrong)}. Run {COMMAND}", file=sys.stderr)
        return int(bool(wrong))
    for path in _gone():
        path.unlink()
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    failed = False
    for name in own_methods().keys() - NO_PICTURE:
        file = PICTURES / f"{name}.svg"
        if given.pictures or not file.exists():
            try:
                file.write_bytes(picture(own_methods()[name]))
            except Exception as error:  # The other pictures are drawn all the same.
                failed = True
                print(f"{name}: no picture ({type(error).__name__}: {error})", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
