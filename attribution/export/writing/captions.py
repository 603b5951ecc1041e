"""Captions and residuals beside a heatmap, and text made visible; shared by the text formats."""

from __future__ import annotations

import regex

from attribution import sentences
from attribution.models import tasks
from attribution.types import Attribution

_VISIBLE = regex.compile(r"[^\s\p{C}\p{Mn}]|\p{Co}")
_SIGNS = {"\n": "↵", "\r": "↵", "\t": "⇥", " ": "␣"}
# Not characters: controls other than white space, lone surrogates, and noncharacters.
_CONTROL = regex.compile(r"[\p{Cc}\p{Cs}--[\t\n\r]]|[\ufdd0-\ufdef]|[\ufffe\uffff]", regex.VERSION1)


def show_invisible(text: str) -> str:
    """Replace each character by a visible sign if the text would otherwise be invisible, e.g. a space."""
    return text if _VISIBLE.search(text) else "".join(_SIGNS.get(c, "·") for c in text)


def replace_controls(text: str) -> str:
    """Replace controls (except tab, line feed, carriage return) and lone surrogates by U+FFFD."""
    return str(_CONTROL.sub("\ufffd", text))


def caption(result: Attribution, i: int) -> str:
    """The caption of the i-th heatmap, for example ``2 · positive rather than negative · 93.0%``."""
    output, silence = result.outputs[i], sentences.silence(result, i)
    contrast = f" rather than {show_invisible(output.contrast)}" if output.contrast else ""
    # A remark on all outputs below the pictures makes one per caption redundant.
    no_signal = f" · No signal: {silence}" if silence and not sentences.no_signal(result) else ""
    return f"{i + 1} · {show_invisible(output.text)}{contrast} · {sentences.chance(output)}{no_signal}"


def is_captioned(result: Attribution) -> bool:
    """Whether heatmaps need captions: the title is enough for a single class."""
    return len(result.outputs) > 1 or tasks.of(result.model.task).writes


def residual(result: Attribution, i: int) -> str:
    """The residual in words: ``residual 0.01 (0.2% of all absolute scores)``, or that there is none."""
    if result.completeness is None:
        return "no residual: these scores do not claim to add up"
    share = sentences.residual_share(result, i)
    percentage = "" if share is None else "less than 0.1%" if share < 0.001 else f"{share:.1%}"
    part = f" ({percentage} of all absolute scores)" if percentage else ""
    return f"residual {sentences.number(result.completeness[i].residual)}{part}"
