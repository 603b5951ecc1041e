"""What stands around the heatmap in the text formats: captions, the meaning of the colours, and text that can be seen."""

from __future__ import annotations

import regex

from attribution import sentences
from attribution.models import tasks
from attribution.types import Attribution

_SEEN = regex.compile(r"[^\s\p{C}\p{Mn}]|\p{Co}")
_SIGNS = {"\n": "↵", "\r": "↵", "\t": "⇥", " ": "␣"}
# What stands for no character: controls but for white space, halves of a surrogate pair, code points that are
# none.
_CONTROL = regex.compile(r"[\p{Cc}\p{Cs}--[\t\n\r]]|[\ufdd0-\ufdef]|[\ufffe\uffff]", regex.VERSION1)


def visible(text: str) -> str:
    """A cell of which nothing would be seen, such as a space or a line break, gets a sign for each of its characters."""
    return text if _SEEN.search(text) else "".join(_SIGNS.get(c, "·") for c in text)


def without_controls(text: str) -> str:
    """The text with U+FFFD for each control character but tab, line feed and carriage return, and for lone surrogates."""
    return str(_CONTROL.sub("\ufffd", text))


def caption(result: Attribution, i: int) -> str:
    """What the i-th heatmap explains: ``2 · positive rather than negative · 93.0%``."""
    output, silent = result.outputs[i], sentences.silence(result, i)
    other = f" rather than {visible(output.contrast)}" if output.contrast else ""
    # With one sentence below for all, there is no need for one above each.
    quiet = f" · No signal: {silent}" if silent and not sentences.no_signal(result) else ""
    return f"{i + 1} · {visible(output.text)}{other} · {sentences.chance(output)}{quiet}"


def is_captioned(result: Attribution) -> bool:
    """Whether each heatmap needs its caption: the title says enough of a single class."""
    return len(result.outputs) > 1 or tasks.of(result.model.task).writes


def residual(result: Attribution, i: int) -> str:
    """``residual 0.01 (0.2% of all absolute scores)``, or that the method claims none."""
    if result.completeness is None:
        return "no residual: these scores do not claim to add up"
    share = sentences.residual_share(result, i)
    small = "" if share is None else "less than 0.1%" if share < 0.001 else f"{share:.1%}"
    part = f" ({small} of all absolute scores)" if small else ""
    return f"residual {sentences.number(result.completeness[i].residual)}{part}"
