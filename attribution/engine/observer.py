"""Who watches the engine's computations: the engine calls it and knows nothing else about it."""

from __future__ import annotations

from typing import Protocol

from attribution.costs.estimates import Estimate
from attribution.costs.workload import Workload


class Observer(Protocol):
    """Hears of every computation before and after it; ``attribution.costs.estimator.Estimator`` is one."""

    def admit(self, workload: Workload, deadline_seconds: float) -> None:
        """Called before the method runs. Raises ``DeadlineExceeded`` for what cannot finish in time."""

    def observe(self, workload: Workload, seconds: float) -> None:
        """Called after the method has run: ``seconds`` include making the function."""

    def estimate(self, workload: Workload) -> Estimate:
        """What the workload will cost. Raises what the method raises before it computes anything."""
