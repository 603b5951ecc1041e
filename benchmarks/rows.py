"""What a comparison is: a row, the case in which it is measured, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import repeat
from statistics import median
from typing import Any

from benchmarks.measure import Duel, difference, facts_of, ranked, spread, turns
from benchmarks.subjects import NAMES, Subject

ENCODERS = ("minilm", "bert-base")
LENGTHS = (22, 128)


@dataclass(frozen=True)
class Effort:
    """How much of everything; ``small`` takes tiny models."""

    rounds: int = 5
    seconds: float = 8.0
    """After so many seconds a case is cut short, but for one round."""
    small: bool = False
    samples: int = 1000
    """Of LIME."""
    subsets: int = 256
    """Of Kernel SHAP."""
    copies: int = 50
    """Of SmoothGrad, and points of Gradient SHAP."""
    reference: int = 500
    """Permutations that are taken for the truth."""
    sentences: int = 128
    longest: int = 512
    """Tokens of the text whose memory is measured."""


QUICK = Effort(
    rounds=1, seconds=0.0, small=True, samples=60, subsets=64, copies=8, reference=60, sentences=6, longest=32
)


@dataclass(frozen=True)
class Case:
    """Where a row is measured."""

    subject: Subject
    tokens: int
    threads: int
    effort: Effort


@dataclass(frozen=True)
class Result:
    """One line of the table: medians in ``unit``; a ``ratio`` theirs / ours above 1 means that we are faster.

    ``agreement`` is the largest difference / largest score if ``same``, else Spearman's rank correlation: of
    the rounds the worst.
    """

    row: str
    title: str
    peer: str
    model: str
    tokens: int
    threads: int
    same: bool
    rounds: int = 0
    ours: float | None = None
    theirs: float | None = None
    ratio: tuple[float, float, float] | None = None
    agreement: float | None = None
    facts: dict[str, tuple[float, float]] = field(default_factory=dict)
    note: str = ""
    unit: str = "s"
    error: str = ""
    """Why it does not run."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Row:
    """One comparison. ``similar`` says why the two compute different numbers; empty where they do not.

    ``make`` gives the duel of one text, so that each round has another one; ``once`` keeps the first for
    all. ``measure`` replaces the clock where something else is measured.
    """

    name: str
    title: str
    peer: str
    make: Callable[[Case, str], Duel] | None = None
    models: tuple[str, ...] = NAMES
    tokens: tuple[int, ...] = LENGTHS
    threads: tuple[int, ...] = (1, 2)
    similar: str = ""
    note: str = ""
    once: bool = False
    measure: Callable[[Row, Case], Result] | None = None

    def missing(self) -> str:
        """The package that this row needs and that is not there."""
        try:
            if self.peer:
                version(self.peer)
        except PackageNotFoundError:
            return self.peer
        return ""

    def run(self, case: Case) -> Result:
        if self.measure:
            return self.measure(self, case)
        assert self.make
        texts = case.subject.texts(case.tokens)
        duels = (
            repeat(self.make(case, next(texts))) if self.once else (self.make(case, text) for text in texts)
        )
        done = turns(iter(duels), case.effort.rounds, case.effort.seconds)
        pairs = [round_.outcomes for round_ in done]
        agreement = (
            min(ranked(*pair) for pair in pairs) if self.similar else max(difference(*pair) for pair in pairs)
        )
        return self.result(
            case,
            rounds=len(done),
            ours=median(round_.seconds[0] for round_ in done),
            theirs=median(round_.seconds[1] for round_ in done),
            ratio=spread([round_.ratio for round_ in done]),
            agreement=agreement,
            facts=facts_of([result for pair in pairs for result in pair]),
        )

    def result(self, case: Case, **measured: Any) -> Result:
        return Result(
            **{
                "row": self.name,
                "title": self.title,
                "peer": self.peer,
                "model": case.subject.name,
                "tokens": case.tokens,
                "threads": case.threads,
                "same": not self.similar,
                "note": self.similar or self.note,
                **measured,
            }
        )
