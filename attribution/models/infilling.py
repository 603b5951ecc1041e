"""Words that a masked language model puts in the place of others."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.types import Token

Span = tuple[int, int]
"""Start and end of a word in a text, in code points."""


class Filler:
    """Fills in the likeliest word for each of several spans, all hidden at once; remembers its answers."""

    def __init__(self, masked: Adapter, deadline: Deadline) -> None:
        self.masked, self.deadline = masked, deadline
        self._answers: dict[tuple[str, tuple[Span, ...]], list[str]] = {}
        tokenizer = masked.tokenizer
        size = min(len(tokenizer), masked.embedding.num_embeddings)
        # What cannot stand alone as a word: special tokens, pieces that continue a word, white space.
        barred = set(tokenizer.all_special_ids)
        names = tokenizer.convert_ids_to_tokens(list(range(size)))
        barred |= {
            i
            for i, name in enumerate(names)
            if name is None or name.startswith("##") or not name.strip("▁Ġ ")
        }
        self._barred = torch.tensor(sorted(barred), device=masked.device)

    def fill(self, rows: Sequence[tuple[str, Sequence[Span]]]) -> list[list[str]]:
        """For each text and its spans (in order and apart) the words for the spans.

        Raises ``TooLong`` for the masked model.
        """
        asked = [(text, tuple(spans)) for text, spans in rows]
        new = [key for key in dict.fromkeys(asked) if key not in self._answers]
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
                    logits = self.masked.model(inputs_embeds=self.masked.embed(ids), **extra).logits.float()
                logits[:, :, self._barred] = -torch.inf
                best = logits.argmax(-1)
                for key, said in zip(part, best, strict=True):
                    places = self._places(key[1], encodings[key].tokens)
                    words = [
                        None if place is None else self.masked.text_of([int(said[place])]) for place in places
                    ]
                    # A mask that the tokenizer did not find leaves the word as it is.
                    self._answers[key] = [
                        key[0][a:b] if w is None else w for w, (a, b) in zip(words, key[1], strict=True)
                    ]
        return [self._answers[key] for key in asked]

    def _places(self, spans: Sequence[Span], tokens: Sequence[Token]) -> list[int | None]:
        """Where the masks for the spans are among the tokens; a text may have masks of its own."""
        tokenizer = self.masked.tokenizer
        at = {token.start: i for i, token in enumerate(tokens) if token.id == tokenizer.mask_token_id}
        found, longer = [], 0
        for start, end in spans:
            found.append(at.get(start + longer))
            longer += len(tokenizer.mask_token) - (end - start)
        return found


def replace_spans(text: str, spans: Sequence[Span], words: Sequence[str]) -> str:
    """The text with other words in the spans, which are in order and apart."""
    made, at = [], 0
    for (start, end), word in zip(spans, words, strict=True):
        made += [text[at:start], word]
        at = end
    return "".join(made) + text[at:]
