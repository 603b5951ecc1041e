"""The registry of file formats: which kinds of result can be saved as which file type.

This module neither renders anything nor depends on the result classes.

A format is one module of ``attribution.export`` that defines a ``Format``; other packages add theirs through
the entry point group ``attribution.formats``. A format has at most one writer per kind of result::

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
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from attribution.errors import (
    AttributionError,
    BadFile,
    EmptyInput,
    NotInstalled,
    describe,
    nearest,
    quote,
)
from attribution.registry import Option, Value, check_options, discover, options_of

if TYPE_CHECKING:
    import pandas as pd

Writer = TypeVar("Writer", bound=Callable[..., bytes])
RawTable = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""The names of the columns, and the rows."""
Tabulate = TypeVar("Tabulate", bound=Callable[..., RawTable])
Fragment = TypeVar("Fragment", bound=Callable[..., str])
_TEXT = re.compile(r"text/|application/(json|x-tex)\b|.*\+xml\b")


@dataclass(frozen=True, eq=False)
class Format:
    """One file type.

    Parameters
    ----------
    extension : without the dot, in lower case.
    media_type : the value of the ``content-type`` header.
    alias : another name that the command line accepts, or "".
    writers : maps a kind of result to its writer ``(*results, **options) -> bytes``; filled by ``writes``.
    fragments : maps a kind of result to its notebook renderer ``(result) -> HTML``; filled by ``shows``.
    tables : maps a kind of result to ``(result) -> (columns, rows)``; filled by ``tabulates``.
    """

    extension: str
    media_type: str
    alias: str = ""
    writers: dict[str, Callable[..., bytes]] = field(default_factory=dict, repr=False)
    fragments: dict[str, Callable[..., str]] = field(default_factory=dict, repr=False)
    tables: dict[str, Callable[..., RawTable]] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The name in the registry, which is the extension."""
        return self.extension

    @property
    def is_binary(self) -> bool:
        """Whether the file is binary, so that a terminal cannot show it as text."""
        return not _TEXT.match(self.media_type)

    def writes(self, *kinds: str) -> Callable[[Writer], Writer]:
        """Register the decorated function as the writer for these kinds of result.

        A writer with a ``*results`` parameter can put several results into one file.
        """

        def register(writer: Writer) -> Writer:
            self.writers.update(dict.fromkeys(kinds, writer))
            return writer

        return register

    def shows(self, *kinds: str) -> Callable[[Fragment], Fragment]:
        """Register the decorated function as the notebook renderer for these kinds of result."""

        def register(fragment: Fragment) -> Fragment:
            self.fragments.update(dict.fromkeys(kinds, fragment))
            return fragment

        return register

    def tabulates(self, *kinds: str) -> Callable[[Tabulate], Tabulate]:
        """Register the decorated function, which gives columns and rows, for these kinds of result."""

        def register(tabulate: Tabulate) -> Tabulate:
            self.tables.update(dict.fromkeys(kinds, tabulate))
            return tabulate

        return register

    def options(self, kind: str = "attribution") -> tuple[Option, ...]:
        """The writer's options for a kind of result.

        Raises ``KeyError`` if the format has no writer for that kind.
        """
        return options_of(self.writers[kind])

    def write(self, *results: Savable, **options: object) -> bytes:
        """Render the results as the bytes of one file.

        Raises ``BadFile`` if the format cannot hold these results, ``BadOption`` for an invalid option, and
        whatever the writer raises.
        """
        kinds = list(dict.fromkeys(result.KIND for result in results))
        if len(kinds) > 1:
            raise BadFile(
                f"The results are of several kinds: {', '.join(kinds)}.", "Save each kind in its own file."
            )
        if kinds[0] not in self.writers:
            raise _unknown_format(self.extension, kinds[0])
        writer = self.writers[kinds[0]]
        if len(results) > 1 and not _accepts_several(writer):
            message = f"A .{self.extension} file holds one {kinds[0]}, not {len(results)}."
            raise BadFile(message, "Save each result in its own file.")
        return writer(*results, **self._check(options, kinds[0]))

    def _check(self, options: Mapping[str, object], kind: str) -> dict[str, Value]:
        """Convert the passed options to their types, without adding defaults. Raises ``BadOption``."""
        checked = check_options(f"A .{self.extension} file", self.options(kind), options)
        return {name: value for name, value in checked if name in options}


def _accepts_several(writer: Callable[..., bytes]) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(writer).parameters.values())


class Savable:
    """Base class of results that can be saved to a file.

    Subclasses set ``KIND``, the key under which formats register their writers.
    """

    KIND: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain JSON types; ``from_dict`` restores an equal object."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Restore an object from the output of ``to_dict``. Raises ``BadFile``."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str], **options: object) -> None:
        """Save to a file whose extension selects the format.

        ``list_formats(KIND)`` lists the formats; for errors see ``attribution.formats.save``.
        """
        save(self, path, **options)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load a JSON file written by ``save``. Raises ``BadFile``."""
        try:
            data = json.loads(_check_path(path).read_text(encoding="utf-8"))
        except OSError as error:
            reason = error.strerror or str(error)
            raise BadFile(f"{quote(path, 200)} cannot be read: {reason}.", "Check its name.") from error
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            hint = "Only files saved as .json can be loaded."
            raise BadFile(f"{os.fspath(path)} is not JSON.", hint) from error
        return cls.from_dict(data)

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame with the columns of the CSV file, raw values instead of text.

        One row for each output and token (attribution), attribution and word (comparison), method and metric
        (evaluation), or ranked explanation (assessment). Raises ``NotInstalled`` without pandas.
        """
        columns, rows = find("csv", self.KIND).tables[self.KIND](self)
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise NotInstalled(
                "to_frame needs pandas, which is not installed here.", "pip install pandas."
            ) from error
        return DataFrame(list(rows), columns=list(columns))

    def _repr_html_(self) -> str:
        """Static HTML for notebooks: no script, no style sheet, readable on light and dark pages."""
        return show(self, self.KIND)


@cache
def _all_formats() -> Mapping[str, Format]:
    return dict(sorted(discover("attribution.export", Format, "attribution.formats").items()))


def show(result: object, kind: str) -> str:
    """The HTML of a result in a notebook."""
    return _all_formats()["html"].fragments[kind](result)


def show_lists() -> None:
    """In IPython, show lists of results as HTML; all other lists stay as they are."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        register(shell.display_formatter.formatters["text/html"])


def register(formatter: Any) -> None:
    """Register lists with an HTML formatter of IPython."""
    previous = formatter.for_type(list)

    def show_list(values: list[Any]) -> str | None:
        if (own := getattr(values, "_repr_html_", None)) is not None:  # of a subclass
            markup: str = own()
            return markup
        is_ours = all(isinstance(value, Savable | AttributionError) for value in values)
        if is_ours and any(isinstance(value, Savable) for value in values):
            return show(values, "list")
        return None if previous is None else previous(values)

    formatter.for_type(list, show_list)


def shorten(text: str, limit: int = 40) -> str:
    """One line of a text in quotes, for a short description of a result."""
    line = " ".join(text.split())
    return repr(line if len(line) <= limit else f"{line[:limit].rstrip()}…")


def list_formats(kind: str = "attribution") -> dict[str, Format]:
    """The formats that can hold a kind of result, by extension, in alphabetical order.

    The kinds are ``"attribution"``, ``"comparison"``, ``"evaluation"`` and ``"assessment"``. Listing a format
    does not import any optional package that it needs for writing.
    """
    return {name: entry for name, entry in _all_formats().items() if kind in entry.writers}


def find(extension: object, kind: str = "attribution") -> Format:
    """Look up a format by its extension (in any case, with or without the dot) or alias.

    Raises ``BadFile``, which suggests the nearest extension.
    """
    name = str(extension).lower().removeprefix(".")
    for entry in list_formats(kind).values():
        if name and name in (entry.extension, entry.alias):
            return entry
    raise _unknown_format(name, kind)


def _unknown_format(extension: str, kind: str) -> BadFile:
    article = "an" if kind[:1] in "aeio" else "a"
    message = f"There is no file type {quote(extension)} for {article} {kind}."
    return BadFile(message, nearest(extension, list_formats(kind)))


def render(results: Savable | Iterable[Savable], extension: str, **options: object) -> bytes:
    """Render one or several results as the bytes of one file.

    Raises ``EmptyInput`` if there is no result, ``BadFile`` if there is no such format for this kind of
    result, ``BadOption`` for an invalid option, and whatever the format raises.
    """
    entries = (results,) if isinstance(results, Savable) else tuple(results)
    if not entries:
        raise EmptyInput("There is no result to write.", "Pass at least one result.")
    return find(extension, entries[0].KIND).write(*entries, **options)


def save(results: Savable | Iterable[Savable], path: str | os.PathLike[str], **options: object) -> None:
    """Save results to a file, atomically; its extension selects the format.

    Raises what ``render`` raises, and ``BadFile`` if the file cannot be written.
    """
    target = _check_path(path)
    if not target.suffix:
        formats = ", ".join(f".{name}" for name in list_formats(_kind_of(results)))
        raise BadFile(f"{quote(target)} has no extension, which says the format.", f"Add one of {formats}.")
    content = render(results, target.suffix, **options)
    try:
        _write_atomically(target, content)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFile(f"{quote(target, 200)} cannot be written: {reason}.", "Check its folder.") from error


def _check_path(path: object) -> Path:
    """The path of a file. Raises ``BadFile``."""
    if not isinstance(path, str | os.PathLike):
        raise BadFile(f"The file is {describe(path)}.", "It must be a path, such as picture.png.")
    return Path(path)


def _kind_of(results: Savable | Iterable[Savable]) -> str:
    return results.KIND if isinstance(results, Savable) else "attribution"


def _write_atomically(target: Path, content: bytes) -> None:
    # In the same folder, because a rename is atomic only within a file system. Not ``tempfile``, whose files
    # are readable by their owner alone.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
