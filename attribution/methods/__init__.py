"""The attribution methods, one file each, registered automatically.

A method is a function ``(f: Objective, *, options...) -> Scores`` under ``@method(...)``, or a generator of
previews that returns its scores. Its docstring cites the paper and the equation. Other packages add methods
through the entry point group ``attribution.methods``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attribution import types
from attribution.deprecation import make_callable
from attribution.errors import UnknownMethod, nearest, quote
from attribution.models import tasks
from attribution.models.tasks import Task, Trait
from attribution.registry import Option, check_options, discover, options_of
from attribution.types import Completeness, Need

if TYPE_CHECKING:
    from torch import Tensor

    from attribution.models.perturbable import Perturbable

EVERYTHING: frozenset[Need] = frozenset(("gradients", "attentions", "texts"))


@dataclass(frozen=True)
class Scores:
    """A method's result: ``values`` [outputs, inputs], and evidence of how far to trust them.

    ``errors`` is the standard error of each score, [outputs, inputs]; ``fit`` the R² of a fitted model, one
    per output.
    """

    values: Tensor
    completeness: tuple[Completeness, ...] | None = None
    notes: tuple[str, ...] = ()
    errors: Tensor | None = None
    fit: tuple[float, ...] | None = None


MethodResult = Scores | Generator[Scores, None, Scores]
"""A method returns its scores; one that refines them yields previews while ``f.previews`` is set, and returns
the final ones.
"""


@dataclass(frozen=True)
class Method:
    """One registered method.

    ``needs`` is what the method needs of a model: ``"gradients"`` (differentiable from the embeddings on),
    ``"attentions"`` (attention weights) or ``"texts"`` (only predictions for changed texts); ``requires``
    lists the traits that it needs of a task. ``unit`` may contain ``{quantity}``, the explained number.
    ``companion`` is the option that names a second model, available to the function as ``f.companion`` (None
    for an empty name). ``at_text``: the function calls ``f.gradient()``, so the gradient is computed together
    with the prediction. ``first`` takes the function's arguments and returns points [rows, inputs, hidden] to
    compute in that pass too; their results are in ``f.first_pass``.
    """

    name: str
    function: Callable[..., MethodResult]
    title: str
    summary: str
    caveat: str
    cost: str
    signed: bool
    unit: str
    needs: Need
    requires: tuple[Trait, ...]
    aliases: tuple[str, ...]
    companion: str
    at_text: bool
    first: Callable[..., Tensor] | None
    options: tuple[Option, ...]

    def steps(self, f: Perturbable, **options: types.Option) -> Iterator[tuple[Scores, bool]]:
        """The function's scores as they are refined, each with whether it is the final one."""
        result = self.function(f, **options)
        if isinstance(result, Scores):
            yield result, True
            return
        while True:
            try:
                preview = next(result)
            except StopIteration as end:
                yield end.value, True
                return
            yield preview, False

    def run(self, f: Perturbable, **options: types.Option) -> Scores:
        """The final scores."""
        *_, (scores, _) = self.steps(f, **options)
        return scores

    def check_options(self, options: Mapping[str, object]) -> tuple[tuple[str, types.Option], ...]:
        """All options with their values, sorted by name. Raises ``BadOption``."""
        return check_options(self.name, self.options, options)

    def fits(self, task: Task) -> bool:
        """Whether the task has every trait that the method requires."""
        return all(getattr(task, trait) for trait in self.requires)

    @property
    def fitting_tasks(self) -> tuple[Task, ...]:
        """The tasks that this method explains."""
        return tuple(task for task in tasks.list_tasks().values() if self.fits(task))

    def unsupported_reason(self, task: Task | str, gives: frozenset[Need] = EVERYTHING) -> str | None:
        """Why this method does not work for a task, as a sentence; None where it does.

        ``task`` is a task or its name, ``gives`` what the model provides.
        """
        if self.needs not in gives:
            return f"{self.title} needs the model's {self.needs}, but this model only answers texts."
        resolved = task if isinstance(task, Task) else tasks.of(task)
        if self.fits(resolved):
            return None
        works = " and ".join(fitting.title for fitting in self.fitting_tasks)
        return f"{self.title} explains {works}, not {resolved.title}."

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the API and the documentation."""
        plain = ("name", "title", "summary", "caveat", "cost", "signed", "unit", "needs")
        return {
            **{name: getattr(self, name) for name in plain},
            "tasks": [task.name for task in self.fitting_tasks],
            "aliases": list(self.aliases),
            "options": [option.to_dict() for option in self.options],
            "reference": inspect.getdoc(self.function) or "",
        }


def method(
    *,
    title: str,
    summary: str,
    caveat: str,
    cost: str,
    signed: bool,
    unit: str,
    needs: Need,
    requires: tuple[Trait, ...] = (),
    aliases: tuple[str, ...] = (),
    companion: str = "",
    at_text: bool = False,
    first: Callable[..., Tensor] | None = None,
) -> Callable[[Callable[..., MethodResult]], Method]:
    """Register a function as a ``Method`` under its own name."""

    def register(function: Callable[..., MethodResult]) -> Method:
        return Method(
            name=function.__name__,
            function=function,
            title=title,
            summary=summary,
            caveat=caveat,
            cost=cost,
            signed=signed,
            unit=unit,
            needs=needs,
            requires=requires,
            aliases=aliases,
            companion=companion,
            at_text=at_text,
            first=first,
            options=options_of(function),
        )

    return register


@cache
def list_methods() -> Mapping[str, Method]:
    """Every method by name: first the project's own in alphabetical order, then those of other packages."""
    return discover(__name__, Method)


def find(name: object) -> Method:
    """The method of that name or alias. Raises ``UnknownMethod`` with the nearest name."""
    return look_up(name, list_methods())


class HasNames(Protocol):
    """What a look-up needs of a method, which may be a description from a server."""

    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


AnyMethod = TypeVar("AnyMethod", bound=HasNames)


def look_up(name: object, methods: Mapping[str, AnyMethod]) -> AnyMethod:
    """The method of that name or alias among ``methods``. Raises ``UnknownMethod`` with the nearest name."""
    if isinstance(name, str):
        normalized = name.strip().lower().replace("-", "_").replace(" ", "_")
        for candidate in methods.values():
            if normalized == candidate.name or normalized in candidate.aliases:
                return candidate
    raise UnknownMethod(f"There is no method {quote(name)}.", nearest(name, methods))


make_callable(__name__, list_methods)
