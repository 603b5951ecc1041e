"""What every benchmark prints first: the machine and the versions, without which no figure means anything."""

from __future__ import annotations

import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path

SENTENCE = "The plot is thin but the acting is truly wonderful and warm."
"""Twelve words."""


def describe(*packages: str) -> str:
    """One line: processor, usable cores, Python and package versions."""
    names = [line.split(":", 1)[1].strip() for line in _cpu() if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "gradio", *packages))
    name = names[0] if names else platform.processor()
    return f"{name}, {cores} cores, Python {platform.python_version()}, {versions}"


def _cpu() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def quantiles(values: list[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    return statistics.median(values), statistics.quantiles(values, n=20)[-1]
