"""The names of a model's classes, in any form in which callers have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from attribution.errors import BadOption, describe, quote
from attribution.request.values import to_python

ClassNames = Sequence[str | int] | Mapping[Any, Any] | Any
"""Names of classes: see ``read_labels``."""
EXAMPLE = 'It must be a list of names in the order of the classes, such as ["negative", "positive"].'


def read_labels(labels: Any) -> tuple[str, ...]:
    """The names in the order of the classes; none for None.

    ``labels`` are a sequence, an array such as scikit-learn's ``classes_`` (numbers become their names), or a
    mapping: ``id2label`` or ``label2id``. Raises ``BadOption``.
    """
    labels = to_python(labels)
    if labels is None:
        return ()
    if isinstance(labels, Mapping):
        labels = _in_order(labels)
    if isinstance(labels, str | Set) or not isinstance(labels, Iterable):
        kind = "a single string" if isinstance(labels, str) else describe(labels)
        why = ", which has no order" if isinstance(labels, Set) else ""
        raise BadOption(f"labels is {kind}{why}.", EXAMPLE)
    names = [to_python(label) for label in labels]
    for name in names:
        if not isinstance(name, str | int | float):
            raise BadOption(f"A label is {describe(name)}.", EXAMPLE)
    return tuple(map(str, names))


def _in_order(labels: Mapping[Any, Any]) -> list[Any]:
    """The names of a mapping from numbers to names, or from names to numbers. Raises ``BadOption``."""
    pairs = [(to_python(key), to_python(value)) for key, value in labels.items()]
    if all(isinstance(value, int) for _, value in pairs):
        pairs = [(value, key) for key, value in pairs]
    try:
        by_number = {int(number): name for number, name in pairs}
    except (TypeError, ValueError):
        by_number = {}
    if sorted(by_number) != list(range(len(pairs))):
        raise BadOption(
            f"labels maps {', '.join(quote(key) for key in list(labels)[:5])}.",
            "A mapping of labels has the numbers from 0 as keys, like id2label, or as values, like label2id.",
        )
    return [by_number[number] for number in sorted(by_number)]
