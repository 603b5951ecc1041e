"""Tiny models of many families: real architectures with random weights and fixed vocabularies.

``tests.tiny`` has the four families of the laws; this module has one of each architecture and kind of head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, processors
from tokenizers import pre_tokenizers as pre
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests import tiny

Pair = tuple[PreTrainedModel, PreTrainedTokenizerFast]
Task = Literal[
    "classification",
    "token_classification",
    "masked",
    "question_answering",
    "similarity",
    "causal",
    "seq2seq",
]
Kind = Literal["encoder", "decoder", "encoder-decoder"]

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-.,!?'"


@dataclass(frozen=True)
class Family:
    """One architecture with one head. ``build`` makes a new model each time, with the same weights."""

    name: str
    title: str
    task: Task
    kind: Kind
    build: Callable[[], Pair]


# Tokenizers: one for each way in which real ones differ (spaces, unknown characters, special tokens).


def _template(tokenizer: Tokenizer, single: str, pair: str | None = None) -> None:
    """Set a template; its special tokens are found in the vocabulary."""
    names = {word.split(":")[0] for word in f"{single} {pair or ''}".split() if not word.startswith("$")}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in sorted(names)],
    )


def _fast(tokenizer: Tokenizer, types: bool = False, **options: Any) -> PreTrainedTokenizerFast:
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, model_input_names=names, **options
    )


def mpnet_wordpiece() -> PreTrainedTokenizerFast:
    """MPNet: BERT's pieces between RoBERTa's special tokens."""
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys([*special, *tiny.WORDS, *tiny.PIECES]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    _template(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    return _fast(
        tokenizer,
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="[UNK]",
        mask_token="<mask>",
    )


def byte_level(
    special: list[str], single: str | None = None, pair: str | None = None, split: bool = False, **names: str
) -> PreTrainedTokenizerFast:
    """Byte-level BPE as in GPT-2: ``special`` first, then 256 bytes and a few merges.

    ``split``: split words by the pattern of Qwen.
    """
    vocabulary = {piece: i for i, piece in enumerate([*special, *sorted(pre.ByteLevel.alphabet())])}
    merges = [
        ("t", "h"),
        ("th", "e"),
        ("Ġ", "the"),
        ("m", "o"),
        ("a", "s"),
        ("Ġ", "w"),
        ("Ġw", "as"),
        ("Ġ", "n"),
    ]
    for a, b in merges:
        vocabulary[a + b] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    if split:
        pattern = Regex(r"'[a-z]+|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+")
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre.Sequence(
            [pre.Split(pattern, "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    else:
        tokenizer.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if single is None:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    else:
        _template(tokenizer, single, pair)
    return _fast(tokenizer, **names)


def roberta_bytes() -> PreTrainedTokenizerFast:
    """RoBERTa and BART: the padding token is 1."""
    names = {
        "cls_token": "<s>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    return byte_level(
        ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        "<s> $A </s>",
        "<s> $A </s> </s> $B </s>",
        bos_token="<s>",
        eos_token="</s>",
        **names,
    )


def modernbert_bytes() -> PreTrainedTokenizerFast:
    names = {
        "cls_token": "[CLS]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }
    return byte_level(
        ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"], "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", **names
    )


def gpt_bytes() -> PreTrainedTokenizerFast:
    """GPT-NeoX, Phi, Falcon: as GPT-2, with more merges."""
    end = "<|endoftext|>"
    return byte_level([end], eos_token=end, bos_token=end, unk_token=end)


def opt_bytes() -> PreTrainedTokenizerFast:
    """OPT: GPT-2's pieces after a ``</s>``."""
    return byte_level(
        ["<s>", "<pad>", "</s>", "<unk>"],
        "</s> $A",
        bos_token="</s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )


def bloom_bytes() -> PreTrainedTokenizerFast:
    return byte_level(
        ["<unk>", "<s>", "</s>", "<pad>"],
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )


def qwen_bytes() -> PreTrainedTokenizerFast:
    """Qwen: no first token, an end of text that also pads, words split by its own pattern."""
    return byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        split=True,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )


def pieces(
    special: list[str], single: str, pair: str | None = None, types: bool = False, **names: str
) -> Any:
    """SentencePiece's unigram model: ``special`` first, including ``unk_token`` for unknown characters."""
    table = [(piece, 0.0) for piece in special]
    table += [
        ("▁", -2.0),
        *(("▁" + word, -3.0) for word in tiny.WORDS if word.isalpha()),
        *((c, -6.0) for c in LETTERS),
    ]
    tokenizer = Tokenizer(models.Unigram(table, unk_id=special.index(names["unk_token"])))
    tokenizer.pre_tokenizer = pre.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    _template(tokenizer, single, pair)
    return _fast(tokenizer, types, **names)


def albert_pieces() -> PreTrainedTokenizerFast:
    names = {
        "cls_token": "[CLS]",
        "pad_token": "<pad>",
        "sep_token": "[SEP]",
        "unk_token": "<unk>",
        "mask_token": "[MASK]",
    }
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    return pieces(special, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", types=True, **names)


def deberta_pieces() -> PreTrainedTokenizerFast:
    names = {
        "cls_token": "[CLS]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    return pieces(special, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", types=True, **names)


def xlm_roberta_pieces() -> PreTrainedTokenizerFast:
    names = {
        "cls_token": "<s>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    return pieces(
        special, "<s> $A </s>", "<s> $A </s> </s> $B </s>", bos_token="<s>", eos_token="</s>", **names
    )


def mbart_pieces() -> PreTrainedTokenizerFast:
    """mBART: the text ends with ``</s>`` and its language."""
    return pieces(
        ["<s>", "<pad>", "</s>", "<unk>", "en_XX", "de_DE"],
        "$A </s> en_XX",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens=["en_XX", "de_DE"],
    )


def marian_pieces() -> PreTrainedTokenizerFast:
    """A fast tokenizer instead of Marian's slow one: ``</s>`` is 0; padding is 2, but last in real ones."""
    return pieces(
        ["</s>", "<unk>", "<pad>"], "$A </s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


def pegasus_pieces() -> PreTrainedTokenizerFast:
    special = ["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>"]
    names = {"pad_token": "<pad>", "eos_token": "</s>", "mask_token": "<mask_2>", "unk_token": "<unk>"}
    return pieces(special, "$A </s>", **names)


def byte_fallback(special: list[str], first: str, prepend: bool, **names: str) -> PreTrainedTokenizerFast:
    """BPE over characters, with bytes for unknown ones.

    ``prepend``: put a space mark before the first word (Llama).
    """
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {piece: i for i, piece in enumerate([*special, *alphabet, "▁", *LETTERS])}
    merges = [
        ("t", "h"),
        ("th", "e"),
        ("▁", "the"),
        ("m", "o"),
        ("a", "s"),
        ("▁", "w"),
        ("▁w", "as"),
        ("▁", "n"),
    ]
    for a, b in merges:
        vocabulary[a + b] = len(vocabulary)
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    space = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), space]) if prepend else space
    back = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*back, decoders.Strip(" ", 1, 0)] if prepend else back)
    _template(tokenizer, f"{first} $A", f"{first} $A {first}:1 $B:1")
    return _fast(tokenizer, **names)


def llama_bytes() -> PreTrainedTokenizerFast:
    return byte_fallback(
        ["<unk>", "<s>", "</s>"], "<s>", True, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def gemma_bytes() -> PreTrainedTokenizerFast:
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    return byte_fallback(special, "<bos>", False, **names)


# Models. One vocabulary of sizes, under the names that each configuration has for them.

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 128,
}
GROUPED = {**SIZES, "num_key_value_heads": 1, "head_dim": 8}
BART_SIZES: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 128,
}
T5_SIZES: dict[str, Any] = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 2,
    "decoder_start_token_id": 0,
}
LABELS = {0: "negative", 1: "positive"}


def special_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int | None]:
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}


def _maker(
    kind: str, tokenizer: Callable[[], PreTrainedTokenizerFast], sizes: dict[str, Any], factor: float = 8.0
) -> Any:
    """A function that makes builders for an architecture, by class name and further configuration."""

    def head(name: str, untied: bool = False, **options: Any) -> Callable[[], Pair]:
        def build() -> Pair:
            words = tokenizer()
            config = getattr(transformers, f"{kind}Config")(
                **{"vocab_size": len(words), **special_ids(words), **sizes, **options}
            )
            with torch.random.fork_rng():
                torch.manual_seed(sum(map(ord, kind)))
                model = getattr(transformers, name)(config)
                if untied:  # As the checkpoints are; the configuration of a T5 can no longer say so.
                    model.lm_head = torch.nn.Linear(config.d_model, config.vocab_size, bias=False)
                return tiny.scale_weights(model, factor), words

        return build

    return head


_bert = _maker("Bert", tiny.wordpiece, SIZES, 16.0)
_roberta = _maker("Roberta", roberta_bytes, {**SIZES, "max_position_embeddings": 130}, 16.0)
_distilbert = _maker(
    "DistilBert",
    tiny.wordpiece,
    {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 128},
    16.0,
)
_albert = _maker("Albert", albert_pieces, {**SIZES, "embedding_size": 8}, 16.0)
_electra = _maker("Electra", tiny.wordpiece, {**SIZES, "embedding_size": 8}, 16.0)
_deberta = _maker(
    "DebertaV2",
    deberta_pieces,
    {
        **SIZES,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    16.0,
)
_xlm_roberta = _maker("XLMRoberta", xlm_roberta_pieces, {**SIZES, "max_position_embeddings": 130}, 16.0)
_modernbert = _maker(
    "ModernBert",
    modernbert_bytes,
    {
        **SIZES,
        "cls_token_id": 1,
        "sep_token_id": 2,
        "local_attention": 8,
        "layer_types": ["full_attention", "sliding_attention"],
        "initializer_range": 0.3,
    },
    1.0,  # Its head is initialised large already.
)
_mpnet = _maker("MPNet", mpnet_wordpiece, {**SIZES, "max_position_embeddings": 130}, 16.0)

_gpt2 = _maker("GPT2", tiny.bytes_bpe, {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 128})
_gpt_neo = _maker(
    "GPTNeo",
    tiny.bytes_bpe,
    {
        "hidden_size": 16,
        "num_layers": 2,
        "num_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 128,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
    },
)
_gpt_neox = _maker("GPTNeoX", gpt_bytes, SIZES)
_opt = _maker("OPT", opt_bytes, {**SIZES, "ffn_dim": 32, "word_embed_proj_dim": 8})
_llama = _maker("Llama", llama_bytes, GROUPED)
_qwen2 = _maker("Qwen2", qwen_bytes, GROUPED)
_qwen3 = _maker("Qwen3", qwen_bytes, GROUPED)
_mistral = _maker("Mistral", llama_bytes, {**GROUPED, "sliding_window": 8})
_gemma = _maker("Gemma", gemma_bytes, GROUPED)
_gemma2 = _maker("Gemma2", gemma_bytes, {**GROUPED, "sliding_window": 8, "query_pre_attn_scalar": 8})
_gemma3 = _maker(
    "Gemma3Text",
    gemma_bytes,
    {
        **GROUPED,
        "sliding_window": 8,
        "query_pre_attn_scalar": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
)
_phi = _maker("Phi", gpt_bytes, SIZES)
_phi3 = _maker("Phi3", llama_bytes, {**SIZES, "num_key_value_heads": 1})
_bloom = _maker("Bloom", bloom_bytes, {"hidden_size": 16, "n_layer": 2, "n_head": 2})
_falcon = _maker("Falcon", gpt_bytes, SIZES)

_t5 = _maker("T5", tiny.unigram, T5_SIZES, 1.5)
_mt5 = _maker("MT5", tiny.unigram, T5_SIZES, 1.5)
_umt5 = _maker("UMT5", tiny.unigram, T5_SIZES, 1.5)
_bart = _maker(
    "Bart", roberta_bytes, {**BART_SIZES, "decoder_start_token_id": 2, "forced_eos_token_id": 2}, 16.0
)
_mbart = _maker(
    "MBart",
    mbart_pieces,
    {**BART_SIZES, "decoder_start_token_id": 5, "scale_embedding": True, "forced_eos_token_id": 2},
    16.0,
)
_marian = _maker(
    "Marian",
    marian_pieces,
    {
        **BART_SIZES,
        "decoder_start_token_id": 2,
        "scale_embedding": True,
        "forced_eos_token_id": 0,
        "activation_function": "swish",
    },
    16.0,
)
_pegasus = _maker(
    "Pegasus",
    pegasus_pieces,
    {**BART_SIZES, "decoder_start_token_id": 0, "scale_embedding": True, "forced_eos_token_id": 1},
    16.0,
)

_CLASSES: dict[str, Any] = {"num_labels": 2, "id2label": LABELS}
_INFERENCE: dict[str, Any] = {
    "num_labels": 3,
    "id2label": {0: "entailment", 1: "neutral", 2: "contradiction"},
}
_EMOTIONS: dict[str, Any] = {
    "num_labels": 3,
    "id2label": {0: "joy", 1: "anger", 2: "fear"},
    "problem_type": "multi_label_classification",
}
_NAMES: dict[str, Any] = {"num_labels": 3, "id2label": {0: "O", 1: "B-PER", 2: "I-PER"}}

_ALL = [
    Family("bert", "BERT", "classification", "encoder", tiny.bert),
    Family(
        "roberta",
        "RoBERTa",
        "classification",
        "encoder",
        _roberta("RobertaForSequenceClassification", **_CLASSES),
    ),
    Family(
        "distilbert",
        "DistilBERT",
        "classification",
        "encoder",
        _distilbert("DistilBertForSequenceClassification", **_CLASSES),
    ),
    Family(
        "albert",
        "ALBERT",
        "classification",
        "encoder",
        _albert("AlbertForSequenceClassification", **_CLASSES),
    ),
    Family(
        "electra",
        "ELECTRA",
        "classification",
        "encoder",
        _electra("ElectraForSequenceClassification", **_CLASSES),
    ),
    Family(
        "deberta-v2",
        "DeBERTa-v2",
        "classification",
        "encoder",
        _deberta("DebertaV2ForSequenceClassification", **_CLASSES),
    ),
    Family(
        "xlm-roberta",
        "XLM-RoBERTa",
        "classification",
        "encoder",
        _xlm_roberta("XLMRobertaForSequenceClassification", **_CLASSES),
    ),
    Family(
        "modernbert",
        "ModernBERT",
        "classification",
        "encoder",
        _modernbert("ModernBertForSequenceClassification", **_CLASSES),
    ),
    Family(
        "mpnet", "MPNet", "classification", "encoder", _mpnet("MPNetForSequenceClassification", **_CLASSES)
    ),
    Family(
        "bert-regression",
        "BERT",
        "classification",
        "encoder",
        _bert("BertForSequenceClassification", num_labels=1, problem_type="regression"),
    ),
    Family(
        "bert-multi-label",
        "BERT",
        "classification",
        "encoder",
        _bert("BertForSequenceClassification", **_EMOTIONS),
    ),
    Family(
        "bert-nli", "BERT", "classification", "encoder", _bert("BertForSequenceClassification", **_INFERENCE)
    ),
    Family(
        "roberta-nli",
        "RoBERTa",
        "classification",
        "encoder",
        _roberta("RobertaForSequenceClassification", **_INFERENCE),
    ),
    Family("gpt2-classifier", "GPT-2", "classification", "decoder", tiny.gpt2_classifier),
    Family(
        "llama-classifier",
        "Llama",
        "classification",
        "decoder",
        _llama("LlamaForSequenceClassification", **_CLASSES),
    ),
    Family(
        "bart-classifier",
        "BART",
        "classification",
        "encoder-decoder",
        _bart("BartForSequenceClassification", **_CLASSES),
    ),
    Family(
        "bert-tokens",
        "BERT",
        "token_classification",
        "encoder",
        _bert("BertForTokenClassification", **_NAMES),
    ),
    Family("bert-masked", "BERT", "masked", "encoder", _bert("BertForMaskedLM")),
    Family("roberta-masked", "RoBERTa", "masked", "encoder", _roberta("RobertaForMaskedLM")),
    Family("bert-question", "BERT", "question_answering", "encoder", _bert("BertForQuestionAnswering")),
    Family(
        "distilbert-question",
        "DistilBERT",
        "question_answering",
        "encoder",
        _distilbert("DistilBertForQuestionAnswering"),
    ),
    Family("bert-similarity", "BERT", "similarity", "encoder", _bert("BertModel")),
    Family("mpnet-similarity", "MPNet", "similarity", "encoder", _mpnet("MPNetModel")),
    Family("gpt2", "GPT-2", "causal", "decoder", tiny.gpt2),
    Family("gpt-neo", "GPT-Neo", "causal", "decoder", _gpt_neo("GPTNeoForCausalLM")),
    Family("gpt-neox", "GPT-NeoX", "causal", "decoder", _gpt_neox("GPTNeoXForCausalLM")),
    Family("opt", "OPT", "causal", "decoder", _opt("OPTForCausalLM")),
    Family("llama", "Llama", "causal", "decoder", _llama("LlamaForCausalLM")),
    Family("qwen2", "Qwen2", "causal", "decoder", _qwen2("Qwen2ForCausalLM")),
    Family("qwen3", "Qwen3", "causal", "decoder", _qwen3("Qwen3ForCausalLM")),
    Family("mistral", "Mistral", "causal", "decoder", _mistral("MistralForCausalLM")),
    Family("gemma", "Gemma", "causal", "decoder", _gemma("GemmaForCausalLM")),
    Family("gemma2", "Gemma 2", "causal", "decoder", _gemma2("Gemma2ForCausalLM")),
    Family("gemma3", "Gemma 3", "causal", "decoder", _gemma3("Gemma3ForCausalLM")),
    Family("phi", "Phi", "causal", "decoder", _phi("PhiForCausalLM")),
    Family("phi3", "Phi-3", "causal", "decoder", _phi3("Phi3ForCausalLM")),
    Family("bloom", "BLOOM", "causal", "decoder", _bloom("BloomForCausalLM")),
    Family("falcon", "Falcon", "causal", "decoder", _falcon("FalconForCausalLM")),
    Family("t5", "T5", "seq2seq", "encoder-decoder", tiny.t5),
    Family(
        "flan-t5",
        "T5 v1.1 and Flan-T5",
        "seq2seq",
        "encoder-decoder",
        _t5(
            "T5ForConditionalGeneration",
            untied=True,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
        ),
    ),
    Family("mt5", "mT5", "seq2seq", "encoder-decoder", _mt5("MT5ForConditionalGeneration", untied=True)),
    Family("umt5", "umT5", "seq2seq", "encoder-decoder", _umt5("UMT5ForConditionalGeneration", untied=True)),
    Family("bart", "BART", "seq2seq", "encoder-decoder", _bart("BartForConditionalGeneration")),
    Family("mbart", "mBART", "seq2seq", "encoder-decoder", _mbart("MBartForConditionalGeneration")),
    Family("marian", "Marian", "seq2seq", "encoder-decoder", _marian("MarianMTModel")),
    Family("pegasus", "PEGASUS", "seq2seq", "encoder-decoder", _pegasus("PegasusForConditionalGeneration")),
]

FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
"""Every architecture, and every kind of head, by name."""
