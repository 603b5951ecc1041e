"""Fine-tune MiniLM-L6 on SST-2 with a vocabulary cut to English: the model behind ``bundled/sst2-minilm``.

    python training/sst2_minilm.py --data DATA --base BASE --out bundled/sst2-minilm

``DATA`` holds ``sst2/train.tsv``, ``sst2/dev.tsv`` and ``sst2/test.tsv`` (columns ``sentence`` and
``label``; the test file is the GLUE development set of 872 sentences and is only measured on, never trained
on) and ``sst/train.txt`` (the bracketed five-class trees). ``BASE`` is a folder with all-MiniLM-L6-v2
(``config.json``, ``model.safetensors``, ``tokenizer.json``). See ``training/README.md`` for where to get
both."""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from recipe import by_length, save_half, train
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

VOCABULARY = 22_400
LONG = 8
"""Words of a long phrase: training ends on texts like those that people type."""
# What a phrase's five-class human label says about "positive". Softer than 0 and 1, so that a mild word
# moves the model mildly.
POSITIVE = {0: 0.02, 1: 0.2, 2: 0.5, 3: 0.8, 4: 0.98}


def phrases_of_tree(line: str) -> Iterator[tuple[str, int]]:
    """Each phrase of a bracketed tree with its label, e.g.

    ``(3 (2 a) (4 gem))`` gives ``a`` 2, ``gem`` 4, ``a gem`` 3.
    """
    stack: list[tuple[int, list[str]]] = []
    for piece in re.findall(r"\(\d|[^\s()]+|\)", line):
        if piece.startswith("("):
            stack.append((int(piece[1]), []))
        elif piece == ")":
            label, words = stack.pop()
            yield " ".join(words), label
            if stack:
                stack[-1][1].extend(words)
        else:
            stack[-1][1].append(piece.replace("\\/", "/").replace("-LRB-", "(").replace("-RRB-", ")"))


def read_tsv(path: Path) -> list[tuple[str, int]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["sentence"].strip(), int(row["label"])) for row in rows]


def plain(text: str) -> str:
    """Treebank spelling to the way people type: ``is n't`` to ``isn't``, ``it 's`` to ``it's``."""
    return re.sub(r" (n't|'s|'re|'ve|'ll|'d|'m)\b", r"\1", text)


def training_rows(data: Path) -> tuple[list[tuple[str, float]], list[str]]:
    """(text, probability of positive) rows and the whole sentences among them."""
    graded: dict[str, int] = {}
    sentences: list[str] = []
    for line in (data / "sst" / "train.txt").read_text(encoding="utf-8").splitlines():
        if line.strip():
            phrases = [(text.lower(), label) for text, label in phrases_of_tree(line)]
            graded.update(phrases)
            sentences.append(phrases[-1][0])
    held_out = {text for text, _ in read_tsv(data / "sst2" / "test.tsv")}
    rows: dict[str, float] = {}
    for text, label in read_tsv(data / "sst2" / "train.tsv") + read_tsv(data / "sst2" / "dev.tsv"):
        grade = graded.get(text)
        agrees = grade is not None and (grade > 2) == bool(label) and grade != 2
        rows[text] = POSITIVE[grade] if agrees else (0.1, 0.9)[label]
    neutral = [t for t, grade in graded.items() if grade == 2 and " " not in t and t not in rows]
    rows.update(dict.fromkeys(neutral, 0.5))
    return [(t, p) for t, p in rows.items() if t not in held_out], [
        s for s in sentences if s in rows and s not in held_out
    ]


def cut_vocabulary(tokenizer: dict, texts: list[str], size: int) -> list[int]:
    """Ids to keep, ascending: special tokens, ASCII characters, pieces of the data, words by rank."""
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    probe = PreTrainedTokenizerFast(tokenizer_object=_tokenizer(tokenizer))
    used = Counter(i for row in probe(texts)["input_ids"] for i in row)
    special = {entry["content"] for entry in tokenizer["added_tokens"]}

    def rank(item: tuple[str, int]) -> tuple[int, int]:
        piece, index = item
        bare = piece.removeprefix("##")
        if piece in special or (len(bare) == 1 and bare.isascii()):
            return 0, index
        if used[index] > 1:
            return 1, index
        if piece.isascii() and piece.isalpha():
            return 2, index
        return 3 if bare.isascii() and bare.isalpha() else 4, index

    return sorted(index for _, index in sorted(vocabulary.items(), key=rank)[:size])


def _tokenizer(description: dict) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(description | {"truncation": None, "padding": None}))


def small_model(
    base: Path, texts: list[str]
) -> tuple[BertForSequenceClassification, PreTrainedTokenizerFast]:
    """The base encoder with embeddings cut to ``VOCABULARY`` pieces, and a tokenizer that agrees with it."""
    description = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    pieces_kept = cut_vocabulary(description, texts, VOCABULARY)
    pieces = {index: piece for piece, index in description["model"]["vocab"].items()}
    renumbered = {pieces[old]: new for new, old in enumerate(pieces_kept)}
    description["model"]["vocab"] = renumbered
    for entry in description["added_tokens"]:
        entry["id"] = renumbered[entry["content"]]
    for name, entry in description["post_processor"]["special_tokens"].items():
        entry["ids"] = [renumbered[name]]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(description),
        model_max_length=512,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    assert len(tokenizer) == len(pieces_kept) == VOCABULARY
    labels = {0: "negative", 1: "positive"}
    model = BertForSequenceClassification.from_pretrained(
        base, num_labels=2, id2label=labels, label2id={v: k for k, v in labels.items()}, dtype=torch.float32
    )
    rows = model.get_input_embeddings().weight.data[pieces_kept].clone()
    model.set_input_embeddings(
        torch.nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=tokenizer.pad_token_id)
    )
    model.config.vocab_size = len(pieces_kept)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


@torch.inference_mode()
def accuracy(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, rows: list[tuple[str, int]]
) -> float:
    right = 0
    for start in range(0, len(rows), 64):
        texts, labels = zip(*rows[start : start + 64], strict=True)
        logits = model(**tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")).logits
        right += int((logits.argmax(-1) == torch.tensor(labels)).sum())
    return right / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--start",
        type=Path,
        help="a folder that an earlier run wrote after its last epoch: go on with the long rows",
    )
    parser.add_argument("--epochs", type=int, default=3, help="epochs over all rows")
    parser.add_argument(
        "--long-epochs",
        type=int,
        default=1,
        help="then epochs over the rows of LONG words and more, at a third of the rate",
    )
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)

    rows, sentences = training_rows(options.data)
    test = read_tsv(options.data / "sst2" / "test.tsv")
    labels = dict(rows)
    rows += [
        (text, labels[text]) for text in sentences
    ]  # whole sentences are what people type: seen twice an epoch
    spellings = [(text, plain(text)) for text, _ in rows]
    model, tokenizer = small_model(options.base, sorted({t for pair in spellings for t in pair}))
    ids = [tokenizer(list(pair), truncation=True, max_length=96)["input_ids"] for pair in spellings]
    print(f"{len(rows)} rows, {len(sentences)} whole sentences, {len(tokenizer)} pieces", flush=True)
    if options.start:
        model = BertForSequenceClassification.from_pretrained(options.start, dtype=torch.float32)
    model.to(options.device)
    long = [i for i, (text, _) in enumerate(rows) if len(text.split()) >= LONG]

    def batches_of(part: list[int]) -> list[dict]:
        chosen = torch.randint(0, 2, (len(part),), generator=generator).tolist()
        taken = [ids[i][k] for i, k in zip(part, chosen, strict=True)]
        return [
            {"ids": [taken[i] for i in batch], "positive": torch.tensor([rows[part[i]][1] for i in batch])}
            for batch in by_length([len(t) for t in taken], options.batch, generator)
        ]

    def loss_of(model: torch.nn.Module, batch: dict) -> torch.Tensor:
        inputs = tokenizer.pad({"input_ids": batch["ids"]}, return_tensors="pt").to(options.device)
        positive = batch["positive"].to(options.device)
        logits = model(**inputs).logits
        return torch.nn.functional.cross_entropy(logits, torch.stack([1 - positive, positive], dim=-1))

    tokenizer.save_pretrained(options.out)
    if not options.start:
        every = list(range(len(rows)))
        model = train(
            model,
            lambda _: batches_of(every),
            loss_of,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
        )
        save_half(model, options.out)
    if options.long_epochs:
        print(f"{len(long)} long rows", flush=True)
        model = train(
            model,
            lambda _: batches_of(long),
            loss_of,
            epochs=options.long_epochs,
            learning_rate=options.learning_rate / 3,
        )
    save_half(model.to("cpu"), options.out)
    written = BertForSequenceClassification.from_pretrained(options.out, dtype=torch.float32).eval()
    right = accuracy(written, tokenizer, test)
    print(f"accuracy on the {len(test)} sentences of sst2/test.tsv, from the written file: {right:.4f}")


if __name__ == "__main__":
    main()
