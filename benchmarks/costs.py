"""Estimated against measured seconds, of every method on the bundled models at several lengths.

    python -m benchmarks.costs [--models bundled/sst2-minilm ...] [--words 8 32 96] [--methods lime ...]

Each estimate is made before its run, by a model that was measured once; the second figure of a row is the
one after that run was observed. Prints the ratio measured / estimated of each (1 where a run lies inside the
range that was given), the median, and how many lie within a factor of 1.5 and of 2."""

from __future__ import annotations

import argparse
import statistics
import time

from attribution import load
from attribution.costs.estimates import Estimate
from attribution.costs.estimator import Estimator
from attribution.costs.workload import Workload
from attribution.errors import AttributionError
from attribution.methods import Method, list_methods
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.perturbable import Perturbable
from attribution.models.readers import make_objective
from attribution.request import Target
from benchmarks.machine import SENTENCE, describe

MODELS = ("bundled/sst2-minilm", "bundled/dates-t5", "bundled/shakespeare-gpt2")


def ratio(seconds: float, low: float, high: float) -> float:
    """Measured / estimated: 1 inside the range, else against its nearer end."""
    return seconds / min(max(seconds, low), high)


def row(
    estimator: Estimator, adapter: Adapter, method: Method, text: str
) -> tuple[int, int, Estimate, float, Estimate]:
    """Tokens, outputs, the estimate, the seconds of the run, and the estimate after it was observed."""
    target = Target(continuation=" and so the") if adapter.task.writes else Target()
    options = method.check_options({})

    def fresh() -> Perturbable:
        return make_objective(adapter, text, target, Deadline(), gradient=method.at_text)

    before = estimator.estimate(Workload(fresh(), method, options))
    started = time.perf_counter()
    f = fresh()
    method.run(f, **dict(options))
    seconds = time.perf_counter() - started
    estimator.observe(Workload(f, method, options), seconds)
    after = estimator.estimate(Workload(fresh(), method, options))
    return len(f.tokens), len(f.outputs), before, seconds, after


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--words", nargs="+", type=int, default=[8, 32, 96])
    parser.add_argument(
        "--methods", nargs="+", default=[name for name in list_methods() if name != "reagent"]
    )
    options = parser.parse_args()
    print(describe(), "- seconds")
    first, later = [], []
    for name in options.models:
        adapter = load(name)
        assert isinstance(adapter, Adapter)
        started = time.perf_counter()
        estimator = Estimator()
        estimator.speed_of_adapter(adapter)
        print(f"\n{name}: measured in {time.perf_counter() - started:.2f} s")
        for method in (list_methods()[m] for m in options.methods):
            for words in options.words:
                text = " ".join((SENTENCE.split() * words)[:words])
                try:
                    tokens, outputs, before, seconds, after = row(estimator, adapter, method, text)
                except AttributionError as error:
                    print(f"{method.name:34} {words:4} words: {error.message}")
                    continue
                first.append(ratio(seconds, before.seconds_low, before.seconds_high))
                later.append(ratio(seconds, after.seconds_low, after.seconds_high))
                print(
                    f"{method.name:34} {tokens:4} tokens, {outputs} outputs: "
                    f"{before.seconds_low:7.3f} to {before.seconds_high:7.3f}, measured {seconds:7.3f}, "
                    f"ratio {first[-1]:5.2f}; then {later[-1]:5.2f}   {before.describe()}",
                    flush=True,
                )
    for title, ratios in (("before", first), ("after one more run was observed", later)):
        within = [sum(1 / limit <= r <= limit for r in ratios) / len(ratios) for limit in (1.5, 2.0)]
        print(
            f"\n{title}: median ratio {statistics.median(ratios):.2f}, "
            f"{within[0]:.0%} within a factor of 1.5, {within[1]:.0%} of 2, "
            f"from {min(ratios):.2f} to {max(ratios):.2f} ({len(ratios)} runs)"
        )


if __name__ == "__main__":
    main()
