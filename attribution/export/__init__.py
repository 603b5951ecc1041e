"""``Attribution`` to bytes: the only place that writes markup.

Each module here with two plain strings, ``EXTENSION`` and ``MEDIA_TYPE``, and ``write(*attributions, **options) -> bytes`` is a
file format; a new format is one new file. The strings are read from the module's source, so a format whose optional dependency
is missing is still listed, and fails only when it is used.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import secrets
import typing
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from attribution.errors import BadFile, BadOption, EmptyInput, nearest, quote
from attribution.types import Attribution

__all__ = ["Format", "file_name", "formats", "notebook", "render", "save"]


@dataclass(frozen=True, slots=True)
class Format:
    """One file type. ``extension`` has no dot; nothing is imported before ``write`` or ``options`` is asked for."""

    extension: str
    media_type: str
    module: str

    @property
    def write(self) -> Callable[..., bytes]:
        return importlib.import_module(self.module).write

    @property
    def options(self) -> dict[str, tuple[Any, Any]]:
        """The type and the default of each option of ``write``."""
        # A format may import Attribution for the type checker only.
        types = typing.get_type_hints(self.write, localns={"Attribution": Attribution})
        parameters = inspect.signature(self.write).parameters.values()
        return {p.name: (types.get(p.name, Any), p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}


@cache
def list_formats() -> dict[str, Format]:
    """Every file format by its extension, sorted."""
    found = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        if module.ispkg:
            continue
        constants = _constants(module.name)
        if {"EXTENSION", "MEDIA_TYPE"} <= constants.keys():
            extension = constants["EXTENSION"].lstrip(".")
            found[extension] = Format(extension, constants["MEDIA_TYPE"], module.name)
    return dict(sorted(found.items()))


def _constants(module: str) -> dict[str, str]:
    """The module's top-level ``NAME = "string"`` assignments, read without importing it."""
    spec = importlib.util.find_spec(module)
    source = spec.loader.get_source(module) if spec and spec.loader else None  # type: ignore[attr-defined]
    pairs = {}
    for node in ast.parse(source or "").body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            pairs.update(
                {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
            )
    return pairs


def render(attributions: Attribution | Iterable[Attribution], format: str, **options: Any) -> bytes:
    """The bytes of that file type, for one result or several in one file.

    Raises ``EmptyInput`` (no result), ``BadFile`` (no such type), ``BadOption``, and what the format itself raises.
    """
    results = _listed(attributions)
    known = list_formats()
    found = known.get(str(format).lower().lstrip("."))
    if found is None:
        raise BadFile(f"There is no file type {quote(format)}.", f"There are: {', '.join(known)}.")
    allowed = found.options
    for name, value in options.items():
        if name not in allowed:
            raise BadOption(f"A .{found.extension} file has no option {quote(name)}.", nearest(name, allowed))
        _check(name, value, allowed[name][0])
    return found.write(*results, **options)


def _listed(attributions: Attribution | Iterable[Attribution]) -> tuple[Attribution, ...]:
    results = (attributions,) if isinstance(attributions, Attribution) else tuple(attributions)
    if not results:
        raise EmptyInput("There is no attribution to write.", "Please give at least one.")
    return results


def _check(name: str, value: object, kind: Any) -> None:
    """Raise ``BadOption`` unless the value is of the option's type: a ``Literal``, bool, int, float or str."""
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise BadOption(
                f"{name} is {quote(value)}.", f"It must be one of {', '.join(map(str, choices))}."
            )
    elif kind in (bool, int, float, str):
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise BadOption(f"{name} is {quote(value)}.", f"It must be of type {kind.__name__}.")


def save(
    attributions: Attribution | Iterable[Attribution], path: str | os.PathLike[str], **options: Any
) -> None:
    """Write the file type that the name ends with. The file is there whole or not at all.

    Raises ``EmptyInput`` (no result), ``BadFile`` (unknown ending), ``BadOption``, and ``OSError`` where the folder cannot be written.
    """
    target = Path(path)
    content = render(attributions, target.suffix, **options)
    # In the same folder, since only there a rename is atomic; not by ``tempfile``, whose files nobody else may read.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def notebook(attribution: Attribution) -> str:
    """A static HTML fragment for ``_repr_html_``: no script, no style sheet, readable on light and on dark pages."""
    from attribution.export.drawing.notebook import fragment

    return fragment(attribution)


def file_name(attributions: Attribution | Iterable[Attribution], format: str) -> str:
    """A name for a download, in plain ASCII: ``attribution-integrated_gradients-this-movie-is.png``, ``attribution-4-methods-….png``."""
    results = _listed(attributions)
    methods = {result.method for result in results}
    named = next(iter(methods)) if len(methods) == 1 else f"{len(methods)}-methods"
    plain = unicodedata.normalize("NFKD", results[0].text[:200]).encode("ascii", "ignore").decode().lower()
    method = re.sub(r"[^a-z0-9_]+", "-", named.lower())[:40].strip("-")
    parts = ["attribution", method, "-".join(re.findall(r"[a-z0-9]+", plain)[:3])[:40].strip("-")]
    extension = re.sub(r"[^a-z0-9]", "", str(format).lower())
    return "-".join(part for part in parts if part) + f".{extension}"
