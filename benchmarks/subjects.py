"""The models that are measured, and texts of an exact length for them.

MiniLM is trained and ships with the project. The others have the sizes of the published configurations and
random weights of a fixed seed, since nothing is downloaded: their times are those of the real ones, their
predictions mean nothing. With the usual spread of random weights (0.02) a model is all but linear on the
path of integrated gradients, and any rule would meet any tolerance with its first points. ``CURVED`` makes
BERT and GPT-2 as curved as the trained MiniLM, whose adaptive rule takes 17 to 33 points."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

import attribution
from attribution import Attribution, load
from attribution.models.adapter import Adapter
from attribution.models.sources import catalogue
from benchmarks.measure import Outcome

BUNDLED = catalogue.BUNDLED
SEED = 0
CURVED = {"bert-base": 0.1, "gpt2": 0.07}
"""``initializer_range`` of the random models. T5 begins with embeddings of size 1, and needs none."""

PASSAGE = """the old man said that he would not go to the house again but in the morning his son came and told
him of a great fire by the river where all the people stood and looked at the water so he took his
coat and his hat and went with the boy down the long road it was cold and dark and no one spoke for
a time then they saw the light and heard the voice of a woman who called for help from a small boat
she had lost her way and did not know how to come back to the land the king was there with his men
and they brought her to the shore and gave her bread and a warm bed for the night she said that her
heart was full of joy and that she would never leave this good place while she did live"""
"""Common words: most are one token for each of the tokenizers."""
CONTINUATION = " and they went to the"
"""What the writing models are asked about, instead of what random weights would write."""

NAMES = ("minilm", "bert-base", "gpt2", "t5-small")


@dataclass(frozen=True)
class Plain:
    """What a peer gets: embeddings [1, inputs, hidden], a baseline, and f of the explained class."""

    embeddings: Tensor
    nothing: Tensor
    special: np.ndarray
    """Inputs that stay in every baseline, bool [inputs]."""
    forward: Callable[[Tensor], Tensor]
    """[batch, inputs, hidden] → logits [batch, classes]"""
    target: int


@dataclass(frozen=True)
class Subject:
    """A model as its owner has it (``model``, ``tokenizer``), and as ``load`` returns it (``adapter``)."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    origin: str

    @cached_property
    def adapter(self) -> Any:
        adapter_ = load(self.model, self.tokenizer, name=self.name)
        assert isinstance(adapter_, Adapter)
        return adapter_

    @property
    def writes(self) -> bool:
        return bool(self.adapter.task.writes)

    @property
    def next_word(self) -> str:
        """The first token of ``CONTINUATION``."""
        return CONTINUATION[:4]

    def count(self, text: str) -> int:
        return len(self.tokenizer(text)["input_ids"])

    def texts(self, tokens: int) -> Iterator[str]:
        """Endless texts of exactly that many tokens, special ones included, each word one token."""
        words = PASSAGE.split()
        start = 0
        while True:
            yield self._text(words[start % len(words) :] + words[: start % len(words)], tokens)
            start += 7

    def _text(self, words: list[str], tokens: int) -> str:
        text = ""
        base = self.count("")
        for word in words * (1 + tokens // 40):
            longer = f"{text} {word}".strip()
            if self.count(longer) == base + len(longer.split()):
                text = longer
            if base + len(text.split()) == tokens:
                return text
        raise AssertionError(f"no text of {tokens} tokens")

    def explain(self, text: str, method: str, **options: Any) -> Attribution:
        """Ours, of the predicted class or of the first token of ``CONTINUATION``."""
        more = {"continuation": self.next_word} if self.writes else {}
        return attribution.attribute(text, self.adapter, method, **more, **options)

    def ours(self, text: str, method: str, **options: Any) -> Callable[[], Outcome]:
        """``explain`` as a call: scores of the text's tokens; its fact is the first output's residual."""
        inputs = self.count(text)
        return lambda: outcome_of(self.explain(text, method, **options), inputs)

    def plain(self, text: str) -> Plain:
        """The same function for a peer."""
        model = self.model
        ids = self.tokenizer(text, return_tensors="pt")["input_ids"]
        embed = model.get_input_embeddings()
        special = np.array([i in self.tokenizer.all_special_ids for i in ids[0].tolist()])
        embeddings = embed(ids).detach()
        nothing = embed(torch.full_like(ids, self.adapter.baseline_id("auto"))).detach()
        nothing = torch.where(torch.from_numpy(special)[:, None], embeddings, nothing)
        if not self.writes:

            def forward(e: Tensor) -> Tensor:
                return model(inputs_embeds=e).logits
        elif not self.adapter.task.encoder_decoder:

            def forward(e: Tensor) -> Tensor:
                return model(inputs_embeds=e, use_cache=False, logits_to_keep=1).logits[:, -1]
        else:
            begin = embed(torch.tensor([[model.config.decoder_start_token_id]])).detach()

            def forward(e: Tensor) -> Tensor:
                parts = {"inputs_embeds": e, "decoder_inputs_embeds": begin.expand(len(e), -1, -1)}
                return model(**parts, use_cache=False).logits[:, 0]

        with torch.no_grad():
            best = int(forward(embeddings)[0].argmax())
        return Plain(
            embeddings,
            nothing,
            special,
            forward,
            self.explain(text, "random").outputs[0].id if self.writes else best,
        )


def outcome_of(result: Attribution, inputs: int) -> Outcome:
    """Scores [inputs] of the first output, and |residual| / Σ|score| in percent for methods that add up."""
    scores = result.scores[0]
    facts = {}
    if result.residual is not None:
        facts["our residual %"] = 100 * abs(result.residual[0]) / np.abs(scores).sum()
    return Outcome(scores[:inputs], facts)


@cache
def subject(name: str, small: bool = False) -> Subject:
    """A model by its name.

    ``small`` has the same architecture with 2 layers of 32, for a quick look at the command itself.
    """
    torch.manual_seed(SEED)
    made = {"minilm": _minilm, "bert-base": _bert, "gpt2": _gpt2, "t5-small": _t5}[name](small)
    made.model.eval()
    without_deadline()
    return made


def without_deadline() -> None:
    """On a busy machine a benchmark may be slow, but not refused."""
    from attribution.engine import default_engine

    engine = default_engine()
    engine.settings = replace(engine.settings, deadline_seconds=3600.0)


def _minilm(small: bool) -> Subject:
    if small:
        return replace(_bert(True), name="minilm")
    model = AutoModelForSequenceClassification.from_pretrained(BUNDLED / "sst2-minilm")
    return Subject("minilm", model, wordpiece(), "trained: bundled/sst2-minilm, 6 layers of 384")


def _bert(small: bool) -> Subject:
    size = (
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        if small
        else {}
    )
    model = BertForSequenceClassification(
        BertConfig(num_labels=2, initializer_range=CURVED["bert-base"], **size)
    )
    return Subject(
        "bert-base", model, wordpiece(), _describe(model, f"initializer_range {CURVED['bert-base']}")
    )


def _gpt2(small: bool) -> Subject:
    size = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 3072} if small else {}
    model = GPT2LMHeadModel(
        GPT2Config(bos_token_id=0, eos_token_id=0, initializer_range=CURVED["gpt2"], **size)
    )
    return Subject("gpt2", model, byte_pairs(), _describe(model, f"initializer_range {CURVED['gpt2']}"))


def _t5(small: bool) -> Subject:
    size = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2} if small else {}
    model = T5ForConditionalGeneration(T5Config(decoder_start_token_id=0, **size))
    return Subject("t5-small", model, unigram(), _describe(model, "initializer_factor 1"))


def _describe(model: PreTrainedModel, how: str) -> str:
    config = model.config
    return f"random weights, seed {SEED}, {how}, {config.num_hidden_layers} layers of {config.hidden_size}"


def wordpiece() -> PreTrainedTokenizerFast:
    """BERT's kind: that of ``bundled/sst2-minilm``."""
    return _bundled("sst2-minilm")


def byte_pairs() -> PreTrainedTokenizerFast:
    """GPT-2's kind: that of ``bundled/shakespeare-gpt2``."""
    tokenizer = _bundled("shakespeare-gpt2")
    tokenizer.model_max_length = 1024
    return tokenizer


def unigram() -> PreTrainedTokenizerFast:
    """A tokenizer of T5's kind: ``wordpiece``'s pieces with SentencePiece's marks, earlier ones likelier."""
    ranked = sorted(wordpiece().get_vocab().items(), key=lambda item: item[1])
    plain = [piece for piece, _ in ranked if not (piece.startswith("[") and piece.endswith("]"))]
    marked = [piece[2:] if piece.startswith("##") else "▁" + piece for piece in plain]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -20.0)]
    pieces += [
        (piece, -6 - float(np.log(1 + k))) for k, piece in enumerate(dict.fromkeys(marked)) if piece != "▁"
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def _bundled(name: str) -> PreTrainedTokenizerFast:
    settings = json.loads((BUNDLED / name / "tokenizer_config.json").read_text(encoding="utf-8"))
    special = {
        key: value for key, value in settings.items() if key.endswith("_token") and isinstance(value, str)
    }
    limits = {key: settings[key] for key in ("model_max_length", "model_input_names") if key in settings}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(BUNDLED / name / "tokenizer.json")), **special, **limits
    )
    assert len(tokenizer) > 3000  # a tokenizer that was not read is silently an empty one
    return tokenizer
