"""Generate text as the model's own ``generate`` does by greedy search."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from attribution.errors import AttributionError, EmptyInput, Unsupported, quote
from attribution.models.writing import fields

REMEMBERED = 64
"""Size of a writer's cache of generated texts."""


@dataclass(frozen=True, slots=True)
class Written:
    """Generated tokens ``ids``, without the end token, and ``notes`` on how they came about."""

    ids: tuple[int, ...]
    notes: tuple[str, ...] = ()


class Writer:
    """Writes with a model by its ``generation_config``, as far as greedy search goes.

    ``model`` is private: its settings are replaced by those that are honoured. ``pad`` is a padding token.

    Attributes
    ----------
    start : the token that an encoder-decoder's decoder starts with; None where the settings have none.
    forced : the token that the settings force after it, such as the target language; None without one.
    choosing : names of the settings that can choose another token than the most probable one.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pad: int) -> None:
        self.model, self.tokenizer, self.pad = model, tokenizer, pad
        settings = _take_settings(model)
        self.left_out = fields.describe_left_out(settings)
        self._allowed, self._allowed_together = settings.max_new_tokens, settings.max_length
        fields.for_greedy_search(settings)
        self._both = bool(getattr(model.config, "is_encoder_decoder", False))
        self.start = _first(
            settings.decoder_start_token_id,
            settings.bos_token_id,
            getattr(model.config, "decoder_start_token_id", None),
        )
        self._by_language = False
        if self._both and settings.forced_bos_token_id is None:
            settings.forced_bos_token_id = self._target_language()
            self._by_language = settings.forced_bos_token_id is not None
        self.forced: int | None = settings.forced_bos_token_id if self._both else None
        if settings.min_new_tokens is not None:  # which generate() lets decide
            settings.min_length = None
        self.choosing = fields.list_choosing(settings)
        self.settings = model.generation_config = settings
        self._written: OrderedDict[tuple[tuple[int, ...], int], Written] = OrderedDict()
        self._lock = threading.Lock()

    def write(self, ids: Tensor, count: int) -> Written:
        """Generate at most ``count`` new tokens for ``ids`` [1, inputs].

        The last ``REMEMBERED`` results are cached, since every method and every part of a long output needs
        them. Raises ``EmptyInput`` where nothing is generated, ``Unsupported`` where the model cannot.
        """
        key = (tuple(ids[0].tolist()), count)
        with self._lock:
            if key in self._written:
                self._written.move_to_end(key)
                return self._written[key]
        new = self._generate(ids, count)
        # The end-of-sequence token is explained only where it is the only one.
        ended = len(new) > 1 and new[-1] in self._ends()
        notes = self._notes(ids.shape[1], len(new), count)
        written = Written(tuple(new[:-1] if ended else new), notes)
        with self._lock:
            self._written[key] = written
            while len(self._written) > REMEMBERED:
                self._written.popitem(last=False)
        return written

    def notes_on_forced(self) -> tuple[str, ...]:
        """What to know about the first token: who chose it, or that nobody chose a language."""
        if self.forced is not None:
            name = quote(self.tokenizer.convert_ids_to_tokens(self.forced))
            if self._by_language:
                return (f"The decoder begins with {name}, the target language of the tokenizer (tgt_lang).",)
            return (f"The decoder begins with {name}: the model's settings force it (forced_bos_token_id).",)
        if self._both and getattr(self.tokenizer, "tgt_lang", "") is None and self._starts_neutrally():
            return (
                "No target language is set, so the model chooses one: load its tokenizer with tgt_lang=..., "
                "or set forced_bos_token_id in its generation_config.",
            )
        return ()

    def _generate(self, ids: Tensor, count: int) -> list[int]:
        settings: dict[str, Any] = {"max_new_tokens": count, "do_sample": False, "num_beams": 1}
        longest = count + (1 if self._both else ids.shape[1])
        for name, most in (("min_new_tokens", count), ("min_length", longest)):
            if (least := getattr(self.settings, name)) is not None:
                settings[name] = min(least, most)
        if self.settings.stop_strings is not None:
            settings["tokenizer"] = self.tokenizer
        try:
            with torch.no_grad():
                answer = self.model.generate(
                    ids, attention_mask=torch.ones_like(ids), pad_token_id=self.pad, **settings
                )
        except (AttributionError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            raise Unsupported(
                f"{type(self.model).__name__} could not generate text: {reason[:300]}",
                "Correct the model's generation_config, or give the text to explain as continuation.",
            ) from error
        row: list[int] = getattr(answer, "sequences", answer)[0].tolist()
        new = row[1:] if self._both else row[ids.shape[1] :]
        if not new:
            raise EmptyInput("The model generated nothing for this text.", "Please try another text.")
        return new

    def _ends(self) -> frozenset[int]:
        ends = self.settings.eos_token_id
        ends = ends.tolist() if isinstance(ends, Tensor) else ends
        return frozenset(ends if isinstance(ends, list | tuple) else [ends])

    def _notes(self, inputs: int, written: int, count: int) -> tuple[str, ...]:
        notes = []
        if self.left_out:
            *others, last = self.left_out
            requested = f"{', '.join(others)} and {last}" if others else last
            notes.append(f"Generated by greedy search; the model's settings ask for {requested}.")
        allowed = self._allowed
        if allowed is None and self._allowed_together is not None:
            allowed = self._allowed_together - (1 if self._both else inputs)
        if allowed is not None and written > max(0, allowed):
            most = max(0, allowed)
            notes.append(f"The model's settings allow {most} new tokens; this request asks for {count}.")
        return tuple(notes)

    def _target_language(self) -> int | None:
        """The token of the language that a multilingual tokenizer is set to write."""
        language = getattr(self.tokenizer, "tgt_lang", None)
        if not isinstance(language, str):
            return None
        index = self.tokenizer.convert_tokens_to_ids(language)
        is_listed = isinstance(index, int) and index not in (self.tokenizer.unk_token_id, self.start)
        return index if is_listed else None

    def _starts_neutrally(self) -> bool:
        """Whether the decoder's first token is no language: mBART starts with one."""
        names = ("bos", "eos", "pad")
        return self.start in {getattr(self.tokenizer, f"{name}_token_id") for name in names}


def _take_settings(model: PreTrainedModel) -> GenerationConfig:
    """A model's generation settings, with those that were set on its configuration instead.

    ``generate`` refuses the latter, which was the documented way before transformers 5.
    """
    settings = getattr(model, "generation_config", None) or GenerationConfig()
    config = model.config
    parameters: dict[str, Any] = getattr(config, "_get_generation_parameters", dict)()
    for name, value in parameters.items():
        setattr(settings, name, value)
        with contextlib.suppress(AttributeError):
            delattr(config, name)
    return settings


def _first(*tokens: Any) -> int | None:
    """The first token that is set. A list has one token for each row of a batch."""
    for token in tokens:
        values = token.reshape(-1).tolist() if isinstance(token, Tensor) else token
        values = values if isinstance(values, list | tuple) else [values]
        if values and values[0] is not None:
            return int(values[0])
    return None
