"""The registry of file formats: which kinds of result can be saved as what.

Nothing here draws, or knows a class of results.

A format is one module of ``attribution.export`` that defines a ``Format``; other packages add theirs through
the entry point group ``attribution.formats``. A format has at most one writer for each kind of result::

    FORMAT = Format("txt", "text/plain; charset=utf-8")

    @FORMAT.writes("attribution")
    def write(*attributions: Attribution, words: bool = True) -> bytes: ...

The keyword-only parameters of a writer are its options. Results inherit ``save`` and ``load`` from
``Savable``.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from attribution.errors import BadFile, EmptyInput, nearest, quote
from attribution.registry import Option, Value, check_options, discover, options_of

Writer = TypeVar("Writer", bound=Callable[..., bytes])
Fragment = TypeVar("Fragment", bound=Callable[..., str])
_TEXT = re.compile(r"text/|application/(json|x-tex)\b|.*\+xml\b")


@dataclass(frozen=True, eq=False)
class Format:
    """One file type.

    Parameters
    ----------
    extension : without the dot, in lower case.
    media_type : as the header ``content-type`` states it.
    alias : another name that the command line takes, or "".
    writers : by kind of result, the function ``(*results, **options) -> bytes``; filled by ``writes``.
    fragments : by kind of result, the function ``(result) -> HTML`` for notebooks; filled by ``shows``.
    """

    extension: str
    media_type: str
    alias: str = ""
    writers: dict[str, Callable[..., bytes]] = field(default_factory=dict, repr=False)
    fragments: dict[str, Callable[..., str]] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The name in the registry: the extension."""
        return self.extension

    @property
    def is_binary(self) -> bool:
        """Whether the file is no text that a terminal could show."""
        return not _TEXT.match(self.media_type)

    def writes(self, *kinds: str) -> Callable[[Writer], Writer]:
        """Register the decorated function as the writer of these kinds of result; with ``*results`` it takes several in one file."""

        def register(writer: Writer) -> Writer:
            self.writers.update(dict.fromkeys(kinds, writer))
            return writer

        return register

    def shows(self, *kinds: str) -> Callable[[Fragment], Fragment]:
        """Register the decorated function as what notebooks show of these kinds of result."""

        def register(fragment: Fragment) -> Fragment:
            self.fragments.update(dict.fromkeys(kinds, fragment))
            return fragment

        return register

    def options(self, kind: str = "attribution") -> tuple[Option, ...]:
        """The options for a kind of result. Raises ``KeyError`` where there is no writer for it."""
        return options_of(self.writers[kind])

    def write(self, *results: Savable, **options: object) -> bytes:
        """The file's bytes.

        Raises ``BadFile`` for results that it cannot hold, ``BadOption``, and what the writer raises.
        """
        kinds = list(dict.fromkeys(result.KIND for result in results))
        if len(kinds) > 1:
            raise BadFile(
                f"The results are of several kinds: {', '.join(kinds)}.", "Save each in a file of its own."
            )
        if kinds[0] not in self.writers:
            raise _unknown(self.extension, kinds[0])
        writer = self.writers[kinds[0]]
        if len(results) > 1 and not _takes_several(writer):
            message = f"A .{self.extension} file holds one {kinds[0]}, not {len(results)}."
            raise BadFile(message, "Save each in a file of its own.")
        return writer(*results, **self._check(options, kinds[0]))

    def _check(self, options: Mapping[str, object], kind: str) -> dict[str, Value]:
        """What was passed, in the options' types; the writer knows the defaults. Raises ``BadOption``."""
        checked = check_options(f"A .{self.extension} file", self.options(kind), options)
        return {name: value for name, value in checked if name in options}


def _takes_several(writer: Callable[..., bytes]) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(writer).parameters.values())


class Savable:
    """A result that can be written to a file.

    Subclasses set ``KIND``, by which formats register their writers.
    """

    KIND: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; ``from_dict`` reads them back equal."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``. Raises ``BadFile``."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str], **options: object) -> None:
        """Write the file type that the name ends with: see ``attribution.formats.list_formats(KIND)``, and ``save`` there."""
        save(self, path, **options)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a JSON file that ``save`` wrote. Raises ``BadFile``."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            hint = "Only files that were saved as .json can be loaded."
            raise BadFile(f"{os.fspath(path)} is not JSON.", hint) from error
        return cls.from_dict(data)

    def _repr_html_(self) -> str:
        """A static HTML fragment for notebooks: no script, no style sheet, readable on light and on dark pages."""
        return find("html", self.KIND).fragments[self.KIND](self)


@cache
def _every_format() -> Mapping[str, Format]:
    return dict(sorted(discover("attribution.export", Format, "attribution.formats").items()))


def list_formats(kind: str = "attribution") -> dict[str, Format]:
    """The formats that can hold a kind of result, by extension, sorted.

    The kinds are ``"attribution"``, ``"comparison"``, ``"evaluation"`` and ``"assessment"``. Listing a format
    does not import the optional package that it may need.
    """
    return {name: entry for name, entry in _every_format().items() if kind in entry.writers}


def find(extension: object, kind: str = "attribution") -> Format:
    """The format of an extension (with or without its dot, in any case) or alias.

    Raises ``BadFile`` with the nearest one.
    """
    name = str(extension).lower().removeprefix(".")
    for entry in list_formats(kind).values():
        if name and name in (entry.extension, entry.alias):
            return entry
    raise _unknown(name, kind)


def _unknown(extension: str, kind: str) -> BadFile:
    article = "an" if kind[:1] in "aeio" else "a"
    message = f"There is no file type {quote(extension)} for {article} {kind}."
    return BadFile(message, nearest(extension, list_formats(kind)))


def render(results: Savable | Iterable[Savable], extension: str, **options: object) -> bytes:
    """The bytes of that file type, for one result or several in one file.

    Raises ``EmptyInput`` (no result), ``BadFile`` (no such type for it), ``BadOption``, and what the format
    itself raises.
    """
    entries = (results,) if isinstance(results, Savable) else tuple(results)
    if not entries:
        raise EmptyInput("There is no result to write.", "Pass at least one.")
    return find(extension, entries[0].KIND).write(*entries, **options)


def save(results: Savable | Iterable[Savable], path: str | os.PathLike[str], **options: object) -> None:
    """Write the file type that the name ends with, atomically: the file is complete or not there.

    Raises what ``render`` raises, and ``OSError`` where the folder cannot be written.
    """
    target = Path(path)
    content = render(results, target.suffix, **options)
    # In the same folder, since only there a rename is atomic; not by ``tempfile``, whose files nobody else
    # may read.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
