"""The commands of the command line: one file each, discovered by listing this folder.

A command is a module with ``add_arguments(parser)`` and ``run(arguments, environment) -> exit code``. Its
docstring is its help; the first line appears in the list of commands. ``LOGS = True`` leaves the logs and
warnings of libraries on standard error.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

DEFAULT = "explain"
"""The command that runs if none is named: ``attribution "A wonderful film."``."""


def names() -> tuple[str, ...]:
    """All commands, sorted."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.ispkg))


def split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Split a command line into the command, or the default one, and its arguments."""
    if arguments and arguments[0] in names():
        return arguments[0], list(arguments[1:])
    return DEFAULT, list(arguments)


def keeps_logs(arguments: Sequence[str]) -> bool:
    """Whether the command of this command line leaves the logs of libraries on."""
    return bool(getattr(_module(split(arguments)[0]), "LOGS", False))


def program() -> str:
    """How this process was started: by the console script, or as a module."""
    script = Path(sys.argv[0]).stem
    return script if script == "attribution" else "python -m attribution"


def parser(name: str) -> argparse.ArgumentParser:
    """Build the argument parser of a command."""
    module = _module(name)
    kind = _Default if name == DEFAULT else argparse.ArgumentParser
    command_parser = kind(
        prog=program() if name == DEFAULT else f"{program()} {name}",
        description=inspect.getdoc(module),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(command_parser)
    return command_parser


def run(name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command and return its exit code."""
    parsed = parser(name).parse_args(arguments)
    code: int = _module(name).run(parsed, environment)
    return code


class _Default(argparse.ArgumentParser):
    """Lists the other commands at the end of its help, and imports them only for that."""

    def format_help(self) -> str:
        width = max(map(len, names()))
        lines = [f"  {name:{width}}  {_summary(name)}" for name in names()]
        self.epilog = "\n".join([f"commands, each with --help (default: {DEFAULT}):", *lines])
        return super().format_help()


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def _summary(name: str) -> str:
    return (inspect.getdoc(_module(name)) or "").partition("\n")[0]
