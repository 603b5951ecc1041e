"""Plain text to Markdown that shows it as it is: docstrings of methods, and cells of tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*\[\]<>~$#]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;))")
"""What Markdown, or GitHub, would read as a sign.

An underscore between letters or digits is none: it marks an index.
"""
_BLOCK = re.compile(r"^ {4,}\S")
_ITEM = re.compile(r"^(?:[-*]|\d+\.) ")
_UNDERLINED = re.compile(r"^[-=~]{3,}$")


def escape(text: str) -> str:
    """Text in which Markdown finds nothing to interpret, except that ````text```` becomes code."""
    parts = text.split("``")
    if len(parts) % 2 == 0:  # A pair is not closed: nothing is code.
        return _SPECIAL.sub(r"\\\1", text)
    return "".join(f"`{part}`" if i % 2 else _SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))


def plain(text: str) -> str:
    """The inverse of ``escape`` for text without code."""
    return re.sub(r"\\([\\`*\[\]<>~$#_&])", r"\1", text)


def cell(text: str) -> str:
    """``escape`` for a cell of a table, which a bar would end, even one inside code."""
    return escape(text).replace("|", r"\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def from_docstring(text: str) -> str:
    """A docstring as Markdown: paragraphs (a line each), lists, indented formulas, underlined headings.

    A line of its own could begin with a sign that Markdown takes for a list, so lines are joined.
    """
    blocks = re.split(r"\n(?:[ \t]*\n)+", inspect.cleandoc(text))
    return "\n\n".join(_block(block) for block in blocks if block.strip()) + "\n"


def _block(block: str) -> str:
    lines = block.splitlines()
    if all(_BLOCK.match(line) for line in lines):
        return "\n".join(["```text", *inspect.cleandoc(block).splitlines(), "```"])
    done: list[str] = []
    words: list[str] = []
    items = False

    def close() -> None:
        if words:
            mark = _ITEM.match(words[0]) if items else None
            start = mark.group() if mark else ""
            body = " ".join(word.strip() for word in words)[len(start) :]
            # A colon that opens a literal block is one colon for a reader.
            done.append(start + escape(re.sub(r"::$", ":", body)))
            words.clear()

    for i, line in enumerate(lines):
        if _UNDERLINED.match(line.strip()) and len(words) == 1:
            done.append(f"**{escape(words.pop().strip())}**\n")
        elif _ITEM.match(line) and (items or not words or lines[i - 1].rstrip().endswith(":")):
            close()
            if done and not items:
                done.append("")
            items = True
            words.append(line)
        elif items and not line.startswith(" "):
            close()
            done.append("")
            items = False
            words.append(line)
        else:
            words.append(line)
    close()
    return "\n".join(done)
