"""One way to reach every model: text → ids → embeddings → the model → logits. Never changes the model it is given."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto import modeling_auto

from attribution import text as texts
from attribution.errors import BadOption, EmptyInput, TooLong, UnknownTarget, Unsupported, nearest, quote
from attribution.settings import DEFAULTS, Settings
from attribution.types import ModelInfo, Task, Token


@dataclass(frozen=True)
class Encoding:
    """A cleaned text as the model reads it: ``inputs`` are the tokenizer's tensors [1, inputs], without padding."""

    text: str
    tokens: tuple[Token, ...]
    inputs: dict[str, Tensor]

    @property
    def ids(self) -> Tensor:
        return self.inputs["input_ids"]


class Adapter:
    """A model and its tokenizer behind one interface, for sequence classification, causal and encoder-decoder language models.

    Computing happens on a twin: a second tree of modules over the same parameters and buffers, in evaluation mode. The
    given model keeps its mode, hooks, attention implementation, configuration and ``.grad``.

    Raises ``Unsupported`` for a model that is none of these.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "",
        revision: str | None = None,
        task: Task | None = None,
        labels: Sequence[str] = (),
        settings: Settings = DEFAULTS,
    ) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise Unsupported(
                f"{type(tokenizer).__name__} does not say where in the text its tokens are.",
                "A tokenizer with a tokenizer.json file (a 'fast' tokenizer) is needed.",
            )
        self.settings = settings
        self.task: Task = task or task_of(model)
        self.model = twin(model)
        # A copy of its own: calling a fast tokenizer sets its padding and truncation, which other threads would see.
        self.tokenizer = copy.deepcopy(tokenizer)
        self._pieces = self.tokenizer.backend_tokenizer
        self._pieces.no_padding()
        self._pieces.no_truncation()
        if self.task == "classification":
            # A decoder's classification head finds the last token of a padded row by the padding token: name one on the twin.
            if getattr(self.config, "pad_token_id", None) is None:
                self.model.config.pad_token_id = self.baseline_id("auto")
            if getattr(self.config, "is_encoder_decoder", False):
                raise Unsupported(
                    f"{type(model).__name__} classifies with an encoder and a decoder.", "Encoders and decoders work."
                )
            labels = labels or [str(model.config.id2label.get(i, i)) for i in range(model.config.num_labels)]
            if len(labels) < 2:
                raise Unsupported(f"{type(model).__name__} has one output.", "A classifier with two or more labels is needed.")
        self.info = ModelInfo(
            name=name or model.config.name_or_path or type(model).__name__,
            revision=revision,
            architecture=type(model).__name__,
            task=self.task,
            labels=tuple(labels),
            parameters=sum(p.numel() for p in model.parameters()),
        )

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    @property
    def config(self) -> Any:
        return self.model.config

    @property
    def embedding(self) -> torch.nn.Module:
        """The table of the (encoder's) input embeddings, scaled if the model scales them."""
        return self.model.get_input_embeddings()

    @property
    def decoder_embedding(self) -> torch.nn.Module:
        decoder = self.model.get_decoder()
        return decoder.get_input_embeddings() if decoder is not None else self.embedding

    @cached_property
    def eager(self) -> PreTrainedModel:
        """Another twin, whose attention layers hand out their weights."""
        model = twin(self.model)
        model.set_attn_implementation("eager")
        return model

    @cached_property
    def forward_names(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.model.forward).parameters)

    @cached_property
    def _takes_types(self) -> bool:
        return "token_type_ids" in self.forward_names and "token_type_ids" in self.tokenizer.model_input_names

    @cached_property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in itertools.chain(self.model.parameters(), self.model.buffers()))

    @cached_property
    def reads_last(self) -> bool:
        """Whether a classification head reads the last token (decoders) and not the first (encoders)."""
        kind = getattr(self.config, "model_type", "")
        return (
            kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
            and kind not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
        )

    @cached_property
    def multi_label(self) -> bool:
        return getattr(self.config, "problem_type", None) == "multi_label_classification"

    @cached_property
    def normalises_by_root_mean_square(self) -> bool:
        """Whether a layer divides by the root mean square: a zero embedding then has no direction, and no finite path from it."""
        return any("RMSNorm" in type(m).__name__ or type(m).__name__ == "T5LayerNorm" for m in self.model.modules())

    @cached_property
    def max_tokens(self) -> int:
        limits = [self.settings.max_tokens, self.tokenizer.model_max_length]
        limits += [getattr(self.config, name, None) or limits[0] for name in ("max_position_embeddings", "n_positions")]
        return int(min(limits)) if self.task != "seq2seq" else self.settings.max_tokens

    def encode(self, text: str, reserve: int = 0) -> Encoding:
        """Tokens of a cleaned text; ``reserve`` places are kept free. Raises ``TooLong``, ``EmptyInput``."""
        row = self._pieces.encode(text)
        limit = self.max_tokens - reserve
        if len(row.ids) > limit:
            over = 1 - limit / len(row.ids)
            raise TooLong(
                f"The text has {len(row.ids):,} tokens; {limit:,} at most fit this model.",
                f"Please shorten it by about {over:.0%}.",
            )
        rows = getattr(self.embedding, "num_embeddings", None)
        if rows is not None and max(row.ids, default=0) >= rows:
            raise Unsupported(
                f"The tokenizer knows token {max(row.ids)}, the model only {rows:,} tokens.", "They do not belong together."
            )
        tokens = tuple(self._token(text, i, row) for i in range(len(row.ids)))
        if all(token.special for token in tokens):
            raise EmptyInput("The model's tokenizer finds nothing in this text.", "Please type a few words.")
        ids = {"input_ids": torch.tensor([row.ids], device=self.device)}
        if self._takes_types:
            ids["token_type_ids"] = torch.tensor([row.type_ids], device=self.device)
        return Encoding(text, tokens, ids)

    def _token(self, text: str, i: int, row: Any) -> Token:
        start, end = row.offsets[i]
        special = bool(row.special_tokens_mask[i]) and start == end
        if special:
            before = max((e for _, e in row.offsets[:i]), default=0)
            return Token(row.tokens[i], row.ids[i], before, before, special=True)
        start, end = texts.whole_characters(text, start, end)
        return Token(text[start:end], row.ids[i], start, end, word=texts.word_at(text, start))

    def class_index(self, label: str | int | None, logits: Tensor) -> int:
        """The class that ``label`` names (its name in any case, or its index); the most probable one for None."""
        if label is None:
            return int(logits.argmax())
        names = self.info.labels
        if isinstance(label, int):
            if 0 <= label < len(names):
                return label
            raise UnknownTarget(f"This model has no label {label}.", f"Labels are numbered from 0 to {len(names) - 1}.")
        folded = [name.casefold() for name in names]
        if label.casefold() in folded:
            return folded.index(label.casefold())
        if label.isdecimal() and int(label) < len(names):
            return int(label)
        raise UnknownTarget(f"This model has no label {quote(label)}.", nearest(label, names))

    def baseline_id(self, kind: str) -> int:
        """The token that stands for "nothing here". ``auto`` takes the first there is of pad, mask, end and unknown token."""
        if kind != "auto":
            found = getattr(self.tokenizer, f"{kind}_token_id")
            if found is None:
                raise BadOption(f"This model has no {kind} token.", "Use the baseline 'auto'.")
            return int(found)
        order = ("pad", "mask", "eos", "unk", "bos")
        found = next((i for kind in order if (i := getattr(self.tokenizer, f"{kind}_token_id")) is not None), 0)
        return int(found)

    @torch.no_grad()
    def classify(self, rows: Sequence[str]) -> Tensor:
        """Logits [batch, classes] of cleaned texts, as one padded batch."""
        filler = self.baseline_id("auto")
        encoded = self._pieces.encode_batch(list(rows))
        ids = [row.ids[: self.max_tokens] or [filler] for row in encoded]
        width = max(len(row) for row in ids)
        inputs = {
            "input_ids": [row + [filler] * (width - len(row)) for row in ids],
            "attention_mask": [[1] * len(row) + [0] * (width - len(row)) for row in ids],
        }
        if self._takes_types:
            inputs["token_type_ids"] = [(row.type_ids + [0] * width)[:width] for row in encoded]
        return self.model(**{name: torch.tensor(value, device=self.device) for name, value in inputs.items()}).logits.float()


def twin(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the module tree and configuration over the very same parameters and buffers, in evaluation mode."""
    shared = {id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())}
    return copy.deepcopy(model, shared).eval()


def task_of(model: PreTrainedModel) -> Task:
    """Which of the three tasks a model's class was made for."""
    name = type(model).__name__
    if name.endswith("ForSequenceClassification"):
        return "classification"
    if (
        getattr(model.config, "is_encoder_decoder", False)
        and name in modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.values()
    ):
        return "seq2seq"
    if name in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        return "causal"
    raise Unsupported(
        f"{name} is not a model for sequence classification, causal or encoder-decoder generation.",
        "If it behaves like one of them, say which: load(model, tokenizer, task='classification' | 'causal' | 'seq2seq').",
    )
