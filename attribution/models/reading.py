"""What a model cannot read of a text, and which words cannot be found, as notes for a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attribution import scripts
from attribution.sentences import CANNOT_READ
from attribution.types import Token

MOST = 0.5
"""Share of a text's tokens, or of its characters, from which it counts as unread."""


def unread(tokens: Sequence[Token], unknown: int | None) -> tuple[str, ...]:
    """A note where most of a text is the token of the id ``unknown`` for a model."""
    visible = [t for t in tokens if not t.special and t.segment != "generated" and t.start < t.end]
    lost = [token for token in visible if token.id == unknown]
    share = _length(lost) / max(1, _length(visible))
    if not lost or max(len(lost) / len(visible), share) <= MOST:
        return ()
    return (
        f"{CANNOT_READ}: {len(lost)} of its {len(visible)} tokens, with {share:.0%} of its characters, are "
        f"{lost[0].text}, the same whatever is written there. Its prediction says little about this text.",
    )


def unsegmented(texts: Iterable[str | None]) -> tuple[str, ...]:
    """A note where words cannot be found without a package that is not installed."""
    notes = (scripts.missing(text) for text in texts if text)
    return tuple(dict.fromkeys(note for note in notes if note))


def _length(tokens: Sequence[Token]) -> int:
    return sum(token.end - token.start for token in tokens)
