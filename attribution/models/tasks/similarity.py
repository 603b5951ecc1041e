"""How similar two texts are to a bi-encoder."""

from __future__ import annotations

from typing import Any

from attribution.models.tasks import Probe, Task, filler_pair


def _serves(class_name: str, config: Any) -> bool:
    """Whether a class is a bare encoder, of an architecture that is pretrained with masks."""
    from transformers.models.auto import modeling_auto

    kind = getattr(config, "model_type", "")
    bare = modeling_auto.MODEL_MAPPING_NAMES.get(kind)
    classes = bare if isinstance(bare, tuple) else (bare,)
    return class_name in classes and kind in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES


def _probe(words: int, _several: bool, _model: Any) -> Probe:
    return Probe(*filler_pair(words))


TASK = Task(
    name="similarity",
    title="similarity of two texts",
    reader="attribution.models.readers.similarity:Similarity",
    serves=_serves,
    marker="modules.json",
    second="required",
    second_hint="Two texts are compared: give the other one as second.",
    pools=True,
    measure="the cosine similarity of the two texts",
    word="similarity",
    spellings=("sentence-similarity", "sts", "semantic-similarity"),
    summary="Similarity {number}",
    read_off="Read off: the rows that the two texts' embeddings are pooled from; "
    "the model never sees the texts together.",
    probe=_probe,
)
