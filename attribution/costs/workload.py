"""What is about to be computed: the record that the engine hands to whoever observes its computations."""

from __future__ import annotations

from dataclasses import dataclass

from attribution.methods import Method
from attribution.models.adapter import Adapter
from attribution.models.function import Function
from attribution.models.perturbable import Perturbable
from attribution.types import Option

Options = tuple[tuple[str, Option], ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """One method with its checked options, sorted by name, on one function ``f``."""

    f: Perturbable
    method: Method
    options: Options

    @property
    def model(self) -> Adapter | Function:
        """The model behind ``f``."""
        assert isinstance(self.f.adapter, Adapter | Function)
        return self.f.adapter

    @property
    def companion(self) -> Adapter | None:
        """The second model that the method asks, if any."""
        return self.f.companion
