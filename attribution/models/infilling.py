"""Words that a masked language model substitutes for others."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attribution.models.adapter import Adapter
from attribution.models.calls import call
from attribution.models.deadline import Deadline
from attribution.types import Token

Span = tuple[int, int]
"""Start and end of a word in a text, in code points."""


class Filler:
    """Fills several masked spans at once with the most probable word each; caches its answers."""

    def __init__(self, masked: Adapter, deadline: Deadline) -> None:
        self.masked, self.deadline = masked, deadline
        self._answers: dict[tuple[str, tuple[Span, ...]], list[str]] = {}
        tokenizer = masked.tokenizer
        size = min(len(tokenizer), masked.embedding.num_embeddings)
        # Not words by themselves: special tokens, pieces that continue a word, white space.
        barred = set(tokenizer.all_special_ids)
        names = tokenizer.convert_ids_to_tokens(list(range(size)))
        barred |= {
            i
            for i, name in enumerate(names)
            if name is None or name.startswith("##") or not name.strip("▁Ġ ")
        }
        self._barred = torch.tensor(sorted(barred), device=masked.device)

    def fill(self, rows: Sequence[tuple[str, Sequence[Span]]]) -> list[list[str]]:
        """For each text and its spans (ordered, not overlapping) return the words for the spans.

        Raises ``TooLong`` where a text does not fit the masked language model.
        """
        keys_of_rows = [(text, tuple(spans)) for text, spans in rows]
        new = [key for key in dict.fromkeys(keys_of_rows) if key not in self._answers]
        for key in new:
            self._answers[key] = []
        by_length: dict[int, list[tuple[str, tuple[Span, ...]]]] = {}
        mask = self.masked.tokenizer.mask_token
        encodings = {
            key: self.masked.encode(replace_spans(*key, [mask] * len(key[1]))) for key in new if key[1]
        }
        for key, encoding in encodings.items():
            by_length.setdefault(len(encoding.tokens), []).append(key)
        for length, keys in by_length.items():
            size = max(1, self.masked.settings.rows_per_batch_tokens // length)
            for first in range(0, len(keys), size):
                self.deadline.check()
                part = keys[first : first + size]
                ids = torch.cat([encodings[key].ids for key in part])
                with torch.no_grad():
                    extra = encodings[part[0]].extra(len(part))
                    logits = call(
                        self.masked.model, inputs_embeds=self.masked.embed(ids), **extra
                    ).logits.float()
                logits[:, :, self._barred] = -torch.inf
                best = logits.argmax(-1)
                for key, ids_of_best in zip(part, best, strict=True):
                    places = self._places(key[1], encodings[key].tokens)
                    words = [
                        None if place is None else self.masked.text_of([int(ids_of_best[place])])
                        for place in places
                    ]
                    # Where the tokenizer did not find a mask, the word stays unchanged.
                    self._answers[key] = [
                        key[0][a:b] if w is None else w for w, (a, b) in zip(words, key[1], strict=True)
                    ]
        return [self._answers[key] for key in keys_of_rows]

    def _places(self, spans: Sequence[Span], tokens: Sequence[Token]) -> list[int | None]:
        """The token index of each span's mask, or None; the text may contain other masks."""
        tokenizer = self.masked.tokenizer
        at = {token.start: i for i, token in enumerate(tokens) if token.id == tokenizer.mask_token_id}
        places, shift = [], 0
        for start, end in spans:
            places.append(at.get(start + shift))
            shift += len(tokenizer.mask_token) - (end - start)
        return places


def replace_spans(text: str, spans: Sequence[Span], words: Sequence[str]) -> str:
    """Replace the spans of a text, which are ordered and do not overlap, by other words."""
    parts, at = [], 0
    for (start, end), word in zip(spans, words, strict=True):
        parts += [text[at:start], word]
        at = end
    return "".join(parts) + text[at:]
