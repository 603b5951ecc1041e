"""What a computation costs: seconds and bytes, estimated from what this model took on this machine.

How much a method computes is counted (``counts``), how long that takes is measured once for each loaded model
(``speeds``), and how far off that is, finished computations tell (``Estimator.observe``). Methods that look
inside the model are timed on short texts instead.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from attribution.costs.counts import DECLARED, Batch, Count, Inside, count_work
from attribution.costs.estimates import ABOUT, Estimate, duration
from attribution.costs.speeds import Curve, Speed, basis, measure, time_call, time_method
from attribution.costs.workload import Options, Workload
from attribution.errors import AttributionError, DeadlineExceeded
from attribution.methods import Method
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.function import Function

Value = TypeVar("Value")

WEIGHT = 0.3
"""Share of a new observation in the mean of a method's ratios of measured to estimated seconds."""
EVERY = 8
"""After so many observations of a method only one in as many is used: counting is not free."""
REMEMBERED = 64
"""Counts that are remembered for each model."""
FAR = 3.0
"""A computation whose lowest estimate is so many times the deadline is refused."""
HELD = 3
"""How often a method holds the points that it evaluates: as points, gradients, and products of the two."""
SAVES = 0.9
"""A smaller option is suggested where at most this share of the seconds is left."""
HARMLESS_ROWS = 4096
"""Rows that any method may take, for the quick check whether a computation could be far too long."""


@dataclass
class _Profile:
    """What was measured of one loaded model on one device.

    ``lock`` makes a second caller wait for the first one's measurement.
    """

    lock: Any = field(default_factory=threading.RLock)
    device: Any = None
    speed: Speed | None = None
    curves: OrderedDict[tuple[str, Options], Curve] = field(default_factory=OrderedDict)
    counts: OrderedDict[Hashable, tuple[Count, Count]] = field(default_factory=OrderedDict)
    ratios: dict[str, tuple[float, int]] = field(default_factory=dict)

    def ratio(self, method: Method) -> tuple[float, int]:
        """Measured to estimated seconds of a method, and from how many observations."""
        return self.ratios.get(method.name, (1.0, 0))


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a workload takes, before it is corrected by what was observed.

    Seconds at least and at most, bytes beside the weights, passes and rows at most.
    """

    low: float
    high: float
    bytes: float
    passes: int | None = None
    rows: int | None = None


class Estimator:
    """Estimates costs, and learns from the computations that it observes. Thread-safe."""

    def __init__(self) -> None:
        self._profiles: WeakKeyDictionary[Adapter | Function, _Profile] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def estimate(self, workload: Workload) -> Estimate:
        """What a workload will cost, as for a text that is new to the model.

        Measures the model first if that was not done. Raises what the method raises before it computes
        anything.
        """
        cost = self._cost(workload)
        ratio, _ = self._profile(workload.model).ratio(workload.method)
        weights = workload.model.bytes + (workload.companion.bytes if workload.companion is not None else 0)
        total = int(weights + cost.bytes)
        result = Estimate(ratio * cost.low, ratio * cost.high, total, cost.passes, cost.rows, "")
        return replace(result, sentence=_sentence(result, workload))

    def observe(self, workload: Workload, seconds: float) -> None:
        """Let a finished computation correct later estimates: ``seconds`` include making its function.

        Does nothing before the first estimate for its model, and after a few observations for most
        computations, so it is cheap.
        """
        profile = self._profile(workload.model)
        if profile.speed is None:
            return
        ratio, observations = profile.ratio(workload.method)
        if (observations < EVERY or observations % EVERY == 0) and self._is_measured(workload):
            cost = self._cost(workload)
            nearest = min(max(seconds, cost.low), cost.high)
            weight = max(WEIGHT, 1 / (observations + 2))
            ratio = math.exp(
                (1 - weight) * math.log(ratio) + weight * math.log(max(seconds, 1e-9) / max(nearest, 1e-9))
            )
        profile.ratios[workload.method.name] = (ratio, observations + 1)

    def admit(self, workload: Workload, deadline_seconds: float) -> None:
        """Refuse a computation that is far from finishing in time. Raises ``DeadlineExceeded``.

        Never on a guess: the model must have been measured already. A quick check spares most computations
        the count.
        """
        limit = FAR * deadline_seconds
        if limit == math.inf or not self._may_exceed(workload, limit):
            return
        result = self.estimate(workload)
        if result.seconds_low > limit:
            raise DeadlineExceeded(
                f"{workload.method.title} would take {duration(result.seconds_low)} or more "
                f"for these {len(workload.f.tokens)} tokens; the limit is {duration(deadline_seconds)}.",
                self._suggest(workload),
            )

    def speed_of(self, workload: Workload) -> Speed:
        """The speed of the workload's model, measured now if it was not.

        A function is called once more, with the text of ``f``.
        """
        model, f = workload.model, workload.f
        if isinstance(model, Adapter):
            return self.speed_of_adapter(model)
        profile = self._profile(model)
        with profile.lock:
            if profile.speed is None:
                row = f.text if f.second is None else (f.text, f.second)
                seconds = time_call(lambda: model([row], Deadline()), None)
                profile.speed = Speed((0.0, seconds, 0.0), (0.0, 0.0, 0.0))
            return profile.speed

    def speed_of_adapter(self, model: Adapter) -> Speed:
        """The speed of a model, measured now if it was not."""
        profile = self._profile(model)
        with profile.lock:
            if profile.speed is None:
                profile.speed = measure(model)
            return profile.speed

    def _profile(self, model: Adapter | Function) -> _Profile:
        device = model.device
        with self._lock:
            profile = self._profiles.setdefault(model, _Profile(device=device))
            if profile.device != device:  # moved to another device
                profile = self._profiles[model] = _Profile(device=device)
            return profile

    def _count(self, workload: Workload) -> tuple[Count, Count]:
        """``count_work``, or what is declared; the last few counts are remembered. Raises ``Inside``."""
        f, method = workload.f, workload.method
        if method.name in DECLARED and workload.companion is not None:
            return DECLARED[method.name](workload)
        profile = self._profile(workload.model)
        size = len(f.outputs), len(f.tokens)
        key = method.name, workload.options, f.text, f.second, size, workload.companion is None
        with profile.lock:
            return _remember(profile.counts, key, lambda: count_work(workload))

    def _cost(self, workload: Workload) -> _Cost:
        """Measures what was not measured. Raises what the method raises before it computes anything."""
        f, model = workload.f, workload.model
        speed = self.speed_of(workload)
        # f's own pass, which makes the prediction; a text that the model wrote was written before that, or is
        # remembered.
        width = len(f.tokens) if isinstance(model, Adapter) else 1
        first = Batch(1, width, len(f.outputs) if workload.method.at_text else 0)
        start, writing = speed.seconds(first), 0.0
        if model.task.writes and f.target.continuation is None:
            writing = len(f.prediction.labels) * speed.seconds(Batch(1, 1))
        try:
            if workload.method.needs == "attentions":
                raise Inside
            least, most = self._count(workload)
        except Inside:
            curve = self._curve(workload)
            low, high = curve.seconds_range(len(f.tokens), len(f.outputs))
            held_bytes = float(np.dot(curve.bytes, basis(1, len(f.tokens))))
            return _Cost(start + low, start + writing + high, held_bytes)
        companion = workload.companion
        speeds = [speed] + ([self.speed_of_adapter(companion)] if companion is not None else [])
        low, high = (sum(speed.run(count) for speed in speeds) for count in (least, most))
        if isinstance(model, Function):  # it may answer many texts as quickly as one
            low = speed.forward[1] * least.passes + least.overhead
        held_bytes = max(
            (speed.bytes(batch) for speed in speeds for batch in (first, *most.batches)), default=0.0
        )
        held_bytes += HELD * most.rows_held * len(f.tokens) * speed.point
        return _Cost(start + low, start + writing + high, held_bytes, most.passes + 1, most.rows + 1)

    def _curve(self, workload: Workload) -> Curve:
        model, method, options = workload.model, workload.method, workload.options
        assert isinstance(model, Adapter)  # a function's inside is out of reach
        profile = self._profile(model)
        with profile.lock:
            return _remember(
                profile.curves,
                (method.name, options),
                lambda: time_method(model, method, options, workload.companion),
            )

    def _is_measured(self, workload: Workload) -> bool:
        """Whether an estimate would rest on measurements that were made already."""
        profile, companion = self._profile(workload.model), workload.companion
        if profile.speed is None or (companion is not None and self._profile(companion).speed is None):
            return False
        if (workload.method.name, workload.options) in profile.curves:
            return True
        try:
            return workload.method.needs != "attentions" and bool(self._count(workload))
        except Inside:
            return False

    def _may_exceed(self, workload: Workload, limit: float) -> bool:
        """Whether a workload could take more seconds than the limit, and enough was measured to tell."""
        model, method = workload.model, workload.method
        profile = self._profile(model)
        if profile.speed is None:
            return False
        if (method.name, workload.options) in profile.curves:
            return True
        width = len(workload.f.tokens)
        amounts = [value for value, _ in _amounts(method, workload.options).values()]
        rows = max(HARMLESS_ROWS, *amounts, 0) * width
        batch_rows = max(1, model.budget // width) if isinstance(model, Adapter) else 1
        batch = Batch(batch_rows, width, len(workload.f.outputs))
        return rows / batch.rows * profile.speed.seconds(batch) >= limit and self._is_measured(workload)

    def _suggest(self, workload: Workload) -> str:
        """Which amount to lower: the one whose minimum saves most."""
        options = workload.options
        costs: dict[str, float] = {}
        for name, (_, least) in _amounts(workload.method, options).items():
            lowered = tuple((n, least if n == name else v) for n, v in options)
            try:
                costs[name] = self._cost(replace(workload, options=lowered)).low
            except AttributionError:
                continue  # the text does not allow that little
        best = min(costs, key=costs.__getitem__, default=None)
        if best is None or costs[best] > SAVES * self._cost(workload).low:
            several = len(workload.f.outputs) > 1
            return "Use a shorter text, or explain fewer outputs." if several else "Use a shorter text."
        return f"Lower {best}, which is {dict(options)[best]}, or use a shorter text."


def _remember(table: OrderedDict[Any, Value], key: Hashable, make: Callable[[], Value]) -> Value:
    """The value at ``key``, made if it is missing; the table keeps the most recently used ones."""
    if key not in table:
        table[key] = make()
        while len(table) > REMEMBERED:
            table.popitem(last=False)
    table.move_to_end(key)
    return table[key]


def _amounts(method: Method, options: Options) -> dict[str, tuple[int, int]]:
    """The options that are amounts (whole numbers, but for seeds) above their minimum: value and minimum."""
    values = dict(options)
    amounts = {
        o.name: (int(values[o.name]), int(o.minimum or 0))
        for o in method.options
        if o.kind == "int" and o.name != "seed"
    }
    return {name: (value, least) for name, (value, least) in amounts.items() if value > least}


def _sentence(estimate: Estimate, workload: Workload) -> str:
    f = workload.f
    outputs = f" and {len(f.outputs)} outputs" if len(f.outputs) > 1 else ""
    work = ""
    if estimate.rows and estimate.passes:
        most = "at most " if estimate.seconds_high > ABOUT * estimate.seconds_low else ""
        rows = f" of {estimate.rows:,} rows" if estimate.passes != estimate.rows else ""
        work = f", with {most}{estimate.passes:,} forward passes{rows}"
    return (
        f"{workload.method.title} will take {estimate.describe()} for {len(f.tokens)} tokens{outputs}{work}."
    )
