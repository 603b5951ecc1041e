from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution import text
from attribution.errors import AttributionError, EmptyInput, InputError, TooLong

ANY = st.text(st.characters(), max_size=60)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [("a\x00b", "a�b"), ("a\ud800b", "a�b"), ("\x1b[0mhi", "�[0mhi"), ("a\tb\r\nc", "a\tb\r\nc")],
)
def test_clean_replaces_only_what_tokenizers_reject(raw: str, cleaned: str) -> None:
    assert text.clean(raw, 100) == cleaned


@pytest.mark.parametrize(
    "raw", ["", "  \n\t", "\u200b\ufeff", "\U000e0041", "\x00\x00", "\ud800", "\u0301", "\u202e"]
)
def test_a_text_without_visible_characters_is_empty(raw: str) -> None:
    with pytest.raises(EmptyInput):
        text.clean(raw, 100)


def test_a_long_text_is_refused_with_both_numbers() -> None:
    with pytest.raises(TooLong, match="1,001 characters; the limit is 1,000"):
        text.clean("x" * 1001, 1000)


@pytest.mark.parametrize("raw", [None, 3, ["a"], b"bytes", float("nan")])
def test_something_else_than_a_string_is_refused(raw: object) -> None:
    with pytest.raises(InputError, match="must be a string"):
        text.clean(raw, 100)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Don't stop, it's 3.14!", ["Don't", "stop", ",", "it's", "3.14", "!"]),
        ("well-known… 世界!", ["well-known", "…", "世界", "!"]),
        ("1,000.50 12:30 3.5% 24/7 1,2", ["1,000.50", "12:30", "3.5%", "24/7", "1,2"]),
        ("C++, C# or C++17: i++", ["C++", ",", "C#", "or", "C++17", ":", "i++"]),
        ("#tag @name # @ a#b", ["#tag", "@name", "#", "@", "a", "#", "b"]),
        ("a.b@c.org, (https://x.org/a?b=c).", ["a.b@c.org", ",", "(", "https://x.org/a?b=c", ")", "."]),
        ("the U.S.A. and AT&T; a b. c", ["the", "U.S.A.", "and", "AT&T", ";", "a", "b", ".", "c"]),
        ("state-of-the-art rock'n'roll", ["state-of-the-art", "rock'n'roll"]),
        ("a, b: 1, 2", ["a", ",", "b", ":", "1", ",", "2"]),
        ("ภาพยนตร์เรื่องนี้ดีมากแต่ยาวเกินไป", ["ภาพยนตร์", "เรื่อง", "นี้", "ดี", "มาก", "แต่", "ยาว", "เกิน", "ไป"]),
        ("这部电影很好看，太长了。", ["这", "部", "电影", "很", "好", "看", "，", "太长", "了", "。"]),
        ("這部電影很好看", ["這", "部", "電影", "很", "好", "看"]),
        ("今日はいい天気ですね。", ["今日は", "いい", "天気ですね", "。"]),
        ("コーヒー2杯", ["コーヒー", "2", "杯"]),
        ("བོད་ཡིག", ["བོད་", "ཡིག"]),
        ("co\u00adop שלום\u200f!", ["co\u00adop", "שלום\u200f", "!"]),
        ("x\u200by z\u200b", ["x", "\u200by", "z\u200b"]),
        ("\ufeffgood \u200b bad", ["\ufeffgood", "\u200b bad"]),
        ("\u0301abc", ["\u0301abc"]),
        ("यह शानदार है", ["यह", "शानदार", "है"]),
        ("👨‍👩‍👧 שלום", ["👨‍👩‍👧", "שלום"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
    ],
)
def test_words(raw: str, expected: list[str]) -> None:
    assert [raw[a:b] for a, b in text.words(raw)] == expected


@given(ANY)
def test_words_are_in_order_and_leave_out_only_white_space(raw: str) -> None:
    spans = text.words(raw)
    position = 0
    for start, end in spans:
        assert position <= start < end <= len(raw)
        assert raw[position:start].strip() == "" or all(c.isspace() for c in raw[position:start])
        position = end
    assert not raw[position:].strip()


@given(ANY, st.integers(0, 60), st.integers(0, 60))
def test_spans_never_cut_a_character(raw: str, a: int, b: int) -> None:
    start, end = sorted((min(a, len(raw)), min(b, len(raw))))
    first, last = text.snap_to_characters(raw, start, end)
    edges = set(text._boundaries(raw))
    assert 0 <= first <= last <= len(raw)
    assert first in edges or first == last
    assert last in edges or first == last


@given(ANY)
def test_clean_gives_a_text_or_a_typed_error(raw: str) -> None:
    try:
        cleaned = text.clean(raw, 50)
    except AttributionError:
        return
    assert len(cleaned) == len(raw)
    assert cleaned.encode("utf-8")
    assert text.clean(cleaned, 50) == cleaned


@pytest.mark.parametrize(
    ("raw", "start", "end", "word"),
    [
        ("ab  cd", 0, 1, 0),
        ("ab  cd", 1, 3, 0),  # with the space after it
        ("ab  cd", 2, 4, 1),  # white space: the word after it
        ("ab  cd", 3, 3, 1),  # nothing, as SentencePiece's "▁"
        ("ab  cd", 3, 5, 1),
        ("ab cd \n", 5, 7, 1),  # at the end the word before it
        ("\tab", 0, 1, 0),
        ("abc, de", 2, 4, 0),  # equal parts: the first
        ("ab.def", 1, 5, 0),  # "ab.def" is one word
        ("ab!def", 1, 5, 2),  # most of "b!de" lies in "def"
        (" ", 0, 1, None),
    ],
)
def test_the_word_of_a_span(raw: str, start: int, end: int, word: int | None) -> None:
    assert text.word_of(raw, start, end) == word


@pytest.mark.parametrize(
    ("raw", "phrase", "expected"),
    [
        ("straße: STRASSE, Strasse", "strasse", ["straße", "STRASSE", "Strasse"]),
        ("straße and the ﬁlm", "The Film", ["the ﬁlm"]),
        ("İstanbul is İs", "is", ["is"]),  # "İ" folds to two characters, of which none is cut off
        ("café and cafe\u0301", "CAFÉ", ["café", "cafe\u0301"]),
        ("ΟΔΟΣ οδός", "οδος", ["ΟΔΟΣ"]),
        ("𝒳 ha haha", "ha", ["ha", "ha", "ha"]),
        ("ﬁne", "i", []),
        ("anything", " ", []),
    ],
)
def test_a_phrase_is_found_in_any_case_at_its_own_place(raw: str, phrase: str, expected: list[str]) -> None:
    assert [raw[a:b] for a, b in text.occurrences(raw, phrase)] == expected


@given(ANY, ANY, ANY)
def test_a_phrase_is_found_where_it_stands(before: str, phrase: str, after: str) -> None:
    phrase = phrase.strip()
    raw = before + phrase + after
    spans = text.occurrences(raw, phrase)
    assert all(0 <= a < b <= len(raw) for a, b in spans)
    assert not phrase or (len(before), len(before) + len(phrase)) in spans


@pytest.mark.parametrize(
    ("raw", "phrase", "expected"),
    [
        ("the he", "he", [False, True]),
        ("5km", "km", [False]),
        ("Obama's well-known 2016-17", "known", [True]),
        ("Obama's", "Obama", [True]),
        ("東京都", "京", [True]),
        ("cafe\u0301", "caf", [False]),
    ],
)
def test_whether_a_phrase_is_a_word_of_its_own(raw: str, phrase: str, expected: list[bool]) -> None:
    assert [text.stands_apart(raw, a, b) for a, b in text.occurrences(raw, phrase)] == expected
