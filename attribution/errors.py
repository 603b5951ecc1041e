"""Every error that this project raises deliberately.

::

    AttributionError(message, hint) ├─ InputError     EmptyInput · TooLong · UnknownTarget · BadOption ·
    BadFile · BadTable ├─ ModelError     UnknownModel · ModelRefused · ModelTooLarge · GatedModel ·
    HubUnavailable · NoTrainedHead ├─ MethodError    UnknownMethod · UnknownMetric · Unsupported · NotFinite
    ├─ BatchError     UnknownRun ├─ TrackerError   UnknownTracker ├─ BusyError      QueueFull ·
    TooManyRequests · DeadlineExceeded · NotEnoughMemory · Cancelled └─ NotInstalled   also an ImportError

A message says what was received and what is allowed; the hint says what to do next. ``status`` is the HTTP
status of the REST interface. Anything that is not an ``AttributionError`` is a bug.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Set
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, ClassVar


class AttributionError(Exception):
    """The base class. ``str(error)`` is one or two sentences for display."""

    status: ClassVar[int] = 422

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_dict(self) -> dict[str, Any]:
        """``{"error": class name, "message": ..., "hint": ...}``: the body of a REST error."""
        return {"error": type(self).__name__, "message": self.message, "hint": self.hint}


class InputError(AttributionError):
    """The text, the target or an option cannot be used."""


class EmptyInput(InputError):
    """Nothing is left to explain after cleaning."""


class TooLong(InputError):
    """The text has more characters or tokens than allowed."""


class UnknownTarget(InputError):
    """The model has no such label or output."""


class BadOption(InputError):
    """An option is unknown, of the wrong type or out of range."""


class BadFile(InputError):
    """A file is not an attribution, or a file format is unknown."""


class BadTable(InputError):
    """A table or a row cannot be read; the message names the row and the column."""


class ModelError(AttributionError):
    """The model is unavailable or cannot be used."""


class UnknownModel(ModelError):
    """There is no model of that name."""

    status = 404


class ModelRefused(ModelError):
    """The server does not load that model, or the model's files are not safe to load."""

    status = 403


class ModelTooLarge(ModelError):
    """The model is over the size limit."""

    status = 413


class GatedModel(ModelError):
    """The model needs the permission of its owner."""

    status = 403


class HubUnavailable(ModelError):
    """The model is not on this machine, and the Hugging Face Hub is unavailable."""

    status = 503


class NoTrainedHead(ModelError):
    """The checkpoint has no trained head for the task: its predictions would be random."""


class MethodError(AttributionError):
    """The method is unknown or not applicable."""


class UnknownMethod(MethodError):
    """There is no method of that name."""

    status = 404


class UnknownMetric(MethodError):
    """There is no metric of that name."""

    status = 404


class Unsupported(MethodError):
    """The method does not support this model."""


class NotFinite(MethodError):
    """The computed numbers contain NaN or infinity."""


class BatchError(AttributionError):
    """A run over a table cannot start or continue; stored results remain."""


class UnknownRun(BatchError):
    """There is no run in that folder, or under that name."""

    status = 404


class TrackerError(AttributionError):
    """The experiment tracker is unknown or unavailable."""


class UnknownTracker(TrackerError):
    """There is no tracker of that name."""

    status = 404


class BusyError(AttributionError):
    """The request may succeed later."""

    status = 503


class QueueFull(BusyError):
    """Too many requests are waiting."""


class TooManyRequests(BusyError):
    """A client sends requests too often."""

    status = 429


class DeadlineExceeded(BusyError):
    """The computation exceeded its time limit."""

    status = 504


class NotEnoughMemory(BusyError):
    """Not even a single row fits into memory."""


class Cancelled(BusyError):
    """The caller has cancelled the request."""

    status = 499


class NotInstalled(AttributionError, ImportError):
    """A required package is not installed; the hint says how to install it."""

    status = 501


def error_class(name: str) -> type[AttributionError]:
    """The error class of a name that a client receives; ``AttributionError`` for an unknown one."""
    classes = [AttributionError]
    for kind in classes:
        classes.extend(kind.__subclasses__())
    return next((kind for kind in classes if kind.__name__ == name), AttributionError)


def nearest(value: object, allowed: Iterable[str], also: Iterable[str] = ()) -> str:
    """A hint with the closest allowed word, or with all of them: ``Did you mean 'lime'?``.

    ``also`` are further candidates, which are not listed.
    """
    words = list(allowed)
    candidates = [*words, *also]
    close = difflib.get_close_matches(
        _text_of(value)[:200].lower(), [word.lower() for word in candidates], n=1
    )
    if close:
        return (
            f"Did you mean '{next(candidate for candidate in candidates if candidate.lower() == close[0])}'?"
        )
    return f"There are: {', '.join(words)}." if words else ""


def quote(value: object, limit: int = 60) -> str:
    """Show a caller's value in a message, shortened and printable; texts and paths stand in quotes.

    An object that is no plain data is described instead.
    """
    if not isinstance(value, str | bytes | os.PathLike | int | float | list | tuple | dict | None):
        return describe(value)
    text = _text_of(value)
    printable = "".join(c if c.isprintable() else "�" for c in text[: limit + 1])
    shown = printable if len(printable) <= limit else f"{printable[:limit]}…"
    return f"'{shown}'" if isinstance(value, str | bytes | os.PathLike) else shown


def describe(value: object) -> str:
    """What a value of the wrong type is, in words: ``a number (5)``, ``nothing``, ``a list``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return f"a number ({quote(value, 20)})"
    for kind, words in _KINDS:
        if isinstance(value, kind):
            return words
    if isinstance(value, str):
        return f"the text {quote(value, 30)}"
    return f"an object of type {type(value).__name__}"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((bytes, bytearray, memoryview), "bytes"),
    ((list, tuple), "a list"),
    (Mapping, "a mapping"),
    (Set, "a set"),
    (os.PathLike, "a path"),
    (type, "a class"),
    (Iterator, "an iterator"),
    ((FunctionType, MethodType, BuiltinFunctionType), "a function"),
)


def _text_of(value: object) -> str:
    """``str(value)``, or the name of its type: an object may be unprintable, or have too many digits."""
    try:
        return str(value)
    except Exception:
        return type(value).__name__
