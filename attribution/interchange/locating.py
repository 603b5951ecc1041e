"""Where the tokens of another tool stand in a text, and the text that they make up."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from attribution.errors import InputError, quote

_SPECIAL = re.compile(r"\[(CLS|SEP|PAD|BOS|EOS)\]|</?s>|<(pad|cls|sep|bos|eos)>|<\|[^|<>]+\|>|#?PAD")
_UNKNOWN = re.compile(r"\[UNK\]|<unk>", re.IGNORECASE)
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def is_special(token: str) -> bool:
    """Whether a token is none of the text: a marker such as ``[CLS]`` or ``</s>``, or an empty one."""
    return not token or bool(_SPECIAL.fullmatch(token))


@cache
def _byte_alphabet() -> dict[str, int]:
    """The bytes that the characters of a byte-level vocabulary stand for (Radford et al. 2019, GPT-2)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def surfaces(tokens: Sequence[str]) -> list[str]:
    """The part of the text that each token stands for, with the white space before it; "" for special ones.

    Reads the markers of byte-level BPE (``Ġ``), SentencePiece (``▁``), WordPiece (``##``) and ``</w>``.
    Tokens that hold white space themselves stand for themselves. Any others are words, with a space between
    them.
    """
    plain = [token for token in tokens if not is_special(token)]
    if any("Ġ" in token or "Ċ" in token for token in plain):
        return _decode_bytes(
            [[] if is_special(t) else [_byte_alphabet().get(c, 63) for c in t] for t in tokens]
        )
    if any("▁" in token for token in plain):
        pieces = [
            []
            if is_special(token)
            else [int(match[1], 16)]
            if (match := _BYTE_TOKEN.fullmatch(token))
            else list(token.replace("▁", " ").encode("utf-8", "replace"))
            for token in tokens
        ]
        return _decode_bytes(pieces)
    if any(token.endswith("</w>") for token in plain):
        return _join_words(
            [token.removesuffix("</w>") for token in tokens], [token.endswith("</w>") for token in tokens]
        )
    if any(token.startswith("##") for token in plain):
        glued = [token.startswith("##") for token in tokens]
        words = [token.removeprefix("##") for token in tokens]
        return _join_words(words, [*(not after for after in glued[1:]), True])
    if any(token != token.strip() for token in plain):
        return ["" if is_special(token) else token for token in tokens]
    return _join_words(tokens, [True] * len(tokens))


def _join_words(words: Sequence[str], ends: Sequence[bool]) -> list[str]:
    """Put a space before each word that follows the end of another one."""
    parts, space = [], ""
    for word, end in zip(words, ends, strict=True):
        if is_special(word):
            parts.append("")
            continue
        parts.append(space + word)
        space = " " if end else ""
    return parts


def _decode_bytes(pieces: Sequence[Sequence[int]]) -> list[str]:
    """Decode bytes; a character that is split between tokens belongs to the one that completes it."""
    parts, waiting = [], b""
    for piece in pieces:
        waiting += bytes(piece)
        text = waiting.decode("utf-8", "ignore")
        complete = text.encode()
        if waiting.startswith(complete) and len(waiting) - len(complete) < 4:
            parts.append(text)
            waiting = waiting[len(complete) :]
        else:
            parts.append(waiting.decode("utf-8", "replace"))
            waiting = b""
    return parts


def compose(tokens: Sequence[str]) -> str:
    """The text that the tokens make up."""
    return "".join(surfaces(tokens)).strip()


def _fold(text: str) -> tuple[str, list[int]]:
    """A text without white space, case and accents, and the index of each character in the text."""
    folded, origins = [], []
    for index, character in enumerate(text):
        for part in unicodedata.normalize("NFKD", character).casefold():
            if not part.isspace() and not unicodedata.combining(part):
                folded.append(part)
                origins.append(index)
    return "".join(folded), origins


def locate(tokens: Sequence[str], text: str) -> list[tuple[int, int] | None]:
    """The span of each token in the text, in code points; None for special tokens.

    Case, accents and white space do not matter: tokenizers change them. A token for an unknown word stands
    for what is between its neighbours.

    Raises ``InputError`` for a token that the rest of the text does not contain.
    """
    folded, origins = _fold(text)
    spans: list[tuple[int, int] | None] = []
    unknown: list[int] = []
    position = 0
    for index, (token, surface) in enumerate(zip(tokens, surfaces(tokens), strict=True)):
        wanted = _fold(surface)[0]
        if is_special(token) or _UNKNOWN.fullmatch(token):
            unknown += [index] * bool(_UNKNOWN.fullmatch(token))
            spans.append(None)
            continue
        if not wanted:  # white space, or part of a character
            edge = origins[position - 1] + 1 if position else 0
            spans.append((edge, edge))
            continue
        place = folded.find(wanted, position)
        if place < 0:
            rest = text[origins[position] :] if position < len(origins) else ""
            raise InputError(
                f"The token {quote(token)} is not in the rest of the text, {quote(rest)}.",
                "Give the text that these tokens come from, or leave text out.",
            )
        position = place + len(wanted)
        spans.append((origins[place], origins[position - 1] + 1))
    for index in unknown:
        spans[index] = _between(spans, index, text)
    return spans


def _between(spans: Sequence[tuple[int, int] | None], index: int, text: str) -> tuple[int, int]:
    """The span between the nearest tokens that have one, without the white space around it."""
    start = next((span[1] for span in reversed(spans[:index]) if span), 0)
    end = next((span[0] for span in spans[index + 1 :] if span), len(text))
    inner = text[start:end]
    start += len(inner) - len(inner.lstrip())
    return start, max(start, start + len(inner.strip()))
