"""A page and a picture for each method, and the index of all of them, written from the registry."""

from __future__ import annotations

import inspect
import json
from typing import Any

from attribution import attribute
from attribution.export import render
from attribution.methods import Method
from attribution.models.sources import catalogue
from attribution.models.tasks import list_tasks
from attribution.registry import Option
from attribution.settings import DEFAULT_MODEL
from attribution.types import Need
from docs.markdown import cell, escape, from_docstring, table
from docs.support import own_methods
from tests.quick import QUICK

PICTURE_WIDTH = 760
"""Pixels."""

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
    "Discretized integrated gradients (Sanyal & Ren 2021)": (
        "Its path runs through words near the straight line, found in a graph of nearest neighbours over "
        "the whole vocabulary, which would have to be computed for each model beforehand."
    ),
    "Guided backpropagation (Springenberg et al. 2015) and deconvolution (Zeiler & Fergus 2014)": (
        "Both define what happens to a gradient at a ReLU; most transformers have GELU or SiLU there, for "
        "which neither is defined."
    ),
    "Grad-CAM (Selvaraju et al. 2017)": (
        "It weights the feature maps of a convolution by their gradients, and a transformer has no such maps."
    ),
    "DeepLIFT SHAP (Lundberg & Lee 2017)": (
        "The mean of DeepLift over a data set of baselines needs that data set, which one typed text does "
        "not bring along."
    ),
    "Scores for layers and neurons (conductance, internal influence)": (
        "They explain units inside a model; here the tokens of its input are explained."
    ),
    "Interactions of tokens (integrated Hessians, Shapley interaction indices)": (
        "They score pairs or sets of tokens; here each token has one score for each output."
    ),
    "Anchors (Ribeiro et al. 2018)": ("Their answer is a rule, not a score for each token."),
    "Influence functions, TracIn": (
        "They score examples of the training data, which a checkpoint does not include."
    ),
}
"""Methods that people know from elsewhere, and why they are not here."""


def example(method: Method) -> dict[str, Any]:
    """The arguments of ``attribute`` for a method's picture.

    That of the default model's task if it fits, else the first task with an example. Raises ``ValueError`` if
    there is none.
    """
    entry = catalogue.find(DEFAULT_MODEL)
    default = [] if entry is None else [list_tasks()[entry.task]]
    for task in [*default, *list_tasks().values()]:
        if task.example and method.fits(task):
            return {**task.example, "method": method.name}
    raise ValueError(f"{method.title} explains no task with an example: add one to the task's file.")


def page(method: Method) -> str:
    """The Markdown of one method."""
    text = example(method)["text"]
    first, _, rest = from_docstring(inspect.getdoc(method.function) or "").partition("\n\n")
    definition = "\n".join(f"> {line}".rstrip() for line in first.strip().splitlines())
    options = _options(method.options) if method.options else "None.\n"
    image = (
        f'![The words of "{escape(text)}" in the colours of their scores](../pictures/{method.name}.svg)\n\n'
    )
    image = "" if method.name in NO_PICTURE else image
    return (
        f"# {escape(method.title)}\n\n{escape(method.summary)}\n\n"
        f"{image}"
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
        unit += ": logit, log-probability or probability, as requested"
    tasks = ", ".join(task.title for task in method.fitting_tasks)
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
    arguments = example(method)
    options = QUICK.get(method.name) or {option.name: option.default for option in method.options[:1]}
    keywords = {**arguments, **options}
    call = ", ".join(
        [
            literal(keywords.pop("text")),
            *(f"{name}={literal(value)}" for name, value in keywords.items()),
        ]
    )
    body = {**arguments, "options": options} if options else arguments
    return (
        "On this machine, by the Python client, and over HTTP:\n\n"
        f"{_not_run(method)}"
        "```python\n"
        "import requests\n\n"
        "from attribution import Client, attribute\n\n"
        f"attribute({call})\n"
        f'Client("http://127.0.0.1:7860").attribute({call})\n'
        f'requests.post("http://127.0.0.1:7860/api/attribute", json={literal(body)}).json()\n'
        "```\n\n"
        "See [the library](../library.md), and [client and REST](../client.md).\n"
    )


def _not_run(method: Method) -> str:
    """The marker that keeps the tests from running a block that needs the network."""
    return "<!-- not run: needs a second model, from the Hub -->\n" if method.name in NO_PICTURE else ""


def literal(value: Any) -> str:
    """A Python literal with double quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def index() -> str:
    """The list of all methods, and of those that are left out."""
    methods = own_methods()
    parts = [
        "# Methods\n",
        f"{len(methods)} ways to ask which tokens drive a prediction. Each page has the definition with "
        "its paper and equation, what limits trust, the options, and a picture. "
        "[What works with what](../support.md) is a table of every method on every family of models.\n",
    ]
    for need, (title, _) in NEEDS.items():
        rows = [
            [f"[{cell(m.title)}]({m.name}.md)", cell(m.summary), "yes" if m.signed else "no", cell(m.cost)]
            for m in sorted(methods.values(), key=lambda m: m.title.lower())
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


def picture(method: Method) -> bytes:
    """The SVG file of a method's example."""
    return render(attribute(**example(method)), "svg", width=PICTURE_WIDTH)
