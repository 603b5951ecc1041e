"""What the command line does beside explaining one text: one file a command, found by themselves.

A command is a module with ``add(parser)``, which adds its arguments, and ``run(asked, environment) -> exit code``. The first line of its
docstring is its help.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence


def names() -> tuple[str, ...]:
    """All commands, sorted."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.ispkg))


def parser(name: str) -> argparse.ArgumentParser:
    """The arguments of one command."""
    module = importlib.import_module(f"{__name__}.{name}")
    described = argparse.ArgumentParser(
        prog=f"python -m attribution {name}",
        description=inspect.getdoc(module),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add(described)
    return described


def run(name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Answer one command; the exit code."""
    asked = parser(name).parse_args(arguments)
    code: int = importlib.import_module(f"{__name__}.{name}").run(asked, environment)
    return code
