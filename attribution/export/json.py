"""JSON: everything, exactly. ``Attribution.load`` reads one result back equal, ``read`` one or several.

``docs/schema/attribution-1.json`` describes both documents: see ``schema``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attribution.errors import BadFile, NotFinite
from attribution.formats import Format
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation

FORMAT = Format("json", "application/json")

SEVERAL = "attributions/1"


@FORMAT.writes("attribution")
def write(*attributions: Attribution) -> bytes:
    """``document`` in plain ASCII, so that no text can break it. Raises ``NotFinite``: JSON has no NaN."""
    return _dump(document(*attributions))


@FORMAT.writes("comparison", "evaluation", "assessment")
def write_study(result: Comparison | Evaluation | Assessment) -> bytes:
    """``to_dict()`` in plain ASCII; the class's ``load`` reads it back equal. Raises ``NotFinite``."""
    return _dump(result.to_dict())


def _dump(data: dict[str, Any]) -> bytes:
    try:
        return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=True).encode("ascii") + b"\n"
    except ValueError as error:
        raise NotFinite("The result holds NaN or infinity.", "JSON has no such numbers.") from error


def document(*attributions: Attribution) -> dict[str, Any]:
    """One result as its ``to_dict()``, several as ``{"schema": "attributions/1", "attributions": [...]}``."""
    return together([attribution.to_dict() for attribution in attributions])


def together(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The document of results in plain JSON types."""
    return {"schema": SEVERAL, "attributions": results} if len(results) > 1 else results[0]


def read(content: bytes) -> tuple[Attribution, ...]:
    """The results of a file that ``write`` wrote. Raises ``BadFile``."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadFile("This is not JSON.", "Only files that were saved as .json can be read.") from error
    several = isinstance(data, dict) and data.get("schema") == SEVERAL
    found = data.get("attributions") if several else [data]
    if not isinstance(found, list) or not found:
        raise BadFile(
            "The file holds no attributions.", f"A file of the schema {SEVERAL!r} lists at least one."
        )
    return tuple(Attribution.from_dict(item) for item in found)
