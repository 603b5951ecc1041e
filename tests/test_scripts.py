"""Words of scripts without spaces, with and without the packages that know them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution import scripts, text

LAO, KHMER, BURMESE = "ພາສາລາວເປັນພາສາ", "ភាសាខ្មែរជាភាសា", "မြန်မာဘာသာစကားသည်"
UNSPACED = st.text(
    st.sampled_from("ภาพเรื่องนี้ำ中文日本のコー々ພາສາເປັນຳភាខ្មែរမြန်ာသည်\u200b\u0301 a.1"), max_size=40
)


def words_of(raw: str) -> list[str]:
    return [raw[start:end] for start, end in text.words(raw)]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither budoux nor ICU is installed."""

    def forget() -> None:
        for cached in (scripts._budoux, scripts._icu, text.words):
            cached.cache_clear()

    monkeypatch.setattr(scripts, "_import", lambda _: None)
    forget()
    yield
    forget()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (LAO, ["ພາສາ", "ລາວ", "ເປັນ", "ພາສາ"]),
        (KHMER, ["ភាសាខ្មែរ", "ជា", "ភាសា"]),
        (BURMESE, ["မြန်မာဘာသာ", "စကား", "သည်"]),
    ],
)
def test_icu_knows_lao_khmer_and_burmese(raw: str, expected: list[str]) -> None:
    pytest.importorskip("icu4py", reason="the extra 'languages' is not installed")
    assert words_of(raw) == expected
    assert scripts.missing(raw) == ""


@pytest.mark.parametrize(
    ("raw", "expected", "named"),
    [
        (LAO, ["ພາ", "ສາ", "ລາ", "ວ", "ເປັ", "ນ", "ພາ", "ສາ"], "Lao is split"),
        (KHMER, ["ភា", "សា", "ខ្មែ", "រ", "ជា", "ភា", "សា"], "Khmer is split"),
        (BURMESE, ["မြန်", "မာ", "ဘာ", "သာ", "စ", "ကား", "သည်"], "Burmese is split"),
        ("世界", ["世", "界"], "Chinese is split"),
        ("この世界", ["こ", "の", "世", "界"], "Chinese and Japanese is split"),
        ("แต่ไป", ["แต่", "ไป"], "Thai is split"),
        ("the film", ["the", "film"], ""),
    ],
)
@pytest.mark.usefixtures("only")
def test_without_the_packages_there_are_syllables_and_a_note(
    raw: str, expected: list[str], named: str
) -> None:
    assert words_of(raw) == expected
    assert scripts.missing(raw).startswith(named)


@given(UNSPACED)
def test_words_and_the_spaces_between_them_are_the_text(raw: str) -> None:
    position = 0
    for start, end in text.words(raw):
        assert position <= start < end
        assert not raw[position:start].strip()
        position = end
    assert not raw[position:].strip()
