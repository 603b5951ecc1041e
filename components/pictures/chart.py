"""What the pictures of numbers share: frame, legend, tooltip, table, colours, packed numbers."""

from __future__ import annotations

import base64

import numpy as np

from .picture import Picture


class Chart(Picture):
    """A picture that stands on ``static/chart.js``, which is the first of its assets.

    Its value may have a ``title`` and a ``note``, a sentence below it. With ``{"error": {"message",
    "hint"}}`` these words stand in its place.
    """


def packed(values: np.ndarray, bits: int = 16) -> str:
    """Numbers from 0 to 1 as base64 of little-endian unsigned integers, the largest of which means 1."""
    most = (1 << bits) - 1
    return base64.b64encode(np.rint(values * most).astype(f"<u{bits // 8}").tobytes()).decode()
