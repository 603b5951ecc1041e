"""What the pictures of numbers share: a frame with legend, tooltip and table, colours for a canvas, packed numbers."""

from __future__ import annotations

import base64

import numpy as np

from .picture import Picture


class Chart(Picture):
    """A picture that stands on ``static/chart.js``, which is the first of its assets.

    Its value may have a ``title`` and a ``note``, a sentence below it. With ``{"error": {"message", "hint"}}`` these words stand in
    its place.
    """


def packed(values: np.ndarray, bits: int = 16) -> str:
    """Numbers between 0 and 1 as base64 of little-endian unsigned integers of 16 or 8 bits; the largest integer means 1."""
    most = (1 << bits) - 1
    return base64.b64encode(np.rint(values * most).astype(f"<u{bits // 8}").tobytes()).decode()
