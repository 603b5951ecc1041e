"""A token in the place of each mask of a text."""

from __future__ import annotations

from typing import Any

from attribution.models.tasks import Probe, Task, filler_words


def _probe(words: int, several: bool, model: Any) -> Probe:
    return Probe(filler_words(words) + f" {model.tokenizer.mask_token}" * (2 if several else 1))


TASK = Task(
    name="masked",
    title="masked tokens",
    reader="attribution.models.readers.masked:Masked",
    heads=("ForMaskedLM",),
    fills_masks=True,
    has_positions=True,
    has_vocabulary=True,
    alternatives=True,
    word="fill-mask",
    spellings=("masked", "masked-lm", "masked-language-modeling"),
    heading="The model fills the mask with",
    heading_several="The model fills the first mask with",
    every="each of the {count} tokens in place of a mask",
    probe=_probe,
)
