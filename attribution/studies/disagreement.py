"""Where attributions of one text disagree: opinions on a word, and differences of shares."""

from __future__ import annotations

from dataclasses import dataclass

from attribution.studies.alignment import Word


@dataclass(frozen=True, slots=True)
class Opinion:
    """A word in one attribution.

    ``score`` is its score, ``share`` the score as a share of all absolute scores, and ``rank`` its rank among
    ``of`` words.
    """

    name: str
    signed: bool
    score: float
    share: float
    rank: int
    of: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A word on which attributions disagree.

    ``opinions`` are ordered by rank; ``opposite`` says whether there are scores of different signs.
    """

    word: Word
    opinions: tuple[Opinion, ...]
    opposite: bool

    @property
    def spread(self) -> int:
        """The difference of the lowest and the highest rank."""
        return self.opinions[-1].rank - self.opinions[0].rank

    @property
    def sentence(self) -> str:
        """A description such as ``‘not’: rank 1 of 9 for Occlusion, rank 7 for Attention``."""
        first, last = self.opinions[0], self.opinions[-1]
        text = f"‘{self.word.text}’: rank {first.rank} of {first.of} for {first.name}"
        if self.spread:
            text += f", rank {last.rank}{f' of {last.of}' if last.of != first.of else ''} for {last.name}"
        if self.opposite:
            signed = sorted(
                (opinion for opinion in self.opinions if opinion.signed), key=lambda opinion: opinion.share
            )
            text += (
                f"; for the answer according to {signed[-1].name}, against it according to {signed[0].name}"
            )
        return f"{text}."


@dataclass(frozen=True, slots=True)
class Difference:
    """The shares of attribution ``names[0]`` minus those of ``names[1]``, None where either lacks the word.

    A share is a score divided by the sum of all absolute scores, which makes models with scores of different
    magnitude comparable. ``absolute`` says whether shares are absolute because one attribution is unsigned.
    """

    names: tuple[str, str]
    words: tuple[Word, ...]
    values: tuple[float | None, ...]
    absolute: bool
