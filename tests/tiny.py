"""Tiny models of each family with fixed vocabularies, and large weights so that predictions differ."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import pre_tokenizers as pre
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

WORDS = [
    "the",
    "a",
    "movie",
    "film",
    "plot",
    "actor",
    "is",
    "was",
    "not",
    "good",
    "bad",
    "great",
    "awful",
    "fine",
    ",",
    ".",
    "!",
    "?",
    "it",
    "'s",
    "and",
    "but",
    "with",
    "very",
    "so",
]
PIECES = ["##s", "##ing", "##ed", *(chr(c) for c in range(97, 123)), *("##" + chr(c) for c in range(97, 123))]


def wordpiece() -> PreTrainedTokenizerFast:
    """A BERT tokenizer over a few words and all letters."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys([*special, *WORDS, *PIECES]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = dict(
        zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=128,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **names,
    )


def bytes_bpe() -> PreTrainedTokenizerFast:
    """A GPT-2 tokenizer with few merges: most characters are a token, others several bytes."""
    alphabet = sorted(pre.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<|endoftext|>", *alphabet])}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the")]
    for a, b in merges:
        vocabulary[a + b] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        bos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
    )


def unigram() -> PreTrainedTokenizerFast:
    """A T5 tokenizer: SentencePiece marks, ``</s>`` at the end, unknown characters as ``<unk>``."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [("▁" + word, -3.0) for word in WORDS if word.isalpha()]
    pieces += [(c, -6.0) for c in "abcdefghijklmnopqrstuvwxyz0123456789-.,!?'"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def scale_weights(model: PreTrainedModel, factor: float = 4.0) -> PreTrainedModel:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(factor)
    return model.eval()


def bert(labels: int = 2) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    torch.manual_seed(0)
    tokenizer = wordpiece()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        num_labels=labels,
        id2label={0: "negative", 1: "positive", 2: "neutral"}
        if labels == 3
        else {0: "negative", 1: "positive"},
    )
    return scale_weights(BertForSequenceClassification(config)), tokenizer


def _gpt2_config(tokenizer: PreTrainedTokenizerFast, **options: object) -> GPT2Config:
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=128,
        bos_token_id=0,
        eos_token_id=0,
        **options,
    )


def gpt2() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    torch.manual_seed(1)
    tokenizer = bytes_bpe()
    return scale_weights(GPT2LMHeadModel(_gpt2_config(tokenizer))), tokenizer


def gpt2_classifier() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    torch.manual_seed(2)
    tokenizer = bytes_bpe()
    return scale_weights(GPT2ForSequenceClassification(_gpt2_config(tokenizer, num_labels=2))), tokenizer


def t5() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    torch.manual_seed(3)
    tokenizer = unigram()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
        dropout_rate=0.1,
    )
    return scale_weights(T5ForConditionalGeneration(config), 2.0), tokenizer


FAMILIES: dict[str, Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerFast]]] = {
    "bert": bert,
    "gpt2-classifier": gpt2_classifier,
    "gpt2": gpt2,
    "t5": t5,
}
