"""lime: the ``Explanation`` of ``LimeTextExplainer``."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribution.errors import InputError
from attribution.interchange import Parts, Tool


def read(explanation: Any) -> Parts:
    """Read the explanation of a text: a row for each label that was explained.

    A feature that stands for a word at several places is shared equally by them. Raises ``InputError`` for an
    explanation of a table or a picture.
    """
    indexed = getattr(explanation.domain_mapper, "indexed_string", None)
    if indexed is None:
        raise InputError("This lime Explanation is not one of a text.", "Use LimeTextExplainer.")
    text, bag = indexed.raw_string(), indexed.bow
    labels = list(explanation.local_exp)
    places = sorted(
        (int(start), feature)
        for feature in range(indexed.num_words())
        for start in np.ravel(indexed.string_position(feature))
    )
    counts = {feature: sum(other == feature for _, other in places) for _, feature in places}
    weights = [dict(explanation.local_exp[label]) for label in labels]
    tokens = [str(indexed.word(feature)) for _, feature in places]
    names = (
        None if hasattr(explanation, "dummy_label") else explanation.class_names
    )  # of a regression, they are invented
    chances = getattr(explanation, "predict_proba", None)
    return Parts(
        tokens=tokens,
        scores=np.array(
            [[row.get(f, 0.0) / (counts[f] if bag else 1) for _, f in places] for row in weights]
        ),
        text=text,
        targets=[str(label) if names is None else str(names[label]) for label in labels],
        chances=() if chances is None else [float(chances[label]) for label in labels],
        prediction={}
        if chances is None or names is None
        else dict(zip(map(str, names), map(float, chances), strict=True)),
        method="lime",
        title="LIME",
        quantity="probability" if names is not None else "",
        unit="probability" if names is not None else "score",
        signed=True,
    )


TOOL = Tool("lime", "LIME", ("Explanation",), read)
