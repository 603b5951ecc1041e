"""Text and files on standard output and standard error, which may be a terminal with any encoding."""

from __future__ import annotations

import sys
from typing import TextIO

from attribution.export.drawing import terminal


def write(text: str, stream: TextIO | None = None) -> None:
    """Write text in the encoding of the stream, standard output by default; "?" replaces what it lacks."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def write_file(content: bytes) -> None:
    """Write the content of a file to standard output; to a terminal only as text that cannot act on it."""
    if sys.stdout.isatty():
        write(terminal.neutralise(content.decode("utf-8", "replace").replace("\r\n", "\n"), keep="\n\t"))
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def one_line(text: str) -> str:
    """Text as one line that cannot act on a terminal."""
    return terminal.neutralise(" ".join(text.split()))
