"""The code blocks of the documents, and why some of them are not run.

A comment on the line above a block says so: ``<!-- not run: reason -->``, ``<!-- run by tests/x.py: reason
-->``, or ``<!-- file: path -->`` for a file that a test of its own puts in place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from docs import site

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *site.documents()]
_BLOCK = re.compile(
    r"^(?:<!-- (?P<marker>not run|run by|file):? (?P<note>.+?) -->\n)?"
    r"```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    ``marker`` is what the comment above it says: ``not run``, ``run by``, ``file``, or nothing.
    """

    document: Path
    line: int
    language: str
    code: str
    marker: str
    note: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """All blocks of a document, in order."""
    text = document.read_text(encoding="utf-8")
    return [
        Block(
            document,
            text.count("\n", 0, match.start("code")) + 1,
            match["language"],
            match["code"],
            match["marker"] or "",
            match["note"] or "",
        )
        for match in _BLOCK.finditer(text)
    ]


def all_blocks(language: str) -> list[Block]:
    """The blocks of all documents in one language."""
    return [block for document in DOCUMENTS for block in blocks(document) if block.language == language]
