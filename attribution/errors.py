"""Every error this project raises on purpose.

::

    AttributionError(message, hint)
    ├─ InputError        EmptyInput · TooLong · UnknownTarget · BadOption · BadFile · BadTable
    ├─ ModelError        UnknownModel · ModelRefused · ModelTooLarge · GatedModel · HubUnavailable · NoTrainedHead
    ├─ MethodError       UnknownMethod · UnknownMetric · Unsupported · NotFinite
    ├─ BatchError        UnknownRun
    ├─ TrackerError      UnknownTracker
    ├─ BusyError         QueueFull · TooManyRequests · DeadlineExceeded · NotEnoughMemory · Cancelled
    └─ NotInstalled      also an ImportError

A message says what was got and what is allowed; the hint says what to do next. ``status`` is the HTTP status of the REST
interface. Anything that is not an ``AttributionError`` is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar


class AttributionError(Exception):
    """The root. ``str(error)`` is one or two sentences for a person."""

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
    """More characters or tokens than are taken."""


class UnknownTarget(InputError):
    """The model has no such label or output."""


class BadOption(InputError):
    """An option is unknown, of the wrong type or out of range."""


class BadFile(InputError):
    """A file that is not an attribution, or a file type that is not written."""


class BadTable(InputError):
    """A table, or a row of it, that cannot be read; the message names the row and the column."""


class ModelError(AttributionError):
    """The model cannot be had or cannot be used."""


class UnknownModel(ModelError):
    """No model of that name."""

    status = 404


class ModelRefused(ModelError):
    """This server does not load that model, or the model's files are not safe to load."""

    status = 403


class ModelTooLarge(ModelError):
    """The model is over the size limit."""

    status = 413


class GatedModel(ModelError):
    """The model needs somebody's permission."""

    status = 403


class HubUnavailable(ModelError):
    """The model is not on this machine, and the Hugging Face Hub does not answer."""

    status = 503


class NoTrainedHead(ModelError):
    """The checkpoint has no trained head for the task: its predictions would be random numbers."""


class MethodError(AttributionError):
    """The method is unknown or does not work here."""


class UnknownMethod(MethodError):
    """No method of that name."""

    status = 404


class UnknownMetric(MethodError):
    """No metric of that name."""

    status = 404


class Unsupported(MethodError):
    """The method does not work with this model."""


class NotFinite(MethodError):
    """The numbers contain NaN or infinity."""


class BatchError(AttributionError):
    """A run over a table cannot begin or go on; what is answered is kept."""


class UnknownRun(BatchError):
    """There is no run in that folder, or under that name."""

    status = 404


class TrackerError(AttributionError):
    """The experiment tracker is unknown or cannot be had."""


class UnknownTracker(TrackerError):
    """No tracker of that name."""

    status = 404


class BusyError(AttributionError):
    """Try again."""

    status = 503


class QueueFull(BusyError):
    """Too many requests are waiting."""


class TooManyRequests(BusyError):
    """One client asks too often."""

    status = 429


class DeadlineExceeded(BusyError):
    """The computation took longer than allowed."""

    status = 504


class NotEnoughMemory(BusyError):
    """Not even a single row fits."""


class Cancelled(BusyError):
    """The caller no longer wants the answer."""

    status = 499


class NotInstalled(AttributionError, ImportError):
    """A package that this needs is not installed here; the hint says how to get it."""

    status = 501


def by_name(name: str) -> type[AttributionError]:
    """The error class of that name, or ``AttributionError`` itself: for a client that gets a name over the wire."""
    found = [AttributionError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return next((kind for kind in found if kind.__name__ == name), AttributionError)


def nearest(got: object, allowed: Iterable[str], also: Iterable[str] = ()) -> str:
    """A hint that names the closest allowed word, or all of them: ``Did you mean 'lime'?``.

    ``also`` are further words that may be meant, but are not listed.
    """
    words = list(allowed)
    candidates = [*words, *also]
    close = difflib.get_close_matches(str(got)[:200].lower(), [word.lower() for word in candidates], n=1)
    if close:
        return f"Did you mean '{next(word for word in candidates if word.lower() == close[0])}'?"
    return f"There are: {', '.join(words)}." if words else ""


def quote(value: object, limit: int = 60) -> str:
    """A caller's value, short and printable, for use inside a message."""
    shown = str(value)
    shown = "".join(c if c.isprintable() else "�" for c in shown[: limit + 1])
    return f"'{shown}'" if len(shown) <= limit else f"'{shown[:limit]}…'"
