"""Write results to files. No other package writes markup.

Each module here that defines a ``Format`` is a file type, discovered by ``attribution.formats``: a new format
is one new file. The packages ``drawing``, ``reports`` and ``writing`` hold what several formats share.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from attribution.errors import EmptyInput
from attribution.formats import Format, list_formats, render, save
from attribution.types import Attribution

__all__ = ["Format", "file_name", "list_formats", "render", "save"]


def file_name(attributions: Attribution | Iterable[Attribution], extension: str) -> str:
    """An ASCII file name for a download.

    For example ``attribution-integrated_gradients-this-movie-is.png``, or ``attribution-4-methods-….png`` for
    results of several methods. Raises ``EmptyInput`` if there is no result.
    """
    results = (attributions,) if isinstance(attributions, Attribution) else tuple(attributions)
    if not results:
        raise EmptyInput("There is no result to write.", "Pass at least one result.")
    methods = {result.method for result in results}
    method = next(iter(methods)) if len(methods) == 1 else f"{len(methods)}-methods"
    text = unicodedata.normalize("NFKD", results[0].text[:200]).encode("ascii", "ignore").decode().lower()
    parts = [
        "attribution",
        re.sub(r"[^a-z0-9_]+", "-", method.lower())[:40].strip("-"),
        "-".join(re.findall(r"[a-z0-9]+", text)[:3])[:40].strip("-"),
    ]
    suffix = re.sub(r"[^a-z0-9]", "", extension.lower())
    return "-".join(part for part in parts if part) + f".{suffix}"
