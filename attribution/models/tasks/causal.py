"""The continuation of a text by a decoder."""

from __future__ import annotations

from typing import Any

from attribution.models.tasks import Probe, Task, filler_words
from attribution.request import Target


def _serves(class_name: str, _config: Any) -> bool:
    from transformers.models.auto import modeling_auto

    return class_name in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()


def _probe(words: int, several: bool, _model: Any) -> Probe:
    continuation, position = (" the good", None) if several else (" the", 0)
    return Probe(filler_words(words), target=Target(continuation=continuation, position=position))


TASK = Task(
    name="causal",
    title="text generation",
    reader="attribution.models.readers.causal:Causal",
    heads=("ForCausalLM", "LMHeadModel"),
    serves=_serves,
    kind="decoder",
    writes=True,
    has_positions=True,
    has_vocabulary=True,
    word="generation",
    spellings=("text-generation", "causal", "causal-lm", "language-modeling", "language-modelling"),
    heading="The model writes",
    summary="{text}",
    every="each of the {count} generated tokens",
    read_off="Read off: for each generated token, the row of the token before it, "
    "from which it was predicted.",
    probe=_probe,
    example={"text": "My lord, the king is", "model": "bundled/shakespeare-gpt2", "max_new_tokens": 4},
)
