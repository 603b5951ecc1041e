"""Tiny random models of every text architecture of the installed transformers.

``tests.families`` has the few dozen that every method runs on. Here a model is made of any configuration
class: its sizes are known by the names that transformers gives them; ``SPECIAL`` has those that differ.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.models.auto import modeling_auto

from tests.families import roberta_bytes

HEADS = {
    "causal": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "seq2seq": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    "masked": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    "classification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "token_classification": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "question_answering": modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
}
"""Task → model type → class."""

LARGEST = 30_000_000
"""Parameters that a tiny model has at most: more means that a size was not shrunk."""

SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers"), 2),
    **dict.fromkeys(("decoder_layers", "num_decoder_layers", "num_encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_encoder_attention_heads", "num_decoder_attention_heads"), 4),
    **dict.fromkeys(("head_dim", "d_kv", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim"), 32),
    **dict.fromkeys(("hidden_dim", "ffn_hidden_size", "moe_intermediate_size", "dff", "dim_ff"), 32),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"), 130),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k"), 2),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank"), 16),
    **dict.fromkeys(("shared_expert_intermediate_size", "shared_intermediate_size"), 32),
    **dict.fromkeys(("index_head_dim",), 16),
    **dict.fromkeys(("index_n_heads", "index_topk"), 4),
    "num_key_value_heads": 2,
    "sliding_window": 8,
    "query_pre_attn_scalar": 8,
}


@dataclass(frozen=True)
class Architecture:
    """One class of transformers for one task, such as ``BertForMaskedLM``."""

    kind: str
    task: str
    name: str


def architectures() -> list[Architecture]:
    """Every class that reads a text alone, without images or sound, once for each task."""
    listed = {}
    for task, names in HEADS.items():
        for kind, name in names.items():
            model_class = getattr(transformers, name, None)
            if task == "masked" and name in HEADS["seq2seq"].values():
                continue
            if model_class is not None and kind not in OTHERS and _reads_text_only(model_class):
                # A model of several parts is listed under their common configuration too.
                own = getattr(model_class.config_class, "model_type", "") or kind
                listed.setdefault((task, name), Architecture(own, task, name))
    return list(listed.values())


def _reads_text_only(model_class: type[PreTrainedModel]) -> bool:
    modalities = model_class.input_modalities
    return modalities in ("text", ("text",), ["text"])


def build(architecture: Architecture) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A tiny model with random weights, and a tokenizer of bytes."""
    tokenizer = roberta_bytes()
    with _quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        model_class = getattr(transformers, architecture.name)
        with torch.device("meta"):
            count = sum(
                p.numel()
                for p in model_class(shrink(architecture.kind, architecture.name, tokenizer)).parameters()
            )
        if count > LARGEST:
            raise ValueError(f"A size is not shrunk: {count:,} parameters.")
        return model_class(shrink(architecture.kind, architecture.name, tokenizer)).eval(), tokenizer


def shrink(kind: str, name: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    config_class = CONFIG_MAPPING[kind]
    special = {**SPECIAL.get(kind, {}), **SPECIAL.get(name, {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = config_class().to_dict().keys()
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    known = {**SIZES, **ids, "vocab_size": len(tokenizer), "decoder_start_token_id": tokenizer.eos_token_id}
    sizes = {name: value for name, value in known.items() if name in names}
    if "kv_lora_rank" in names:  # multi-head latent attention has no groups
        sizes["num_key_value_heads"] = sizes["num_attention_heads"]
    parts = {
        part: known for part in ("encoder", "decoder") if part in names and part in config_class.sub_configs
    }
    return config_class(**{**sizes, **parts, **special})


_LINEAR = ["linear_attention", "full_attention"]
_MAMBA = {
    "mamba_chunk_size": 8,
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
}

OTHERS = {
    "encoder-decoder",  # two models of other kinds
    "gemma4_assistant",  # drafts for a larger model, whose states it reads
    "gemma4_unified_assistant",
    "musicgen",  # writes sound
    "musicgen_melody",
    "qwen3_5",  # reads pictures too
}
"""Kinds that read text but are no text model of their own."""

SPECIAL: dict[str, dict[str, Any]] = {
    "esmc": {"num_key_value_heads": 4},
    "luke": {"entity_vocab_size": 8, "entity_emb_size": 8},
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0}},
    "falcon_h1": {**_MAMBA, "mamba_d_ssm": 64},
    "bamba": {**_MAMBA, "attn_layer_indices": [1]},
    "granitemoehybrid": {**_MAMBA, "layer_types": ["mamba", "attention"]},
    "bailing_hybrid": {"layer_types": _LINEAR, "layer_group_size": 2, "num_expert_group": 1},
    "kimi_linear": {"layer_types": _LINEAR},
    "lfm3": {"layer_types": ["conv", "full_attention"]},
    **{
        key: {"layer_types": _LINEAR}
        for key in ("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next", "qwen4_exp_text")
    },
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_dt_rank": 4},
    "recurrent_gemma": {"num_hidden_layers": 3, "lru_width": 32},
    **{key: {"rotary_dim": 8} for key in ("gptj", "codegen")},
    "lilt": {"channel_shrink_ratio": 4, "hidden_size": 48},
    "xmod": {"default_language": "en_XX"},
    "mistral4": {"num_key_value_heads": 4, "head_dim": 16},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "longcat_flash": {"expert_ffn_hidden_size": 32, "zero_expert_num": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1, "state_size": 8, "chunk_size": 8},
    "reformer": {"axial_pos_shape": [4, 8], "axial_pos_embds_dim": [16, 16]},
    "ReformerModelWithLMHead": {"is_decoder": True},
    "dots3_note_text": {"num_key_value_heads": 4, "per_layer_config": {}},
    "zamba": {"num_hidden_layers": 3, "layer_types": ["mamba", "hybrid", "hybrid"]},
    "zamba2": {"layer_types": ["mamba", "hybrid"], "hybrid_layer_ids": [1], "num_mem_blocks": 1},
    "zaya": {"num_experts_per_tok": 1},
    "roc_bert": {"pronunciation_vocab_size": 8, "shape_vocab_size": 8},
    "fsmt": {"src_vocab_size": 270, "tgt_vocab_size": 270, "langs": ["en", "de"]},
}
"""What a configuration needs besides."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
