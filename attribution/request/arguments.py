"""Checks of the arguments that are no fields of a request: several names, texts, numbers, callbacks, columns.

Library and client check with the same functions, so that a wrong value is refused with the same words on both
sides, before anything is computed or sent.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping, ValuesView
from pathlib import Path
from typing import Any

from attribution.errors import BadOption, EmptyInput, InputError, describe, quote
from attribution.request.values import to_python

SEEDS = 2**31 - 1
"""The largest seed."""
MOST_SECONDS = 10**6
"""The longest time limit."""


def list_names(name: str, value: object) -> list[str]:
    """One or several names of methods or metrics as a list. Raises ``BadOption``."""
    names = [value] if isinstance(value, str) else _list_items(name, value, "a name, or a list of names")
    for item in names:
        if not isinstance(item, str):
            raise BadOption(f"{name} holds {describe(item)}.", "It must be a name, or a list of names.")
    if not names:
        raise BadOption(f"{name} is empty.", "Name at least one.")
    return names


def list_models(name: str, value: Any) -> list[Any]:
    """One or several models as a list. Raises ``BadOption`` for what can be no model."""
    allowed = "a name, a loaded model, or a list of them"
    several = isinstance(value, list | tuple | set | frozenset | Iterator | ValuesView)
    models = list(value) if several else [value]
    for model in models:
        is_data = isinstance(model, int | float | complex | bytes | Mapping)
        if model is None or is_data or not isinstance(model, Hashable):
            subject = f"{name} holds" if several else f"{name} is"
            raise BadOption(f"{subject} {describe(model)}.", f"It must be {allowed}.")
    if not models:
        raise BadOption(f"{name} is empty.", "Name at least one.")
    return models


def list_texts(name: str, value: object) -> tuple[str, ...]:
    """One or several texts. Raises ``BadOption`` for anything else, ``EmptyInput`` for none."""
    texts = [value] if isinstance(value, str) else _list_items(name, value, "a text, or a list of texts")
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise BadOption(f"Text {number} of {name} is {describe(text)}.", "Each must be a string.")
    if not texts:
        raise EmptyInput("There are no texts.", "Give at least one.")
    return tuple(texts)


def list_seconds(value: object, count: int) -> tuple[str | None, ...]:
    """The second text of each of ``count`` pairs, from one for all or a list with one for each.

    Raises ``BadOption``.
    """
    if value is None or isinstance(value, str):
        return (value,) * count
    seconds = list_for_texts("second", value, count)
    for number, second in enumerate(seconds, start=1):
        if second is not None and not isinstance(second, str):
            raise BadOption(
                f"The second text {number} is {describe(second)}.", "Each must be a string, or nothing."
            )
    return seconds


def list_for_texts(name: str, value: object, count: int) -> tuple[Any, ...]:
    """A list with an entry for each of ``count`` texts. Raises ``BadOption``."""
    items = _list_items(name, value, "a list with one for each text")
    if len(items) != count:
        raise BadOption(
            f"There are {len(items)} {name} for {count} texts.",
            "Give one for each text, None where there is none.",
        )
    return tuple(items)


def check_whole_number(name: str, value: object, low: int, high: int) -> int:
    """A whole number within bounds. Raises ``BadOption``."""
    value = to_python(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadOption(f"{name} is {quote(value)}.", f"It must be a whole number from {low:,} to {high:,}.")
    return value


def check_seconds(name: str, value: object) -> float:
    """A time limit. Raises ``BadOption``."""
    value = to_python(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_SECONDS:
        raise BadOption(f"{name} is {quote(value)}.", f"It must be a number from 0 to {MOST_SECONDS:,}.")
    return value


def check_callback(name: str, value: object, *receives: str) -> None:
    """Raise ``BadOption`` unless this is None, or can be called with what a callback ``receives``."""
    if value is None:
        return
    subject = f"{name} is {describe(value)}."
    if callable(value):
        try:
            inspect.signature(value).bind(*receives)
            return
        except TypeError:
            subject = f"{name} takes other arguments."
        except ValueError:  # a built-in function without a signature
            return
    raise BadOption(
        subject, f"It must be a function of {' and '.join(receives) or 'no arguments'}, or nothing."
    )


def check_progress(value: object, *receives: str) -> None:
    """Raise ``BadOption`` unless this is a ``progress``: True, False, None, or a callback."""
    if not isinstance(value, bool):
        check_callback("progress", value, *receives)


def check_many(texts: object, on_error: object) -> None:
    """Refuse a single text where many are explained, and another ``on_error`` than "raise" or "yield".

    Raises ``InputError`` and ``BadOption``.
    """
    if not isinstance(on_error, str) or on_error not in ("raise", "yield"):
        raise BadOption(f"on_error is {quote(on_error)}.", "It must be 'raise' or 'yield'.")
    if isinstance(texts, str):
        raise InputError("texts is one text.", "Give a list of texts, or call attribute.")


def check_folder(name: str, value: object) -> Path:
    """The path of a folder. Raises ``BadOption``."""
    try:
        if isinstance(value, str | os.PathLike) and b"\0" not in os.fsencode(value) != b"":
            return Path(os.fsdecode(value))
    except UnicodeEncodeError:  # half of a surrogate pair
        pass
    raise BadOption(f"{name} is {describe(value)}.", "It must be the path of a folder.")


def _list_items(name: str, value: object, allowed: str) -> list[Any]:
    """The items of a list or another collection that is neither a text, bytes nor a mapping."""
    value = to_python(value)
    if isinstance(value, str | bytes | bytearray | Mapping | type) or not isinstance(value, Iterable):
        raise BadOption(f"{name} is {describe(value)}.", f"It must be {allowed}.")
    return list(value)
