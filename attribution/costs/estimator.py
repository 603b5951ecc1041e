"""What a run costs: seconds and bytes, estimated before it from what this model took on this machine.

How much a method computes is counted (``counts``), how long that takes is measured once for each loaded model (``speeds``), and how far
off that is, finished runs say (``observe``). Methods that look inside the model are timed on short texts instead of counted.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from attribution.costs.counts import DECLARED, Batch, Count, Inside, Options, counted
from attribution.costs.estimates import ABOUT, Estimate, duration
from attribution.costs.speeds import Curve, Speed, basis, clock, measure, timed
from attribution.errors import AttributionError, DeadlineExceeded, Unsupported
from attribution.methods import Method
from attribution.models.adapter import Adapter
from attribution.models.function import Function
from attribution.models.objective import Deadline, Perturbable
from attribution.models.objectives import objective
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.types import WRITERS

if TYPE_CHECKING:
    from attribution.engine import Engine, Model

WEIGHT = 0.3
"""Share of a new observation in the mean of a method's ratios of measured to estimated seconds."""
EVERY = 8
"""After so many observations of a method only one in as many is used: counting is not free."""
REMEMBERED = 64
"""Counts that are kept for each model."""
FAR = 3.0
"""A run whose lowest estimate is so many times the deadline is not begun."""
HELD = 3
"""How often a method holds the points that it asks about: as they are, as gradients and as products of the two."""
SAVES = 0.9
"""A smaller option is named where at most this share of the seconds is left."""
HARMLESS = 4096
"""Rows that any method may take, for the quick look whether a run could be far too long."""


@dataclass
class _Known:
    """What was measured of one loaded model. ``lock`` makes the second caller wait for the first one's measuring."""

    lock: Any = field(default_factory=threading.RLock)
    place: Any = None
    speed: Speed | None = None
    curves: OrderedDict[tuple[str, Options], Curve] = field(default_factory=OrderedDict)
    counts: OrderedDict[tuple[Any, ...], tuple[Count, Count]] = field(default_factory=OrderedDict)
    ratios: dict[str, tuple[float, int]] = field(default_factory=dict)


_every: WeakKeyDictionary[Adapter | Function, _Known] = WeakKeyDictionary()
_lock = threading.Lock()


def _known(model: Adapter | Function) -> _Known:
    place = getattr(model, "device", None)
    with _lock:
        found = _every.setdefault(model, _Known(place=place))
        if found.place != place:  # moved to another device
            found = _every[model] = _Known(place=place)
        return found


def _kept(table: OrderedDict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    """The value of a table that keeps the last few."""
    if key not in table:
        table[key] = make()
        while len(table) > REMEMBERED:
            table.popitem(last=False)
    table.move_to_end(key)
    return table[key]


def _model(f: Perturbable) -> Adapter | Function:
    return f.adapter if hasattr(f, "adapter") else f.function  # type: ignore[attr-defined]


def speed_of(model: Adapter | Function, f: Perturbable | None = None) -> Speed:
    """What was measured of a model, which is done now if it was not. A function is asked once more, for the text of ``f``."""
    known = _known(model)
    with known.lock:
        if known.speed is None:
            if isinstance(model, Adapter):
                known.speed = measure(model)
            else:
                row = f.text if f is None or getattr(f, "second", None) is None else (f.text, f.second)  # type: ignore[union-attr, attr-defined]
                seconds = clock(lambda: model([row], Deadline()), None)
                known.speed = Speed((0.0, seconds, 0.0), (0.0, 0.0, 0.0))
        return known.speed


def _counted(
    f: Perturbable, chosen: Method, options: Options, companion: Adapter | None
) -> tuple[Count, Count]:
    """``counted``, or what is declared; the last few are remembered. Raises ``Inside``."""
    if chosen.name in DECLARED and companion is not None:
        return DECLARED[chosen.name](f, options)
    known = _known(_model(f))
    key = (
        chosen.name,
        options,
        f.text,
        getattr(f, "second", None),
        len(f.outputs),
        len(f.tokens),
        companion is None,
    )
    with known.lock:
        found: tuple[Count, Count] = _kept(known.counts, key, lambda: counted(f, chosen, options, companion))
        return found


@dataclass(frozen=True, slots=True)
class _Bare:
    """What a run takes, uncorrected: seconds at least and at most, bytes beside the weights, passes and rows at most."""

    low: float
    high: float
    bytes: float
    passes: int | None = None
    rows: int | None = None


def _bare(f: Perturbable, chosen: Method, options: Options, companion: Adapter | None) -> _Bare:
    """Measures what was not measured. Raises what the method raises before it computes anything."""
    model = _model(f)
    speed = speed_of(model, f)
    # f's own pass, which makes the prediction; a text that the model wrote was written before that, or is remembered.
    first = Batch(
        1, len(f.tokens) if isinstance(model, Adapter) else 1, len(f.outputs) if chosen.at_text else 0
    )
    start, writing = speed.seconds(first), 0.0
    if model.task in WRITERS and f.target.continuation is None:
        writing = len(f.prediction.labels) * speed.seconds(Batch(1, 1))
    try:
        if chosen.needs == "attentions":
            raise Inside
        least, most = _counted(f, chosen, options, companion)
    except Inside:
        assert isinstance(model, Adapter)  # a function's inside is out of reach
        known = _known(model)
        with known.lock:
            curve: Curve = _kept(
                known.curves, (chosen.name, options), lambda: timed(model, chosen, options, companion)
            )
        low, high = curve.between(len(f.tokens), len(f.outputs))
        return _Bare(start + low, start + writing + high, float(np.dot(curve.bytes, basis(1, len(f.tokens)))))
    speeds = [speed] + ([speed_of(companion)] if companion is not None else [])
    low, high = sum(one.run(least) for one in speeds), sum(one.run(most) for one in speeds)
    if isinstance(model, Function):  # it may answer many texts as quickly as one
        low = speed.forward[1] * least.passes + least.overhead
    held = max((one.bytes(batch) for one in speeds for batch in (first, *most.batches)), default=0.0)
    held += HELD * most.held * len(f.tokens) * speed.point
    return _Bare(start + low, start + writing + high, held, most.passes + 1, most.rows + 1)


def of(f: Perturbable, chosen: Method, options: Options, companion: Adapter | None = None) -> Estimate:
    """What a method will take, with the objective ``f`` itself, as on a text that is new to the model.

    Measures the model first if that was not done. Raises what the method raises before it computes anything.
    """
    model = _model(f)
    bare = _bare(f, chosen, options, companion)
    ratio, _ = _known(model).ratios.get(chosen.name, (1.0, 0))
    total = int(model.bytes + (companion.bytes if companion is not None else 0) + bare.bytes)
    found = Estimate(ratio * bare.low, ratio * bare.high, total, bare.passes, bare.rows, "")
    return replace(found, sentence=_sentence(found, f, chosen))


def observe(
    f: Perturbable, chosen: Method, options: Options, seconds: float, companion: Adapter | None = None
) -> None:
    """Let a finished run correct later estimates: ``seconds`` is what it took together with making ``f``.

    Does nothing before somebody asked for an estimate, and after a few observations for most runs, so it costs next to nothing.
    """
    known = _known(_model(f))
    ratio, seen = known.ratios.get(chosen.name, (1.0, 0))
    if known.speed is None:
        return
    if (seen < EVERY or seen % EVERY == 0) and _is_measured(f, chosen, options, companion):
        bare = _bare(f, chosen, options, companion)
        met = min(max(seconds, bare.low), bare.high)
        weight = max(WEIGHT, 1 / (seen + 2))
        ratio = math.exp(
            (1 - weight) * math.log(ratio) + weight * math.log(max(seconds, 1e-9) / max(met, 1e-9))
        )
    known.ratios[chosen.name] = (ratio, seen + 1)


def _is_measured(f: Perturbable, chosen: Method, options: Options, companion: Adapter | None) -> bool:
    """Whether an estimate rests on measurements that were made already."""
    known = _known(_model(f))
    if known.speed is None or (companion is not None and _known(companion).speed is None):
        return False
    if (chosen.name, options) in known.curves:
        return True
    try:
        return chosen.needs != "attentions" and bool(_counted(f, chosen, options, companion))
    except Inside:
        return False


def check(
    f: Perturbable,
    chosen: Method,
    options: Options,
    deadline_seconds: float,
    companion: Adapter | None = None,
) -> None:
    """Refuse a run that cannot end in time by far. Raises ``DeadlineExceeded``.

    Never on a guess: the model must have been measured already. A quick look tells most runs from those that are worth a count.
    """
    model, limit = _model(f), FAR * deadline_seconds
    known = _known(model)
    if known.speed is None or limit == math.inf:
        return
    if (chosen.name, options) not in known.curves:
        width = len(f.tokens)
        rows = max(HARMLESS, *(value for value, _ in _amounts(chosen, options).values()), 0) * width
        batch = Batch(
            max(1, model.budget // width) if isinstance(model, Adapter) else 1, width, len(f.outputs)
        )
        if rows / batch.rows * known.speed.seconds(batch) < limit or not _is_measured(
            f, chosen, options, companion
        ):
            return
    found = of(f, chosen, options, companion)
    if found.seconds_low > limit:
        raise DeadlineExceeded(
            f"{chosen.title} would take {duration(found.seconds_low)} or more for these {len(f.tokens)} tokens; "
            f"the limit is {duration(deadline_seconds)}.",
            _hint(f, chosen, options, companion),
        )


def _amounts(chosen: Method, options: Options) -> dict[str, tuple[int, int]]:
    """The options that are amounts, whole numbers but for seeds: what is given and the least that may be."""
    given = dict(options)
    amounts = {
        o.name: (int(given[o.name]), int(o.minimum or 0))
        for o in chosen.options
        if o.kind == "int" and o.name != "seed"
    }
    return {name: (value, least) for name, (value, least) in amounts.items() if value > least}


def _hint(f: Perturbable, chosen: Method, options: Options, companion: Adapter | None) -> str:
    """Which amount to lower: the one whose minimum saves most."""
    costs: dict[str, float] = {}
    for name, (_, least) in _amounts(chosen, options).items():
        try:
            costs[name] = _bare(
                f, chosen, tuple((n, least if n == name else v) for n, v in options), companion
            ).low
        except AttributionError:
            continue  # that little does not go with the text
    best = min(costs, key=costs.__getitem__, default=None)
    if best is None or costs[best] > SAVES * _bare(f, chosen, options, companion).low:
        return (
            "Use a shorter text, or explain fewer outputs." if len(f.outputs) > 1 else "Use a shorter text."
        )
    return f"Lower {best}, which is {dict(options)[best]}, or use a shorter text."


# The door.


def estimate(
    engine: Engine, text: str, model: Model = DEFAULT_MODEL, method: str = DEFAULT_METHOD, **asked: Any
) -> Estimate:
    """What ``engine.attribute`` would take for the same arguments, and the errors that it would raise before it computes much.

    The model is loaded, makes its prediction for the text (a function is asked once), and is measured if it was not.
    """
    wanted = engine._check(text, model, method, **asked)
    request, chosen = wanted.request, wanted.method
    with ExitStack() as held:
        leased: Any = (
            wanted.model if wanted.source is None else held.enter_context(engine.store.lease(wanted.source))
        )
        companion = held.enter_context(
            engine._companion(str(dict(request.options).get(chosen.companion, "")))
        )
        deadline = Deadline(engine.settings.deadline_seconds)
        held.enter_context(engine._turn(deadline))
        if reason := chosen.why_not(leased.task, leased.gives):
            raise Unsupported(reason)
        f = objective(leased, request.text, request.target, deadline, second=request.second)
        return of(f, chosen, request.options, companion)


# Words.


def _sentence(found: Estimate, f: Perturbable, chosen: Method) -> str:
    outputs = f" and {len(f.outputs)} outputs" if len(f.outputs) > 1 else ""
    work = ""
    if found.rows:
        most = "at most " if found.seconds_high > ABOUT * found.seconds_low else ""
        work = (
            f", with {most}{found.passes:,} forward passes of {found.rows:,} rows"
            if found.passes != found.rows
            else f", with {most}{found.rows:,} forward passes"
        )
    return f"{chosen.title} will take {found.said()} for {len(f.tokens)} tokens{outputs}{work}."
