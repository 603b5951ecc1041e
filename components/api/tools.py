"""The tools of the MCP server, which assistants call: few, and with short answers.

They are endpoints without Gradio's queue, which the server calls directly; places are those of the engine.
No ``from __future__ import annotations`` here: Gradio reads the types of endpoints as they stand.
"""

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from attribution import list_methods, sentences
from attribution.engine import Engine
from attribution.errors import AttributionError, BadOption, NotInstalled, quote
from attribution.export.drawing.cells import limits
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.studies.comparison import DEFAULTS
from attribution.types import Attribution

from ..bugs import bug
from .comparison import answer_comparison
from .documents import describe_attribution, describe_comparison
from .endpoints import answer
from .lists import list_model_entries

NAMES = ("explain_prediction", "compare_methods", "list_models", "list_methods")
METHODS = list(DEFAULTS)
WORDS = 10
"""Words of a short answer by default."""
MOST_WORDS = 512


class ToolError(gr.Error):
    """An error for an assistant, whose text is the message alone."""

    def __str__(self) -> str:
        return str(self.message)


def require_package() -> None:
    """Raise ``NotInstalled`` where the MCP server cannot run."""
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise NotInstalled(
            "The MCP server needs mcp, which is not installed here.",
            "pip install attribution-visualization-tool[mcp], or leave --mcp out.",
        ) from error


def declare(engine: Engine) -> None:
    """Declare the tools inside a ``gr.Blocks``, before any page."""
    for tool in (_explain_prediction(engine), _compare_methods(engine), _list_models(), _list_methods()):
        gr.api(tool, api_name=tool.__name__, queue=False)


def _explain_prediction(engine: Engine) -> Callable[..., Any]:
    def explain_prediction(
        text: str,
        method: str = DEFAULT_METHOD,
        model: str = DEFAULT_MODEL,
        target: str = "",
        contrast: str = "",
        second: str = "",
        words: int = WORDS,
        full: bool = False,
    ) -> str:
        """Explain why a language model makes its prediction for a text: which words drive it, and how much.

        Args:
            text: The text that the model reads.
            method: The attribution method, a name from list_methods.
            model: A name from list_models; the default is a classifier of English sentiment.
            target: The label to explain. Empty: the label that the model predicts.
            contrast: Explain why the target rather than this label. Empty: no contrast.
            second: The other text of a pair, for models that read two: a hypothesis, a context. Empty: none.
            words: How many of the strongest words the answer has.
            full: Answer with every token, number and position instead of the strongest words.

        Returns:
            JSON: prediction, what is explained, the strongest words with signed scores, and notes on what
            limits trust in the numbers. With full, the document of POST /api/attribute.
        """
        fields = {"text": text, "method": method, "model": model}
        optional = {"target": target, "contrast": contrast, "second": second}
        count = _check_count(words)

        def work() -> dict[str, Any]:
            result = answer(engine, fields | {name: value for name, value in optional.items() if value})
            return describe_attribution(result, model) if full else _summarise(result, count)

        return _answer(work)

    return explain_prediction


def _compare_methods(engine: Engine) -> Callable[..., Any]:
    def compare_methods(
        text: str,
        methods: list[str] = METHODS,
        model: str = DEFAULT_MODEL,
        full: bool = False,
    ) -> str:
        """Explain one prediction by several attribution methods, and say where they agree and disagree.

        Args:
            text: The text that the model reads.
            methods: Names from list_methods.
            model: A name from list_models; the default is a classifier of English sentiment.
            full: Answer with every attribution in full instead of the strongest words of each.

        Returns:
            JSON: the strongest words of each method, how alike the methods rank the words (Kendall's tau-b),
            and the words on which they disagree. With full, the document of POST /api/compare.
        """

        def work() -> dict[str, Any]:
            comparison = answer_comparison(engine, {"text": text, "methods": methods, "models": [model]})
            if full:
                return describe_comparison(comparison)
            entries = zip(comparison.names, comparison.attributions, strict=True)
            return {
                "explanations": {
                    name: _summarise(entry, 5) if isinstance(entry, Attribution) else {"error": str(entry)}
                    for name, entry in entries
                },
                "agreement": {
                    "methods": list(comparison.names),
                    "kendall_tau_b": comparison.agreement("kendall").values,
                },
                "disagreements": [entry.sentence for entry in comparison.disagreements()],
                "notes": list(comparison.notes),
            }

        return _answer(work)

    return compare_methods


def _list_models() -> Callable[..., Any]:
    def list_models() -> str:
        """List the language models that can be explained here, with their tasks.

        Returns:
            JSON: name, task, language and description of each model.
        """
        keys = ("name", "task", "language", "description")
        return _answer(lambda: [{key: entry[key] for key in keys} for entry in list_model_entries()])  # type: ignore[literal-required]

    return list_models


def _list_methods() -> Callable[..., Any]:
    def list_all() -> str:
        """List the attribution methods: what each computes, and what it does not show.

        Returns:
            JSON: name, title, summary and caveat of each method.
        """
        keys = ("name", "title", "summary", "caveat")
        entries = [method.to_dict() for method in list_methods().values()]
        return _answer(lambda: [{key: entry[key] for key in keys} for entry in entries])

    list_all.__name__ = "list_methods"
    return list_all


def _check_count(words: object) -> int:
    if isinstance(words, bool) or not isinstance(words, int | float) or not 1 <= words <= MOST_WORDS:
        raise ToolError(
            str(BadOption(f"words is {quote(words)}.", f"It must be a whole number from 1 to {MOST_WORDS}.")),
            print_exception=False,
        )
    return int(words)


def _summarise(result: Attribution, count: int) -> dict[str, Any]:
    """The prediction, the strongest words of each output, and all that limits trust in them."""
    merged = result.words()
    rows = [
        {
            "target": sentences.output_name(output),
            "words": [
                {"word": token.text, "score": float(f"{score:.4g}")}
                for token, score in merged.top(count, row)
            ],
        }
        for row, output in enumerate(merged.outputs)
    ]
    return {
        "prediction": sentences.prediction(result),
        "explained": sentences.target(result),
        "method": sentences.method(result),
        "model": result.model.name,
        "unit": result.unit,
        "signed": result.signed,
        **(rows[0] if len(rows) == 1 else {"outputs": rows}),
        "notes": limits(result, special=False),
    }


def _answer(work: Callable[[], Any]) -> str:
    """The JSON of an answer. Raises ``ToolError``; a bug is logged with an id, and never shown."""
    try:
        return json.dumps(work(), ensure_ascii=False)
    except AttributionError as error:
        raise ToolError(str(error), title=type(error).__name__, print_exception=False) from error
    except Exception as error:
        raise ToolError(str(bug()), print_exception=False) from error
