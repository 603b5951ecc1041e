"""Which word a token belongs to, and what a model cannot read of a text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tokenizers import Tokenizer, models, normalizers
from tokenizers import pre_tokenizers as pre

from attribution import attribute, load, sentences
from attribution.models.encoding import read_tokens
from attribution.models.readers.generation import read_generated
from tests.families import FAMILIES, byte_level


def sentencepiece(*pieces: str) -> Tokenizer:
    """A Unigram tokenizer with the pieces and all their characters."""
    letters = dict.fromkeys("▁" + "".join(pieces))
    vocabulary = [("<unk>", 0.0), *((piece, -1.0) for piece in pieces), *((c, -9.0) for c in letters)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, 0, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre.Metaspace()
    return tokenizer


@pytest.mark.parametrize("text", ["good xyz", "xyz good", " good  xyz", "xyz\nxyz good ", "good\txyz xyz"])
def test_a_lone_mark_of_a_space_belongs_to_the_word_after_it(text: str) -> None:
    row = sentencepiece("▁good", "xyz").encode(text)
    assert "▁" in row.tokens
    tokens = read_tokens(row, text)
    assert len({token.word for token in tokens}) == len(text.split())
    assert all(token.word is not None for token in tokens)
    # The tokenizer's own words, where it splits at all white space.
    if not set(text) & set("\n\t"):
        theirs = [w for w, token in zip(row.word_ids, tokens, strict=True) if token.text.strip()]
        ours = [token.word for token in tokens if token.text.strip()]
        assert [a == b for a, b in pairwise(ours)] == [a == b for a, b in pairwise(theirs)]


@pytest.mark.parametrize(
    "text", ["the  film", "  the film", "the film \n", "the\n\n\tfilm", "the \u200b film"]
)
def test_white_space_is_no_feature(text: str) -> None:
    tokenizer = byte_level(["<s>"])
    tokens = read_tokens(tokenizer.backend_tokenizer.encode(text), text)
    assert {token.word for token in tokens} == {0, 1}
    result = attribute(text, load(*FAMILIES["gpt2-classifier"].build()), "occlusion").words()
    assert [token.text.strip("\u200b ") for token in result.tokens if not token.special] == ["the", "film"]
    assert "".join(text.split()) == "".join("".join(token.text.split()) for token in result.tokens)


def test_a_token_that_spans_two_words_belongs_to_the_larger_part() -> None:
    text = "电影很好看"  # 电影, 很, 好, 看
    tokens = read_tokens(sentencepiece("电影", "很好看").encode(text), text)
    assert [token.text for token in tokens if token.text] == ["电", "电影", "很好看"], "▁ stands on it"
    assert [token.word for token in tokens if token.text] == [0, 0, 1]


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        (b"\xe2a", ["\ufffd", "a"]),
        (b"a\xff", ["a", "\ufffd"]),
        (b"\xff\xfeb", ["\ufffd", "\ufffd", "b"]),
        ("€!".encode(), ["€", "€", "€", "!"]),
        (b"x\xe2\x82 y", ["x", "\ufffd", "\ufffd", " ", "y"]),
        (b"\xe2\x82\xac\xff\xe2\x82\xac", ["€", "€", "€", "\ufffd", "€", "€", "€"]),
        ("👍".encode()[:3] + b"!", ["\ufffd", "\ufffd", "\ufffd", "!"]),
        ("e\u0301\ufffd".encode(), ["e\u0301"] * 3 + ["\ufffd"] * 3),
    ],
)
def test_generated_bytes_that_are_no_character_show_their_own_part(written: bytes, parts: list[str]) -> None:
    adapter = load(*FAMILIES["gpt2"].build())
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]  # GPT-2's letters for bytes
    hidden = [byte for byte in range(256) if byte not in visible]
    names = {byte: chr(byte if byte in visible else 256 + hidden.index(byte)) for byte in range(256)}
    ids = adapter.tokenizer.convert_tokens_to_ids([names[byte] for byte in written])
    result = read_generated(adapter, ids, adapter.pieces("the"))
    assert [token.text for token in result.tokens] == parts
    assert [result.text[token.start : token.end] for token in result.tokens] == parts
    assert result.text == written.decode(errors="replace")


def test_what_a_model_cannot_read_is_said() -> None:
    model = load(*FAMILIES["bert"].build())
    result = attribute("电影很好 bad", model, "occlusion")
    assert [token.text for token in result.tokens] == ["[CLS]", *["[UNK]"] * 4, "bad", "[SEP]"]
    assert [token.text for token in result.words().tokens] == ["[CLS]", "电影", "很", "好", "bad", "[SEP]"]
    assert "4 of its 5 tokens, with 57% of its characters, are [UNK]" in sentences.unread(result)
    assert sentences.unread(attribute("the film was ☃ bad", model, "occlusion")) == ""
    assert "1 of its 3 tokens, with 55% of its characters" in sentences.unread(
        attribute("Привет bad so", model, "random")
    )
