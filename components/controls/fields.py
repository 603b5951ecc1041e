"""The controls of a page, each listed once: what a link sets, what a change of the model does, who reads it.

The wiring of a page follows from its list of fields: opening a link, choosing a model, drawing, the values
of handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attribution.engine import Engine

from ..live.answers import QUIET
from . import choices

Values = Mapping[str, Any]
"""The values of a page's controls by name."""


@dataclass(frozen=True)
class Link:
    """The address that opens a page: its query, and the models that it names.

    ``longest`` limits texts, in characters.
    """

    query: Mapping[str, str]
    models: tuple[str, ...]
    longest: int

    @property
    def model(self) -> str:
        return self.models[0]

    def text(self, name: str, default: str = "") -> str:
        """A parameter, cut off where it is too long for the engine."""
        return self.query.get(name, default)[: self.longest]

    def update(self, name: str, longest: int | None = None, default: str = "") -> dict[str, str]:
        """``{"value": ...}``, or nothing where there is none, since setting a value draws again."""
        if name in self.query:
            return {"value": self.query[name][: longest or self.longest]}
        return {"value": default} if default else {}

    def number(self, name: str, default: int) -> int:
        """A whole number of up to nine digits; ``default`` for anything else."""
        digits = self.query.get(name, "")
        return int(digits) if digits.isdecimal() and len(digits) < 10 else default

    def names(self, name: str) -> list[str]:
        """A parameter with commas as a list."""
        return [part.strip() for part in self.query.get(name, "").split(",") if part.strip()]


@dataclass(frozen=True)
class Field:
    """One control of a page, or a component that follows the model.

    Attributes
    ----------
    name : its name in links and in the values of handlers; "" for a component that no handler reads.
    from_link : its value or update when a link opens the page; without it, that of ``on_model``.
    on_model : its value or update after a visitor chose the models; it may depend on the values of the page.
    redraws : whether the pictures follow it.
    shared : whether it belongs to the request, and so to links and files.
    """

    control: Any
    name: str = ""
    from_link: Callable[[Link], Any] | None = None
    on_model: Callable[[Sequence[str], Values], Any] | None = None
    redraws: bool = True
    shared: bool = True

    def open(self, link: Link) -> Any:
        """Its value when a link opens the page."""
        if self.from_link:
            return self.from_link(link)
        return self.on_model(link.models, {}) if self.on_model else gr.skip()


def single_model(engine: Engine, query: Mapping[str, str]) -> list[str]:
    """The model that a link names, for pages with a single one."""
    return [choices.linked_model(engine, query)]


class Form:
    """The fields of a page, wired."""

    def __init__(
        self,
        engine: Engine,
        fields: Sequence[Field],
        *,
        models: Callable[[Engine, Mapping[str, str]], Sequence[str]] = single_model,
    ) -> None:
        """``models`` reads the models of a link from its query."""
        self._engine, self._fields, self._models = engine, fields, models
        self.controls = {field.name: field.control for field in fields if field.name and field.shared}
        """What a request consists of, by name."""

    def read(self, values: Sequence[Any]) -> dict[str, Any]:
        """The values of ``controls``, in their order, by name."""
        return dict(zip(self.controls, values, strict=True))

    @property
    def inputs(self) -> list[Any]:
        """The controls of ``read``, for an event."""
        return list(self.controls.values())

    def on_change(self, **event: Any) -> None:
        """Run an event when a control of a request changes."""
        gr.on([field.control.change for field in self._fields if field.name and field.redraws], **event)

    def on_model(self) -> Any:
        """Fit the page to the models that a visitor chooses.

        Not to those of a link, which sets them together with everything that depends on them.
        """
        followers = [field for field in self._fields if field.on_model]
        named = {field.name: field.control for field in self._fields if field.name}

        def choose_model(*contents: Any) -> Any:
            values = dict(zip(named, contents, strict=True))
            return _outputs([field.on_model(_models_of(values), values) for field in followers])  # type: ignore[misc]

        return self._model.input(
            choose_model,
            list(named.values()),
            [field.control for field in followers],
            **QUIET,
            preprocess=False,
        )

    def on_open(self, demo: gr.Blocks) -> Any:
        """Set the page to what its address asks for."""
        opened = [field for field in self._fields if field.from_link or field.on_model]
        longest = (
            self._engine.settings.max_characters + 1
        )  # one more, so that the engine says that it is too long

        def open_link(request: gr.Request) -> Any:
            query = dict(request.query_params)
            link = Link(query, tuple(self._models(self._engine, query)), longest)
            return _outputs([field.open(link) for field in opened])

        return demo.load(open_link, None, [field.control for field in opened], **QUIET)

    def offer(self, examples: gr.Dataset) -> None:
        """Set the texts to the example that a visitor clicks."""

        def choose_example(sample: list[str], models: Any) -> tuple[str, Any]:
            return sample[0], choices.second_of(_first(models), sample[0])

        texts = [self.controls["text"], self.controls["second"]]
        examples.click(choose_example, [examples, self._model], texts, **QUIET)

    @property
    def _model(self) -> Any:
        return self.controls.get("models") or self.controls["model"]


def _models_of(values: Values) -> Sequence[str]:
    return values["models"] if "models" in values else [values["model"]]


def _first(models: str | Sequence[str]) -> str:
    return models if isinstance(models, str) else choices.lead(models)


def _outputs(values: list[Any]) -> Any:
    """Gradio takes what a handler returns for a single output as it is."""
    return values if len(values) > 1 else values[0]
