"""Small options for the methods that take many forward passes, so that the laws over all of them stay quick."""

from __future__ import annotations

from typing import Any

QUICK: dict[str, dict[str, Any]] = {"lime": {"samples": 60}}
