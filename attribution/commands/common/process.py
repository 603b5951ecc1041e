"""The process of a command: environment variables, logs and garbage collection."""

from __future__ import annotations

import gc
import logging as logs
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

QUIET: Mapping[str, str] = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "critical",
    "TQDM_DISABLE": "1",
}
"""No progress bars and no messages of libraries."""
PRIVATE: Mapping[str, str] = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""No telemetry: nothing is sent unless the user asks for it."""


def set_defaults(values: Mapping[str, str]) -> None:
    """Set environment variables that the user has not set.

    They have an effect only before the library that reads them is imported.
    """
    for name, value in values.items():
        os.environ.setdefault(name, value)


@contextmanager
def command(*, logging: bool = False) -> Iterator[None]:
    """Context manager: run a command in a process of its own.

    ``logging`` keeps the logs and warnings of the libraries. Garbage is not collected until
    ``resume_collection``, nor at exit: importing torch and transformers creates a million permanent objects,
    and traversing them repeatedly takes a third of a short command's processor time.
    """
    set_defaults(PRIVATE)
    if not logging:
        set_defaults(QUIET)
        if not sys.flags.dev_mode:
            warnings.simplefilter("ignore")
            logs.disable(logs.CRITICAL)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor at the interpreter's exit


def resume_collection() -> None:
    """Collect garbage from here on, ignoring objects that exist already."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
