"""JSON: everything, exactly. ``Attribution.load`` reads it back equal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attribution.errors import NotFinite

if TYPE_CHECKING:
    from attribution.types import Attribution

EXTENSION = "json"
MEDIA_TYPE = "application/json"


def write(attribution: Attribution) -> bytes:
    """``to_dict()`` in plain ASCII, so that no text can break it. Raises ``NotFinite``: JSON has no NaN."""
    try:
        return json.dumps(attribution.to_dict(), indent=1, allow_nan=False, ensure_ascii=True).encode("ascii") + b"\n"
    except ValueError as error:
        raise NotFinite("The attribution holds NaN or infinity.", "JSON has no such numbers.") from error
