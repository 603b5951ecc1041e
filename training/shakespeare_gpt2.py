"""Train a small GPT-2 on Shakespeare's plays: the model behind ``bundled/shakespeare-gpt2``.

    python training/shakespeare_gpt2.py --data DATA --out bundled/shakespeare-gpt2

``DATA`` holds ``tinyshakespeare/input.txt``; see ``training/README.md`` for where to get it. The last tenth
of the text is held out: neither the tokenizer nor the model sees it, and nothing is chosen by it."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from recipe import save_half, train
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

END = "<|endoftext|>"
PIECES = 3072
CONTEXT = 256


def split(text: str, held_out: float = 0.1) -> tuple[str, str]:
    """The text without its last ``held_out`` share, and that share; the cut is at the end of a speech."""
    cut = text.index("\n\n", int(len(text) * (1 - held_out))) + 2
    return text[:cut], text[cut:]


def new_tokenizer(text: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE trained on ``text``. Every byte is a piece, so no input is unknown to it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        min_frequency=2,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=CONTEXT,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_input_names=["input_ids", "attention_mask"],
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=CONTEXT,
        n_embd=256,
        n_layer=4,
        n_head=4,
        activation_function="gelu_pytorch_tanh",
        embd_pdrop=0.1,
        resid_pdrop=0.1,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        architectures=["GPT2LMHeadModel"],
    )
    model = GPT2LMHeadModel(config)
    model.generation_config.pad_token_id = end
    return model


@torch.inference_mode()
def perplexity(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, text: str) -> tuple[float, float]:
    """Perplexity per token and per byte of ``text``.

    Past the first window each token is predicted from at least 127 tokens.
    """
    model.eval()
    ids = torch.tensor([tokenizer.eos_token_id, *tokenizer(text, verbose=False)["input_ids"]])
    stride = CONTEXT // 2
    loss, scored = 0.0, 1
    while scored < len(ids):
        start = max(0, scored - stride)
        window = ids[start : start + CONTEXT].to(model.device)
        logits = model(input_ids=window[None]).logits[0]
        first = scored - start
        loss += torch.nn.functional.cross_entropy(
            logits[first - 1 : -1], window[first:], reduction="sum"
        ).item()
        scored = start + len(window)
    return math.exp(loss / (len(ids) - 1)), math.exp(loss / len(text.encode()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)

    seen, unseen = split((options.data / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8"))
    tokenizer = new_tokenizer(seen)
    model = new_model(tokenizer).to(options.device)
    ids = torch.tensor(tokenizer(seen, verbose=False)["input_ids"])
    print(
        f"{model.num_parameters()} parameters, {len(ids)} tokens of {len(seen)} bytes, "
        f"{len(unseen)} held out",
        flush=True,
    )

    def batches(epoch: int) -> list[dict]:
        """Rows of ``CONTEXT`` tokens from a random offset; half of the rows begin with end-of-text."""
        del epoch
        offset = int(torch.randint(CONTEXT, (1,), generator=generator))
        rows = ids[offset : offset + (len(ids) // CONTEXT - 1) * CONTEXT].view(-1, CONTEXT).clone()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        rows[::2] = torch.cat(
            [torch.full((len(rows[::2]), 1), tokenizer.eos_token_id), rows[::2, :-1]], dim=1
        )
        return [{"input_ids": batch.to(options.device)} for batch in rows.split(options.batch)]

    def loss_of(model: torch.nn.Module, batch: dict) -> torch.Tensor:
        logits = model(**batch).logits
        return torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), batch["input_ids"][:, 1:].flatten()
        )

    def after_epoch(model: torch.nn.Module, epoch: int) -> None:
        save_half(model, options.out)
        token, byte = perplexity(model, tokenizer, unseen)
        print(
            f"epoch {epoch + 1} saved, held-out perplexity {token:.2f} per token, {byte:.4f} per byte",
            flush=True,
        )

    tokenizer.save_pretrained(options.out)
    model = train(
        model,
        batches,
        loss_of,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        weight_decay=0.1,
        average=0.99,
        after_epoch=after_epoch,
    )
    save_half(model.to("cpu"), options.out)
    written = AutoModelForCausalLM.from_pretrained(options.out, dtype=torch.float32)
    token, byte = perplexity(written, AutoTokenizer.from_pretrained(options.out), unseen)
    print(f"held-out perplexity from the written file: {token:.2f} per token, {byte:.4f} per byte")


if __name__ == "__main__":
    main()
