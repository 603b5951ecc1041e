"""Many texts at once, and memory."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import numpy as np

import attribution
from benchmarks.measure import Call, Duel, Outcome, difference, spread, turns
from benchmarks.memory import available, grown
from benchmarks.rows import ENCODERS, Case, Result, Row
from benchmarks.rows_gradients import STEPS, captum_integrated
from benchmarks.subjects import Subject, subject

LIMIT_SHARE = 0.75
"""Of the memory that is free, what one process may take."""


def rows() -> list[Row]:
    return [
        Row(
            "batch_saliency",
            "saliency of many sentences of 5 to 40 words; one by one",
            "",
            None,
            ENCODERS,
            (0,),
            (2,),
            measure=_batch,
        ),
        Row(
            "memory_ig",
            "memory that IG with 50 points needs",
            "captum",
            None,
            ("bert-base",),
            (512,),
            (2,),
            measure=_memory,
        ),
    ]


def sentences(chosen: Subject, count: int, start: int = 0) -> list[str]:
    """Sentences of 5 to 40 words; ``start`` is the draw."""
    words = next(chosen.texts(128)).split()
    random = np.random.default_rng(start)
    return [" ".join(random.choice(words, random.integers(5, 41))) for _ in range(count)]


def _batch(row: Row, case: Case) -> Result:
    """Ours beside ours: ``attribute_many`` and one after the other."""
    chosen, count = case.subject, case.effort.sentences

    def flat(results: list[attribution.Attribution]) -> Outcome:
        return Outcome(np.concatenate([result.scores[0] for result in results]))

    def duels() -> Iterator[Duel]:
        start = 0
        while True:
            texts = sentences(chosen, count, start)

            def many(texts: list[str] = texts) -> Outcome:
                return flat(list(attribution.attribute_many(texts, chosen.adapter, "saliency")))

            def single(texts: list[str] = texts) -> Outcome:
                return flat([attribution.attribute(text, chosen.adapter, "saliency") for text in texts])

            yield Duel(many, single)
            start += 1

    done = turns(duels(), case.effort.rounds, case.effort.seconds)
    return row.result(
        case,
        rounds=len(done),
        ours=median(round_.seconds[0] for round_ in done),
        theirs=median(round_.seconds[1] for round_ in done),
        ratio=spread([round_.ratio for round_ in done]),
        agreement=max(difference(*round_.outcomes) for round_ in done),
        note=f"{count} sentences, attribute_many beside attribute: ours beside ours",
    )


def _memory(row: Row, case: Case) -> Result:
    """The largest resident set of a process of its own, less that before the attribution."""
    effort = case.effort
    limit = int(LIMIT_SHARE * available())
    ours, theirs = (
        grown(prepared, who, case.subject.name, effort.longest, effort.small, count=case.threads, limit=limit)
        for who in ("ours", "captum")
    )
    if ours.error:
        raise MemoryError(ours.error)
    facts = [f"each limited to {limit / 2**30:.1f} GiB", f"ours {ours.seconds:.3g} s"]
    facts += [
        f"captum's one batch of all points: {theirs.error}"
        if theirs.error
        else f"captum {theirs.seconds:.3g} s"
    ]
    results = [Outcome(side.scores) for side in (ours, theirs) if side.scores is not None]
    return row.result(
        case,
        rounds=1,
        ours=ours.mebibytes,
        theirs=None if theirs.error else theirs.mebibytes,
        ratio=None if theirs.error or not ours.peak else (theirs.peak / ours.peak,) * 3,
        agreement=difference(*results) if len(results) == 2 else None,
        note="; ".join(facts),
        unit="MiB",
        tokens=effort.longest,
    )


def prepared(who: str, model: str, tokens: int, small: bool) -> Call:
    """Integrated gradients with captum's 50 points; a short text before allocates what is needed once."""
    chosen = subject(model, small)

    def call(text: str, steps: int) -> Call:
        if who == "ours":
            return chosen.ours(text, "integrated_gradients", rule="gausslegendre", steps=steps)
        return captum_integrated(chosen.plain(text), n_steps=steps)

    call(next(chosen.texts(8)), 4)()
    return call(next(chosen.texts(tokens)), STEPS)
