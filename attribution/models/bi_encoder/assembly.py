"""A bi-encoder from its parts, as ``modules.json`` lists them or a loaded model holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn

from attribution.errors import AttributionError, Unsupported, nearest, quote
from attribution.models.bi_encoder import SIMILARITIES, BiEncoder, SimilarityName
from attribution.models.bi_encoder.layers import Dense, LayerNorm, Normalize
from attribution.models.bi_encoder.pooling import MODES, Mode, read_modes

FLAGS: dict[str, Mode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How configurations before version 5.4 of sentence-transformers name the modes."""
TEXT_STATES = "last_hidden_state"
SENTENCES, STATES = "sentence_embedding", "token_embeddings"


def _no_weights() -> dict[str, Tensor]:
    return {}


@dataclass(frozen=True)
class Part:
    """One module: the name of its class, its name for messages, its configuration and its weights."""

    kind: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: Callable[[], Mapping[str, Tensor]] = _no_weights


def assemble(parts: Sequence[Part], settings: Mapping[str, Any]) -> BiEncoder:
    """The bi-encoder of some parts: a ``Transformer`` first, then a ``Pooling`` among others.

    ``settings`` are those of ``config_sentence_transformers.json``: ``prompts``, ``default_prompt_name``,
    ``similarity_fn_name``, ``truncate_dim``. Raises ``Unsupported`` for a part that cannot be computed here,
    with its name.
    """
    if not parts or parts[0].kind != "Transformer":
        raise _refusal(parts[0] if parts else Part("nothing", "modules.json"))
    first, *others = parts
    if not _reads_states(first):
        raise Unsupported(
            f"{first.name} ({first.kind}) of this bi-encoder does not give the last states of its tokens.",
            "Choose a bi-encoder that pools them.",
        )
    before: list[nn.Module] = []
    after: list[nn.Module] = []
    pooling: Part | None = None
    for part in others:
        if part.kind == "Pooling" and pooling is None:
            pooling = part
        elif part.kind != "Dropout":
            place = part.config.get("module_input_name") or SENTENCES
            output = part.config.get("module_output_name") or place
            if output != place or place != (STATES if pooling is None else SENTENCES):
                raise _refusal(part)
            (before if place == STATES else after).append(_build(part).requires_grad_(False).eval())
    if pooling is None:
        raise Unsupported(
            "This bi-encoder has no Pooling module.", "Choose one whose modules.json lists one."
        )
    prompt, notes = _prompt(settings)
    return BiEncoder(
        pooling=pooling_modes(pooling.config),
        token_layers=tuple(before),
        layers=tuple(after),
        dimensions=settings.get("truncate_dim"),
        similarity=_similarity(settings.get("similarity_fn_name")),
        prompt=prompt,
        pools_prompt=bool(pooling.config.get("include_prompt", True)),
        max_tokens=_max_tokens(first.config),
        lower_case=bool(first.config.get("do_lower_case", False)),
        notes=notes,
    )


def pooling_modes(config: Mapping[str, Any]) -> tuple[Mode, ...]:
    """The modes of a pooling configuration, of any version. Raises ``Unsupported``."""
    if value := config.get("pooling_mode"):
        try:
            return read_modes(value)
        except AttributionError as error:
            raise Unsupported(
                f"This bi-encoder pools by {quote(value)}.", f"Known are {', '.join(MODES)}."
            ) from error
    if unknown := [k for k, on in config.items() if k.startswith("pooling_mode_") and on and k not in FLAGS]:
        raise Unsupported(f"This bi-encoder pools by {unknown[0]}.", f"Known are {', '.join(MODES)}.")
    return tuple(mode for flag, mode in FLAGS.items() if config.get(flag)) or ("mean",)


def _build(part: Part) -> nn.Module:
    """The layer of a part. Raises ``Unsupported``."""
    try:
        if part.kind == "Dense":
            return Dense(part.name, part.config, part.weights())
        if part.kind == "LayerNorm":
            return LayerNorm(part.config, part.weights())
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise Unsupported(
            f"{part.name} of this bi-encoder does not have the weights that its configuration describes.",
            "Download it again, or choose another one.",
        ) from error
    if part.kind == "Normalize":
        return Normalize()
    raise _refusal(part)


def _refusal(part: Part) -> Unsupported:
    return Unsupported(
        f"This bi-encoder has the module {part.name} ({quote(part.kind)}), which cannot be computed here.",
        "Supported are Transformer, Pooling, Dense, LayerNorm, Normalize and Dropout; "
        "or load it as a function of texts.",
    )


def _reads_states(part: Part) -> bool:
    """Whether a transformer's output is the last state of each token of a text."""
    method = (part.config.get("modality_config") or {}).get("text")
    return method is None or (
        method.get("method") == "forward" and method.get("method_output_name") in (TEXT_STATES, [TEXT_STATES])
    )


def _prompt(settings: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The text that goes in front of each text, and a note that says so."""
    prompts, name = settings.get("prompts") or {}, settings.get("default_prompt_name")
    prompt = prompts.get(name) or "" if name is not None else ""
    if not prompt:
        return "", ()
    return prompt, (
        f"The model reads its prompt {quote(prompt)} in front of each text; it is kept as it is.",
    )


def _similarity(name: object) -> SimilarityName:
    if name is None:
        return "cosine"
    if name not in SIMILARITIES:
        raise Unsupported(
            f"This bi-encoder compares by {quote(name)}, not by two vectors.", nearest(name, SIMILARITIES)
        )
    return cast(SimilarityName, name)


def _max_tokens(config: Mapping[str, Any]) -> int | None:
    options = config.get("processor_kwargs") or config.get("tokenizer_args") or {}
    limit = options.get("model_max_length") or config.get("max_seq_length")
    return int(limit) if isinstance(limit, int | float) and limit > 0 else None
