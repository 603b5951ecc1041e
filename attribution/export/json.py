"""JSON: the complete results, without loss.

``Attribution.load`` restores one result, ``read`` one or several. ``docs/schema/attribution-1.json`` is the
schema of both documents: see ``attribution.export.writing.schema``.
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
    """Encode ``document`` in ASCII, which no text can break. Raises ``NotFinite``: JSON has no NaN."""
    return _encode(document(*attributions))


@FORMAT.writes("comparison", "evaluation", "assessment")
def write_study(result: Comparison | Evaluation | Assessment) -> bytes:
    """Encode ``to_dict()`` in ASCII; the class's ``load`` restores an equal object. Raises ``NotFinite``."""
    return _encode(result.to_dict())


def _encode(data: dict[str, Any]) -> bytes:
    try:
        return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=True).encode("ascii") + b"\n"
    except ValueError as error:
        raise NotFinite("The result contains NaN or infinity.", "JSON cannot represent them.") from error


def document(*attributions: Attribution) -> dict[str, Any]:
    """One result as its ``to_dict()``; several as ``{"schema": "attributions/1", "attributions": [...]}``."""
    return wrap_results([attribution.to_dict() for attribution in attributions])


def wrap_results(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The document for results that are already dictionaries."""
    return {"schema": SEVERAL, "attributions": results} if len(results) > 1 else results[0]


def read(content: bytes) -> tuple[Attribution, ...]:
    """Read the results of a file written by ``write``. Raises ``BadFile``."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadFile("This is not JSON.", "Only files saved as .json can be read.") from error
    is_list = isinstance(data, dict) and data.get("schema") == SEVERAL
    entries = data.get("attributions") if is_list else [data]
    if not isinstance(entries, list) or not entries:
        raise BadFile(
            "The file contains no attributions.", f"A file of the schema {SEVERAL!r} lists at least one."
        )
    return tuple(Attribution.from_dict(item) for item in entries)
