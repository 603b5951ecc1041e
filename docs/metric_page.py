"""The page about the metrics, written from the registry."""

from __future__ import annotations

import inspect
import json

from attribution.metrics import KINDS, Metric, list_metrics
from attribution.registry import Option
from docs.markdown import cell, escape, from_docstring, table

INTRODUCTION = """# Metrics

An explanation can be wrong in several ways, so no single number says how good it is. Each metric below asks
one question.

```python
from attribution import assess, attribute, evaluate

texts = ["A warm, funny film.", "What a waste.", "It is not good.", "Not bad at all!", "I hated it."]
methods = ["integrated_gradients", "occlusion"]
evaluation = evaluate(texts, methods=methods, metrics=["deletion", "infidelity"])
print(evaluation.best("deletion").sentence)
evaluation.save("quality.html")

print(*assess([attribute(texts[0], method=name) for name in methods]).sentences)
```

What holds for all of them:

- **Words.** Scores are summed over the tokens of a word. Special tokens, the masked place itself and
  generated tokens after the output stay as they are. For a signed method the word that speaks most for the
  explained output comes first, for others the strongest; ties are resolved in reading order.
- **What is measured.** The probability of the explained label or token; of a contrast, its chance among the
  two. A model that gives no probability (regression, similarity) is measured by its own number, and the
  ranges below do not hold for it.
- **Hidden words.** Their embeddings are replaced (`hide`), by that of the mask token if there is one.
  Nothing is decoded and tokenized again. Only a function of texts gets texts without the words.
- **Undefined** is an answer: where all words have the same score, or where there is no scale, the value is
  missing and the reason is given. It is left out of the means and counted.
- **The control.** Random scores are measured beside all methods. A method that is not distinguishable from
  them says nothing.
- **Intervals** hold 95 % of the bootstrap draws over the texts. Methods are compared on the same draws: of
  two whose intervals overlap, one may still be better on almost every text. With fewer than five texts
  nothing is distinguishable.
- Of text with several outputs (generated tokens, named entities) the value is the mean over the outputs.

No metric knows the truth. Metrics that hide words ask the model about texts unlike those that it was
trained on, and prefer methods that do the same. Compare several ways of hiding, and read more than one
metric.
"""


def page() -> str:
    """The Markdown of all of the project's metrics, by kind."""
    parts = [INTRODUCTION]
    for kind, question in KINDS.items():
        chosen = sorted((m for m in own_metrics().values() if m.kind == kind), key=lambda m: m.title.lower())
        if chosen:
            rows = [
                [f"[{cell(m.title)}](#{m.name})", f"`{m.name}`", f"{m.better} is better", cell(m.summary)]
                for m in chosen
            ]
            parts.append(
                f"## {kind.capitalize()}\n\n{question}\n\n"
                + table(["metric", "name", "direction", "what it asks"], rows)
            )
            parts += [_metric(metric) for metric in chosen]
    return "\n".join(parts)


def own_metrics() -> dict[str, Metric]:
    """The project's metrics by name, without those that another installed package adds."""
    return {
        name: m
        for name, m in list_metrics().items()
        if m.function.__module__.startswith("attribution.metrics.")
    }


def _metric(metric: Metric) -> str:
    low, high = (f"{end:g}" if end is not None else "∞" for end in (metric.low, metric.high))
    low = "−∞" if metric.low is None else low.replace("-", "−")
    facts = f"{metric.better} is better · from {low} to {high} · cost: {escape(metric.cost)}"
    first, _, rest = from_docstring(inspect.getdoc(metric.function) or "").partition("\n\n")
    options = _options(metric.options) if metric.options else ""
    return (
        f"### {metric.name}\n\n**{escape(metric.title)}.** {escape(metric.summary)}\n\n{facts}\n\n"
        f"> {first.strip()}\n\n{rest.strip()}\n\n**What limits trust:** {escape(metric.caveat)}\n\n{options}"
    ).rstrip() + "\n"


def _options(options: tuple[Option, ...]) -> str:
    rows = [[f"`{o.name}`", f"`{json.dumps(o.default)}`", cell(o.help)] for o in options]
    return table(["option", "default", "what it does"], rows)
