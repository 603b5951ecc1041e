"""inseq: the output of ``model.attribute``, or one of its sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from attribution.errors import InputError
from attribution.interchange import Parts, Tool, array


def read(output: Any) -> Parts:
    """Read the attribution of one text; scores with more axes are aggregated as inseq does by default.

    Raises ``InputError`` for several texts, and for scores that inseq cannot aggregate to one for each token.
    """
    if not hasattr(output, "sequence_attributions"):
        return _read_sequence(output)
    count = len(output.sequence_attributions)
    if count != 1:
        raise InputError(
            f"This output of inseq holds {count} texts.",
            "Make an attribution of each: Attribution.of(output[0]).",
        )
    info = output.info
    parts = _read_sequence(output.sequence_attributions[0])
    method = str(info.get("attribution_method") or parts.method)
    return replace(parts, method=method, title=f"{method} (inseq)", model=str(info.get("model_name") or ""))


def _read_sequence(sequence: Any) -> Parts:
    tensors = sequence.source_attributions, sequence.target_attributions
    if any(tensor is not None and tensor.ndim > 2 for tensor in tensors):
        sequence = sequence.aggregate()
    source, target = sequence.source_attributions, sequence.target_attributions
    if any(tensor is not None and tensor.ndim != 2 for tensor in (source, target)):
        raise InputError("The scores of inseq have an axis for layers or heads.", "Aggregate them first.")
    first, last = sequence.attr_pos_start, sequence.attr_pos_end
    written = sequence.target[first:last]
    if source is None and target is None:
        raise InputError("This output of inseq holds no attribution.", "Name an attribution method.")
    tokens: list[Any] = list(sequence.target[:first]) if source is None else list(sequence.source)
    blocks = [] if source is None else [array(source)[: len(tokens)]]
    if target is not None:
        rows = array(target)
        prefix = rows[:first] if source is None else rows[first:0]
        blocks += [prefix, rows[first:last]]
        tokens += written[: len(blocks[-1])]
    scores = np.nan_to_num(np.concatenate(blocks).T, nan=0.0)
    chances = (sequence.step_scores or {}).get("probability")
    return Parts(
        tokens=[token.token for token in tokens],
        ids=[int(token.id) for token in tokens],
        scores=scores,
        targets=[token.token for token in written],
        chances=() if chances is None else array(chances).tolist(),
        written=0 if target is None else len(blocks[-1]),
        encoder_decoder=source is not None,
        method="inseq",
        title="inseq",
    )


TOOL = Tool("inseq", "inseq", ("FeatureAttributionOutput", "FeatureAttributionSequenceOutput"), read)
