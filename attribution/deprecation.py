"""Names from an earlier release that still work, with a warning that gives the new one."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any


def warn_renamed(old: str, new: str, *, level: int = 3) -> None:
    """Warn the caller's caller that ``old`` is now called ``new``."""
    warnings.warn(
        f"{old} is deprecated and will be removed in the next release: use {new}.",
        DeprecationWarning,
        stacklevel=level,
    )


def make_callable(package: str, function: Callable[..., Any]) -> None:
    """Make a package callable as the function that had its name; the call warns with the new name."""

    class CallablePackage(ModuleType):
        def __call__(self, *positional: Any, **keywords: Any) -> Any:
            warn_renamed(f"{package}()", f"attribution.{function.__name__}()")
            return function(*positional, **keywords)

    sys.modules[package].__class__ = CallablePackage
