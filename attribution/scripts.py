"""Words of the scripts that are written without spaces: Chinese, Japanese, Thai, Lao, Khmer, Burmese.

``budoux`` knows the first three, ICU (``icu4py``) the others. Both are optional and imported with the first
such text; without them a text is split into syllables or characters, and ``missing`` says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import regex

CHINESE_JAPANESE = r"\p{Han}\p{Hiragana}\p{Katakana}ー〆ｰ"
DICTIONARY = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
UNSPACED = rf"[{CHINESE_JAPANESE}{DICTIONARY}]"
"""A character of one of these scripts, as a pattern."""

_IS_UNSPACED = regex.compile(UNSPACED)
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_SCRIPTS = {
    name: regex.compile(rf"\p{{{name}}}") for name in ("Han", "Hiragana", "Thai", "Lao", "Khmer", "Myanmar")
}
_GRAPHEME = regex.compile(r"\X")
# A consonant with the vowel that is written before it, what is stacked below, marks, and vowels after it.
_SYLLABLE = regex.compile(
    r"""[\u0e40-\u0e44]?[\u0e01-\u0e2e]\p{M}*[\u0e30\u0e32\u0e33\u0e45]*\p{M}*
      | [\u0ec0-\u0ec4]?[\u0e81-\u0eae\u0edc-\u0edf]\p{M}*[\u0eb0\u0eb2\u0eb3\u0ebd]*\p{M}*
      | [\u1780-\u17b3](?:\u17d2[\u1780-\u17b3]|\p{M})*
      | [\u1000-\u102a\u103f](?:\u1039[\u1000-\u1021]|\p{M}|[\u1000-\u1021](?:\p{M}*\u103a))*
      | \X""",
    regex.VERBOSE,
)
JAPANESE = 0.1
"""Share of kana from which a text is Japanese: Chinese texts have the odd の."""
_LOCALES = {"Lao": "lo", "Khmer": "km", "Myanmar": "my"}
_NAMES = {"Myanmar": "Burmese"}


def is_unspaced(text: str) -> bool:
    """Whether a text begins with a character of a script without spaces."""
    return bool(_IS_UNSPACED.match(text))


def split(run: str, text: str) -> list[str]:
    """The words of ``run``, a stretch of one such script in ``text``; they concatenate to it.

    No word ends inside a character (grapheme cluster).
    """
    script = _script(run)
    words = _segment(script, text)(run)
    edges = {0, *(match.end() for match in _GRAPHEME.finditer(run))}
    parts, start, end = [], 0, 0
    for word in words:
        end += len(word)
        if end in edges and end > start:
            parts.append(run[start:end])
            start = end
    return parts if start == len(run) else [*parts, run[start:]]


def missing(text: str) -> str:
    """A note on what has to be installed to find the words of ``text``; "" where nothing is missing."""
    scripts = [name for name, pattern in _SCRIPTS.items() if pattern.search(text)]
    for package, what, needs in (
        ("budoux", "budoux", [name for name in scripts if name not in _LOCALES]),
        ("icu4py", "'attribution-visualization-tool[languages]'", [n for n in scripts if n in _LOCALES]),
    ):
        if needs and _import(package) is None:
            named = " and ".join(dict.fromkeys(_language(name) for name in needs))
            return (
                f"{named} is split into syllables or characters, not words: pip install {what} brings words."
            )
    return ""


def _language(script: str) -> str:
    return {"Han": "Chinese", "Hiragana": "Japanese"}.get(script, _NAMES.get(script, script))


def _script(run: str) -> str:
    return next((name for name, pattern in _SCRIPTS.items() if pattern.match(run)), "Han")


def _segment(script: str, text: str) -> Callable[[str], list[str]]:
    """A function that splits a run of one script into words."""
    if script in _LOCALES:
        return _icu(_LOCALES[script])
    if script == "Thai":
        return _budoux("thai")
    kana, characters = len(_KANA.findall(text)), len(regex.findall(rf"[{CHINESE_JAPANESE}]", text))
    if kana > JAPANESE * characters:
        return _budoux("japanese")
    simplified, traditional = (len(text.encode(code, "ignore")) for code in ("gb2312", "big5"))
    return _budoux("traditional_chinese" if traditional > simplified else "simplified_chinese")


def _syllables(run: str) -> list[str]:
    return [match.group() for match in _SYLLABLE.finditer(run)]


@cache
def _budoux(language: str) -> Callable[[str], list[str]]:
    package = _import("budoux")
    if package is None:
        return _syllables
    parse: Callable[[str], list[str]] = getattr(package, f"load_default_{language}_parser")().parse
    return parse


@cache
def _icu(locale: str) -> Callable[[str], list[str]]:
    breakers = _import("icu4py.breakers")
    if breakers is None:
        return _syllables
    return lambda run: list(breakers.WordBreaker(run, locale))


@cache
def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def runs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The spans of the words of ``text[start:end]``, a stretch of one such script."""
    for word in split(text[start:end], text):
        yield start, start + len(word)
        start += len(word)
