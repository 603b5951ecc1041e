"""A format: of attributions and of comparisons."""

from attribution.formats import Format

FORMAT = Format("txt", "text/plain; charset=utf-8")


@FORMAT.writes("attribution")
def write(*attributions, separator: bool = False) -> bytes:
    """One line for each result: its tokens and the scores of its first output."""
    lines = [
        " ".join(f"{token.text}={score:g}" for token, score in zip(a.tokens, a.scores[0], strict=True))
        for a in attributions
    ]
    return ("\n---\n" if separator else "\n").join(lines).encode()


@FORMAT.writes("comparison")
def write_comparison(comparison) -> bytes:
    """The names of what is compared."""
    return "\n".join(comparison.names).encode()
