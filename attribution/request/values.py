"""Values of numpy, torch, pandas, polars and pyarrow as Python's own types, without importing any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attribution.errors import BadOption

CONVERTERS = ("tolist", "to_pylist", "to_list", "as_py")
"""Methods that return Python's own types: numpy, torch and pandas; pyarrow; polars; pyarrow's scalars."""
DEPTH = 16
"""The maximum depth of nested lists and mappings in a value."""
_OWN = frozenset({str, int, float, bool, list, tuple, dict, type(None)})


def check_depth(depth: int) -> None:
    """Raise ``BadOption`` at a depth that no value has."""
    if depth > DEPTH:
        raise BadOption(
            f"A value is nested more than {DEPTH} levels deep.", "Does a list or a mapping contain itself?"
        )


def to_python(value: Any) -> Any:
    """A number, text, array or column as Python's own type; arrays become lists, other values are returned.

    An array without dimensions becomes a number. What cannot be read, such as a tensor without memory, is
    returned as it is.
    """
    kind = type(value)
    if kind in _OWN or isinstance(value, Mapping) or hasattr(kind, "column_names"):
        return value  # a table is read row by row
    for name in CONVERTERS:
        if callable(getattr(kind, name, None)):
            try:
                return getattr(value, name)()
            except (RuntimeError, NotImplementedError, TypeError, ValueError):
                return value
    return value


def to_python_deep(value: Any, depth: int = 0) -> Any:
    """``to_python`` of a value and of everything in its lists, tuples and mappings.

    Raises ``BadOption`` for a value that is nested too deeply, such as a list that contains itself.
    """
    check_depth(depth)
    value = to_python(value)
    if isinstance(value, Mapping):
        return {key: to_python_deep(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_python_deep(item, depth + 1) for item in value]
    return value
