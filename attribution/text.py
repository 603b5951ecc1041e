"""Text before tokenization: cleaning, and the spans of words and characters, in code points."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import lru_cache
from itertools import pairwise

import regex

from attribution import scripts
from attribution.errors import EmptyInput, InputError, TooLong, describe

# Unpaired surrogates, NUL and the other C0 controls except tab, line feed and carriage return: no tokenizer
# accepts all of them.
_FORBIDDEN = regex.compile(r"[\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f]")
# Visible characters: no white space, and no format characters such as zero-width spaces, tags and bidi marks.
# The replacement character does not count: a text of nothing else is not a text.
_VISIBLE = regex.compile(r"[^\s\p{Cf}\p{Cc}\p{Mn}\p{Me}\ufffd\u2800\u3164\u115f\u1160]")
_GRAPHEME = regex.compile(r"\X")
# What is inside a word without being seen: marks, soft hyphens, joiners, directions; no zero-width space.
_INNER = r"[\p{M}\u00ad\u061c\u200c-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
_LETTER = rf"(?:(?!{scripts.UNSPACED})[\p{{L}}\p{{N}}_]{_INNER}*)"
# Inner apostrophes, hyphens and dots (don't, well-known, 3.14), separators of numbers, & of capitals (AT&T).
_JOINT = r"(?:['’\-‐‑.]|(?<=\p{N})[,:/](?=\p{N})|(?<=\p{Lu})&(?=\p{Lu}))"
# Words, the most particular first: addresses, abbreviations with dots, C++ and C#, #tags and @names, letters
# and digits, any other visible character. A stretch of a script without spaces is split into words later.
_WORD = regex.compile(
    rf"""(?P<unspaced>(?:[{scripts.CHINESE_JAPANESE}]{_INNER}*)+
                    | (?:\p{{Thai}}{_INNER}*)+ | (?:\p{{Lao}}{_INNER}*)+
                    | (?:\p{{Khmer}}{_INNER}*)+ | (?:\p{{Myanmar}}{_INNER}*)+)
      | (?:https?://|ftp://|www\.)[^\s<>"“”«»{scripts.CHINESE_JAPANESE}]*[^\s<>"“”«».,;:!?…'’)\]}}]
      | [\p{{L}}\p{{N}}_][\p{{L}}\p{{N}}_.+\-]{{0,63}}@[\p{{L}}\p{{N}}\-]+(?:\.[\p{{L}}\p{{N}}\-]+)+
      | (?:\p{{L}}\.){{2,}}(?![\p{{L}}\p{{N}}_])
      | [A-Za-z]+\+\+\p{{N}}*(?![\p{{L}}_+]) | [A-Za-z]\#\p{{N}}*(?![\p{{L}}_\#])
      | (?<![\p{{L}}\p{{N}}_])[\#@](?:[\p{{L}}\p{{N}}_]{_INNER}*)+
      | {_LETTER}+(?:{_JOINT}{_LETTER}+)*(?:(?<=\p{{N}})%|[་༌])?
      | (?!\s)\X""",
    regex.VERBOSE,
)
# Characters that nobody sees, so that they are no words: zero-width spaces, directions, Hangul fillers.
_UNSEEN = regex.compile(r"[\p{Cf}\p{M}\u2800\u3164\u115f\u1160]+")

_MARK = regex.compile(r"\p{M}")
# Characters that join to a word with their like, but for scripts that put no spaces between words.
_IN_WORD = regex.compile(
    r"[\p{L}\p{M}\p{N}_--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]", regex.V1
)

# The end of a sentence: its mark with closing quotes and brackets before white space, an ideographic mark, or
# a line break.
_SENTENCE_END = regex.compile(r"""[.!?…]+["'”’»)\]]*(?=\s)|[。！？｡]+["'”’»」』）)\]]*|[।॥؟۔]+|\n+""")


def clean(text: object, limit: int) -> str:
    """Replace unpaired surrogates and control characters by U+FFFD; nothing else changes.

    Raises ``InputError`` (not a string), ``TooLong`` (over ``limit`` characters), ``EmptyInput`` (nothing
    visible).
    """
    if not isinstance(text, str):
        raise InputError(f"text is {describe(text)}.", "It must be a string.")
    if len(text) > limit:
        raise TooLong(f"The text has {len(text):,} characters; the limit is {limit:,}.", "Please shorten it.")
    cleaned: str = _FORBIDDEN.sub("\ufffd", text)
    if not _VISIBLE.search(cleaned):
        raise EmptyInput("There is no text to explain.", "Please type a few words.")
    return cleaned


@lru_cache(maxsize=256)
def words(text: str) -> tuple[tuple[int, int], ...]:
    """The spans of the words of ``text`` in order; punctuation marks are words of their own.

    Together with the white space between them they are the text. Characters that nobody sees belong to the
    word after them, at the end of the text to the one before.
    """
    spans: list[tuple[int, int]] = []
    unseen: tuple[int, int] | None = None
    for match in _WORD.finditer(text):
        start, end = match.span()
        if _UNSEEN.fullmatch(text, start, end):
            unseen = (start if unseen is None else unseen[0], end)
            continue
        first = len(spans)
        spans.extend(scripts.runs(text, start, end) if match["unspaced"] else [(start, end)])
        if unseen is not None:
            spans[first] = (unseen[0], spans[first][1])
            unseen = None
    if unseen is not None:
        spans[-1:] = [(spans[-1][0] if spans else unseen[0], unseen[1])]
    return tuple(spans)


@lru_cache(maxsize=256)
def _boundaries(text: str) -> tuple[int, ...]:
    return (*(match.start() for match in _GRAPHEME.finditer(text)), len(text))


def characters(text: str) -> list[tuple[int, int]]:
    """The spans of the visible characters (grapheme clusters) of ``text`` in order."""
    return [(a, b) for a, b in pairwise(_boundaries(text)) if text[a:b].strip()]


def snap_to_characters(text: str, start: int, end: int) -> tuple[int, int]:
    """Strip white space from a span (unless there is nothing else), and widen it to grapheme clusters."""
    while start < end and text[start].isspace() and not text[start:end].isspace():
        start += 1
    while start < end and text[end - 1].isspace() and not text[start:end].isspace():
        end -= 1
    if start >= end:
        return start, start
    edges = _boundaries(text)
    first = edges[bisect_right(edges, start) - 1]
    last = edges[bisect_right(edges, end - 1)]
    return first, last


def word_of(text: str, start: int, end: int) -> int | None:
    """The index of the word that a span belongs to: the one that most of it lies in, the first of equals.

    A span of white space, or of nothing, belongs to the word after it, at the end to the one before. None for
    a text without words.
    """
    spans = words(text)
    if not spans:
        return None
    index = bisect_right(spans, start, key=lambda span: span[1])  # the first word that ends after ``start``
    best, most = min(index, len(spans) - 1), 0
    while index < len(spans) and spans[index][0] < end:
        shared = min(end, spans[index][1]) - max(start, spans[index][0])
        if shared > most:
            best, most = index, shared
        index += 1
    return best


@lru_cache(maxsize=256)
def _sentence_starts(text: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in _SENTENCE_END.finditer(text) if match.end() < len(text)))


def sentence_at(text: str, position: int) -> int:
    """The index of the sentence that holds the code point at ``position``."""
    return bisect_right(_sentence_starts(text), position) - 1


def occurrences(text: str, phrase: str) -> list[tuple[int, int]]:
    """The spans of ``text`` that spell ``phrase`` in any case, in order; they may overlap.

    Folding may lengthen characters ("ß", "İ", "ﬁ"), so that offsets into a folded text are none into the
    text itself: each folded character keeps the place of its original, and a span never begins or ends inside
    one. Composed and decomposed characters are the same.
    """
    (folded, places), (wanted, _) = _fold(text), _fold(phrase.strip())
    spans = []
    at = folded.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if (at == 0 or places[at - 1] != places[at]) and (
            end == len(folded) or places[end - 1] != places[end]
        ):
            spans.append((places[at], places[end - 1] + 1))
        at = folded.find(wanted, at + 1)
    return spans


def stands_apart(text: str, start: int, end: int) -> bool:
    """Whether a span begins and ends between words, rather than inside one."""
    return not (_is_inside_word(text, start) or _is_inside_word(text, end))


def _is_inside_word(text: str, position: int) -> bool:
    """Whether letters, marks or digits meet at ``position``, of a script that separates words by spaces."""
    if not 0 < position < len(text):
        return False
    before, after = text[position - 1], text[position]
    if _MARK.match(after):
        return True
    return all(_IN_WORD.match(character) for character in (before, after))


@lru_cache(maxsize=256)
def _fold(text: str) -> tuple[str, tuple[int, ...]]:
    """The text without differences of case, and the place in ``text`` of each of its characters."""
    pieces = [unicodedata.normalize("NFD", unicodedata.normalize("NFD", c).casefold()) for c in text]
    places = tuple(at for at, piece in enumerate(pieces) for _ in piece)
    return "".join(pieces), places
