"""The attribution methods: one file a method, found by themselves.

A method is a function ``(f: Objective, *, options...) -> Scores`` under ``@method(...)``, or a generator of
previews that returns its scores. Its docstring cites the paper and the equation. Packages outside this one
add methods through the entry point group ``attribution.methods``.
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
    """What a method gives back: ``values`` [outputs, inputs], and what is known about how far to trust them.

    ``errors`` is the standard error of each score, [outputs, inputs]; ``fit`` the R² of a fitted model, one
    per output.
    """

    values: Tensor
    completeness: tuple[Completeness, ...] | None = None
    notes: tuple[str, ...] = ()
    errors: Tensor | None = None
    fit: tuple[float, ...] | None = None


Found = Scores | Generator[Scores, None, Scores]
"""A method returns its scores; one that gets better and better yields previews where ``f.previews``, and
returns the last.
"""


@dataclass(frozen=True)
class Method:
    """One registered method.

    ``needs`` says what it asks of a model: ``"gradients"`` (differentiable from the embeddings on),
    ``"attentions"`` (attention weights) or ``"texts"`` (only predictions for changed texts); ``requires``
    what it asks of a task. ``unit`` may name ``{quantity}``, the explained number. ``companion`` is an option
    that names another model, which the function finds as ``f.companion`` (None for an empty name).
    ``at_text`` says that the function asks for ``f.gradient()``, which then comes with the prediction in one
    pass. ``first``, with the same arguments as the function, gives points [rows, inputs, hidden] to compute
    in that pass too: the function finds ``f.first_pass``.
    """

    name: str
    function: Callable[..., Found]
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
        """What the function gives, and whether that is all: previews are False, the last is True."""
        found = self.function(f, **options)
        if isinstance(found, Scores):
            yield found, True
            return
        while True:
            try:
                preview = next(found)
            except StopIteration as end:
                yield end.value, True
                return
            yield preview, False

    def run(self, f: Perturbable, **options: types.Option) -> Scores:
        """The finished scores."""
        *_, (found, _) = self.steps(f, **options)
        return found

    def check_options(self, given: Mapping[str, object]) -> tuple[tuple[str, types.Option], ...]:
        """All options with their values, sorted by name. Raises ``BadOption``."""
        return check_options(self.name, self.options, given)

    def fits(self, task: Task) -> bool:
        """Whether the task has every trait that the method requires."""
        return all(getattr(task, trait) for trait in self.requires)

    @property
    def fitting_tasks(self) -> tuple[Task, ...]:
        """The tasks that this method explains."""
        return tuple(task for task in tasks.list_tasks().values() if self.fits(task))

    def why_not(self, task: Task | str, gives: frozenset[Need] = EVERYTHING) -> str | None:
        """The reason, as a sentence, why this method does not work; None where it does.

        ``task`` is a task or its name, ``gives`` what the model can be asked for.
        """
        if self.needs not in gives:
            return f"{self.title} needs the model's {self.needs}, and this one only answers texts."
        wanted = task if isinstance(task, Task) else tasks.of(task)
        if self.fits(wanted):
            return None
        works = " and ".join(fitting.title for fitting in self.fitting_tasks)
        return f"{self.title} explains {works}, not {wanted.title}."

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
) -> Callable[[Callable[..., Found]], Method]:
    """Make a function a ``Method`` under the function's name."""

    def register(function: Callable[..., Found]) -> Method:
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


class Described(Protocol):
    """What a look-up needs of a method; its code may be elsewhere."""

    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


AnyMethod = TypeVar("AnyMethod", bound=Described)


def look_up(name: object, methods: Mapping[str, AnyMethod]) -> AnyMethod:
    """The method of that name or alias among ``methods``. Raises ``UnknownMethod`` with the nearest name."""
    if isinstance(name, str):
        wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
        for candidate in methods.values():
            if wanted == candidate.name or wanted in candidate.aliases:
                return candidate
    raise UnknownMethod(f"There is no method {quote(name)}.", nearest(name, methods))


make_callable(__name__, list_methods)
