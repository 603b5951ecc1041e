"""A uniform interface to transformers models: text → ids → embeddings → model → logits.

The caller's model is never modified.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto import modeling_auto

from attribution.errors import BadOption, EmptyInput, Unsupported
from attribution.models.base_adapter import BaseAdapter
from attribution.models.bi_encoder import BiEncoder, with_pooling
from attribution.models.calls import probes, translate_errors
from attribution.models.checkpoint.calling import GLOBAL, bridge_calls, sees_globally
from attribution.models.checkpoint.classes import Classes, read_classes
from attribution.models.checkpoint.limits import TokenLimit, token_limit
from attribution.models.checkpoint.positions import count_positions
from attribution.models.checkpoint.task import check_one_sided, resolve_task
from attribution.models.checkpoint.task import task_of as task_of
from attribution.models.encoding import Encoding, read_lower_case, read_tokens
from attribution.models.inside.pruning import prune
from attribution.models.sources import offloading
from attribution.models.tasks import Task
from attribution.models.twin import has_hooks, is_close, make_copy, make_twin
from attribution.models.writing.writer import Writer
from attribution.settings import DEFAULTS, Settings
from attribution.types import ModelInfo, Need, Segment, Token


class Adapter(BaseAdapter):
    """A model and its tokenizer behind one interface, for every task of ``models.tasks``.

    ``gives`` lists what methods may require of it.

    Computation happens on a twin: a second module tree over the same parameters and buffers, in evaluation
    mode. The caller's model keeps its mode, hooks, attention implementation, configuration and ``.grad``.

    ``bi_encoder``, for similarity, says how a text becomes a vector; without it, its states are averaged, and
    a note says so. Raises ``Unsupported`` for a model that fits none of the tasks.
    """

    gives: frozenset[Need] = frozenset({"gradients", "attentions", "texts"})

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "",
        revision: str | None = None,
        task: Task | str | None = None,
        labels: Sequence[str] = (),
        bi_encoder: BiEncoder | None = None,
        settings: Settings = DEFAULTS,
    ) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise Unsupported(
                f"{type(tokenizer).__name__} does not say where in the text its tokens are.",
                "A tokenizer with a tokenizer.json file (a 'fast' tokenizer) is needed.",
            )
        self.settings = settings
        self.bi_encoder = bi_encoder or with_pooling(None, ())
        self.budget = settings.rows_per_batch_tokens
        """Tokens per batch, padding included; lowered after running out of memory."""
        self.batches_backward = True
        """Whether one backward pass can serve several outputs; false once an operation refuses."""
        self.shares_prefix: bool | None = None
        """Whether a decoder's cached prefix can be reused for changed endings; None until tested."""
        self.classes: Classes | None = None
        """The classes of a head with labels; None for other tasks."""
        self.task = resolve_task(task, model)
        self.model = make_twin(model)
        self._copy_tokenizer(tokenizer)
        self.model = bridge_calls(self.model, self.task, (self.pieces("a b") or [0])[0])
        if self.task.classifies:
            check_one_sided(model)
            # A decoder's classification head finds the last token of a padded row by the padding token.
            if getattr(self.config, "pad_token_id", None) is None:
                self.model.config.pad_token_id = self.baseline_id("auto")
        if self.task.writes:
            self.writer = Writer(self.model, self.tokenizer, self.baseline_id("auto"))
        if self.reads_twice:  # Each token has rows of attention in both parts.
            self.gives = frozenset({"gradients", "texts"})
        if self.task.fills_masks and self.tokenizer.mask_token_id is None:
            raise Unsupported("This tokenizer has no mask token.", "A masked language model needs one.")
        if self.task.pools:
            self.notes = self.bi_encoder.notes
        if self.task.has_labels:
            self.classes = self._read_classes(labels)
            labels, self.notes = self.classes.names, self.classes.notes
        self.info = ModelInfo(
            name=name or model.config.name_or_path or type(model).__name__,
            revision=revision,
            architecture=type(model).__name__,
            task=self.task.name,
            labels=tuple(labels),
            parameters=sum(p.numel() for p in model.parameters()),
        )

    def _copy_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Take a private copy: calling a fast tokenizer sets its padding and truncation for all threads."""
        self.tokenizer = make_copy(tokenizer)
        self._pieces = self.tokenizer.backend_tokenizer
        self._pieces.no_padding()
        self._pieces.no_truncation()
        if self.bi_encoder.lower_case:
            read_lower_case(self._pieces)

    @property
    def device(self) -> torch.device:
        return offloading.execution_device(self.embedding)

    @property
    def config(self) -> Any:
        return self.model.config

    @property
    def embedding(self) -> torch.nn.Module:
        """The table of the (encoder's) input embeddings."""
        return probes.input_table(self.model)

    @cached_property
    def _scale(self) -> float:
        """The scale of input embeddings: Marian and Pegasus apply it to ids only, not to given embeddings."""
        return (
            float(getattr(self.model.get_encoder(), "embed_scale", 1.0)) if self.task.encoder_decoder else 1.0
        )

    def embed(self, ids: Tensor) -> Tensor:
        """The (encoder's) input embeddings of ``ids`` [batch, inputs], [batch, inputs, hidden]."""
        return probes.look_up(self.model, self.embedding, ids) * self._scale

    def check_embeddings(self) -> None:
        """Check, once, that embeddings give the same logits as the ids of the same tokens.

        Raises ``Unsupported`` where they do not: a wrong scale would otherwise go unnoticed.
        """
        if not self._embeddings_fit:
            raise Unsupported(
                f"{type(self.model).__name__} reads embeddings in another way than the ids of tokens.",
                "Load it as a function of texts: load(function, labels=...).",
            )

    @cached_property
    def _embeddings_fit(self) -> bool:
        return is_close(
            probes.answer_short(self, self.model, embedded=True),
            probes.answer_short(self, self.model),
            self._rounding,
        )

    @property
    def _rounding(self) -> float:
        """Relative tolerance for equal logits: half precision keeps 8 to 11 bits."""
        return 1e-3 if self.embedding.weight.dtype in (torch.float32, torch.float64) else 0.05

    @cached_property
    def reads_twice(self) -> bool:
        """Whether the encoder and the decoder both read a text, as where BART finds answers in it."""
        both = bool(getattr(self.config, "is_encoder_decoder", False)) and not self.task.encoder_decoder
        return both and "decoder_inputs_embeds" in self.forward_names

    def decoder_arguments(self, embeddings: Tensor, *, wraps: bool | None = None) -> dict[str, Any]:
        """What the decoder of a model that ``reads_twice`` is given: the text's embeddings, moved by one."""
        if not self.reads_twice:
            return {}
        start = getattr(self.config, "decoder_start_token_id", None) or 0
        first = self.decoder_embedding(torch.tensor([[start]], device=self.device)).expand(
            len(embeddings), -1, -1
        )
        if self._wraps if wraps is None else wraps:
            first = embeddings[:, -1:]
        return {"decoder_inputs_embeds": torch.cat([first, embeddings[:, :-1]], dim=1), "use_cache": False}

    @cached_property
    def _wraps(self) -> bool:
        """Whether that decoder starts with the text's last token (mBART) and not with a start token."""
        moved = probes.answer_short(self, self.model, embedded=True, wraps=False)
        return not is_close(moved, probes.answer_short(self, self.model), self._rounding)

    def _read_classes(self, labels: Sequence[str]) -> Classes:
        """The classes of the head, with the caller's names or those of the configuration."""
        try:
            rows = int(probes.answer_short(self, self.model).shape[-1])
        except Exception:  # the first request says what is wrong
            rows = None
        return read_classes(self.config, rows, labels, whole_text=self.task.classifies)

    @cached_property
    def pruned_model(self) -> PreTrainedModel:
        """A twin that skips what the classification head does not read, or the model itself."""
        if not self.task.classifies or self.reads_last or offloading.is_offloaded(self.model):
            return self.model
        if has_hooks(self.model):  # they see whole passes
            return self.model
        rows = self.vocabulary()[: 2 * 5].view(2, 5, -1) if self.embedding.num_embeddings >= 10 else None
        private = (
            None
            if rows is None
            else prune(lambda: make_twin(self.model), rows, int(getattr(self.config, "num_hidden_layers", 0)))
        )
        return self.model if private is None else private

    @cached_property
    def pads(self) -> bool:
        """Whether texts give the same numbers in a padded and masked batch as on their own."""
        return probes.pads(self)

    def vocabulary(self) -> Tensor:
        """The input embeddings of every token, [vocabulary, hidden]."""
        return self.embed(torch.arange(self.embedding.num_embeddings, device=self.device))

    @property
    def decoder_embedding(self) -> torch.nn.Module:
        return probes.decoder_table(self.model)

    @cached_property
    def eager(self) -> PreTrainedModel:
        """Another twin, whose attention layers return their weights."""
        model = make_twin(self.model)
        model.set_attn_implementation("eager")
        # Some classes refuse the setter, though their layers support it.
        model.config._attn_implementation = "eager"  # noqa: SLF001
        if not is_close(
            probes.answer_short(self, model), probes.answer_short(self, self.model), self._rounding
        ):
            raise Unsupported(
                f"{type(self.model).__name__} computes other logits when it returns its attention weights.",
                "Methods that do not need them work.",
            )
        return model

    @cached_property
    def forward_names(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.model.forward).parameters)

    @cached_property
    def takes_types(self) -> bool:
        return "token_type_ids" in self.forward_names and "token_type_ids" in self.tokenizer.model_input_names

    def rows_at_once(self, width: int) -> int:
        return max(1, self.budget // width)

    @cached_property
    def bytes(self) -> int:
        return sum(
            t.numel() * t.element_size()
            for t in itertools.chain(self.model.parameters(), self.model.buffers())
        )

    @cached_property
    def reads_last(self) -> bool:
        """Whether a classification head reads the last token (decoders) and not the first (encoders)."""
        kind = getattr(self.config, "model_type", "")
        return (
            kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
            and kind not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
        )

    @property
    def multi_label(self) -> bool:
        return self.classes is not None and self.classes.link == "sigmoid"

    @property
    def max_tokens(self) -> int:
        return self._limit.tokens

    @cached_property
    def _limit(self) -> TokenLimit:
        if self.task.encoder_decoder:
            table = count_positions(self.model.get_encoder(), self.config)
            return TokenLimit(min(self.settings.max_tokens, table or self.settings.max_tokens))
        own = self.bi_encoder.max_tokens if self.task.pools else None
        return token_limit(self.model, self.tokenizer, self.settings.max_tokens, own)

    @cached_property
    def max_decoder_tokens(self) -> int:
        """The most tokens that an encoder-decoder can write, those before them included."""
        return count_positions(self.model.get_decoder(), None) or self.settings.max_tokens

    @cached_property
    def unpooled(self) -> int:
        """How many of a text's first inputs its pooled vector leaves out: those of a prompt."""
        if self.bi_encoder.pools_prompt or not self.bi_encoder.prompt:
            return 0
        ids = self._pieces.encode(self.bi_encoder.prompt).ids
        return len(ids) - (ids[-1] in self.tokenizer.all_special_ids)

    def encode(
        self, text: str, second: str | None = None, *, reserve: int = 0, segment: Segment = "text"
    ) -> Encoding:
        """Tokenize a cleaned text or pair, leaving room for ``reserve`` more tokens.

        Raises ``TooLong``, ``EmptyInput``.
        """
        prompt = self.bi_encoder.prompt if self.task.pools else ""
        with translate_errors(self.tokenizer, "tokenize"):
            row = self._pieces.encode(prompt + text, second)
        begins = self._begins_twice(row)
        if begins:
            row = self._pieces.encode(text, second, add_special_tokens=False)
        self._limit.check(len(row.ids), reserve)
        rows = getattr(self.embedding, "num_embeddings", None)
        if rows is not None and max(row.ids, default=0) >= rows:
            raise Unsupported(
                f"The tokenizer knows token {max(row.ids)}, the model only {rows:,} tokens.",
                "They do not belong together.",
            )
        unknown = self.tokenizer.unk_token_id, str(self.tokenizer.unk_token)
        tokens = read_tokens(row, text, second, segment, prompt=len(prompt), unknown=unknown)
        if begins:
            tokens = (Token(row.tokens[0], row.ids[0], 0, 0, special=True, segment=segment), *tokens[1:])
        for part in {segment} if second is None else {"text", "second"}:
            if all(token.special for token in tokens if token.segment == part):
                raise EmptyInput(
                    "The model's tokenizer finds no token in this text.", "Please type a few words."
                )
        ids = {"input_ids": torch.tensor([row.ids], device=self.device)}
        if self.takes_types:
            ids["token_type_ids"] = torch.tensor([row.type_ids], device=self.device)
        if sees_globally(self.config) and self.task.second == "required":
            question = row.ids.index(self.tokenizer.sep_token_id)
            ids[GLOBAL] = (torch.arange(len(row.ids), device=self.device) < question).long()[None]
        return Encoding(tokens, ids)

    def _begins_twice(self, row: Any) -> bool:
        """Whether a text has the first token that its tokenizer adds, as a rendered chat template does.

        Like ``apply_chat_template``, nothing is added then. Encoders without chat templates get two.
        """
        if not (self.reads_last or getattr(self.tokenizer, "chat_template", None)):
            return False
        first = self.tokenizer.bos_token_id
        return bool(row.ids[:2] == [first, first] and row.offsets[0][1] == 0 < row.offsets[1][1])

    def pieces(self, text: str) -> list[int]:
        """The ids of a text on its own, without special tokens."""
        with translate_errors(self.tokenizer, "tokenize"):
            return list(self._pieces.encode(text, add_special_tokens=False).ids)

    def text_of(self, ids: Sequence[int]) -> str:
        """The text of some tokens, as a person reads it."""
        decoded = self.tokenizer.decode(ids, clean_up_tokenization_spaces=False).removeprefix("##")
        return (
            decoded.strip()
            or decoded
            or str(self.tokenizer.convert_ids_to_tokens(int(ids[0])) if len(ids) else "")
        )

    def baseline_id(self, kind: str) -> int:
        """The id of a baseline token; ``auto`` is the best one. Raises ``BadOption`` where there is none."""
        if kind == "auto":
            return self.baseline_ids()[0]
        token = getattr(self.tokenizer, f"{kind}_token_id")
        if token is None:
            raise BadOption(f"This model has no {kind} token.", "Use the baseline 'auto'.")
        return int(token)

    def baseline_ids(self) -> tuple[int, ...]:
        """The ids of all possible baseline tokens, the best first."""
        kinds = ("pad", "mask", "eos", "unk", "bos")
        tokens = (getattr(self.tokenizer, f"{kind}_token_id") for kind in kinds)
        return tuple(dict.fromkeys(int(token) for token in tokens if token is not None)) or (0,)
