"""A text that an encoder-decoder writes for another."""

from __future__ import annotations

from typing import Any

from attribution.models.tasks import Probe, Task, filler_words
from attribution.request import Target


def _serves(class_name: str, config: Any) -> bool:
    from transformers.models.auto import modeling_auto

    classes = modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.values()
    return getattr(config, "is_encoder_decoder", False) and class_name in classes


def _probe(words: int, several: bool, _model: Any) -> Probe:
    continuation, position = (" the good", None) if several else (" the", 0)
    return Probe(filler_words(words), target=Target(continuation=continuation, position=position))


TASK = Task(
    name="seq2seq",
    title="text-to-text generation",
    reader="attribution.models.readers.seq2seq:Seq2Seq",
    heads=("ForConditionalGeneration", "MTModel"),
    serves=_serves,
    kind="encoder-decoder",
    writes=True,
    has_positions=True,
    has_vocabulary=True,
    word="text-to-text",
    spellings=("text2text-generation", "text2text", "seq2seq", "seq2seq-lm"),
    heading="The model writes",
    summary="{text}",
    every="each of the {count} generated tokens",
    read_off="Read off: for each generated token, the row of the decoder's token before it, "
    "over the text and the generated tokens.",
    probe=_probe,
    example={"text": "the 3rd of March, 1987", "model": "bundled/dates-t5"},
)
