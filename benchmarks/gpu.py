"""An accelerator against the CPUs of the same machine, in a few minutes: ``python -m benchmarks.gpu``.

- ``scores``: what the bundled models' scores differ by between the two, and Kendall's τ-b of bfloat16 with
  float32.
- ``single``: one text at a time on BERT-base: saliency and integrated gradients. Aim: saliency ≤ 15 ms.
- ``many``: texts through ``attribute_many`` beside one after another, on the accelerator. Aim: ten times as
  many.
- ``memory``: the most that 50 points of integrated gradients over 512 tokens take of the accelerator. Aim: ≤
  2.5 GB.
- ``decoder``: saliency of each generated token of a decoder with 7 billion parameters in bfloat16. Aim: ≤
  200 ms.

Without an accelerator it says so and ends; ``--small`` runs everything with tiny models where it is, to see
that the command works."""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

import attribution
from attribution import Attribution, load
from attribution.metrics.common.correlation import kendall
from benchmarks.batch import sentences
from benchmarks.machine import SENTENCE, describe
from benchmarks.measure import timed, written
from benchmarks.subjects import BUNDLED, Subject, byte_pairs, subject, without_deadline

METHODS = ("saliency", "integrated_gradients", "attention", "occlusion", "lime")
PROMPTS = {
    "sst2-minilm": (AutoModelForSequenceClassification, SENTENCE),
    "shakespeare-gpt2": (AutoModelForCausalLM, "To be, or"),
    "dates-t5": (AutoModelForSeq2SeqLM, "the third of May 2021"),
}
PROCESSORS = torch.device("cpu")


def scores(device: torch.device, small: bool) -> Iterator[str]:
    for name, (_, text) in PROMPTS.items():
        here, there, brief = (
            _bundled(name, PROCESSORS),
            _bundled(name, device),
            _bundled(name, device, torch.bfloat16),
        )
        for method in METHODS[:2] if small else METHODS:
            exact, close, rough = (
                attribution.attribute(text, model, method) for model in (here, there, brief)
            )
            yield f"{name}, {method}: {_difference(exact, close)}; bfloat16: {_tau(close, rough)}"


def _bundled(name: str, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
    path = BUNDLED / name
    model = PROMPTS[name][0].from_pretrained(path, dtype=dtype).to(device).eval()
    return load(model, AutoTokenizer.from_pretrained(path), name=name)


def _difference(exact: Attribution, close: Attribution) -> str:
    if exact.scores.shape != close.scores.shape:
        return "another text is written"
    difference = np.abs(exact.scores - close.scores).max() / np.abs(exact.scores).max()
    return f"differ by {difference:.1e} of the largest score"


def _tau(exact: Attribution, rough: Attribution) -> str:
    if exact.scores.shape != rough.scores.shape:
        return "another text is written"
    value = kendall(exact.scores[0], rough.scores[0])
    return "τ-b undefined" if value is None else f"τ-b {value:.2f}"


def single(device: torch.device, small: bool) -> Iterator[str]:
    chosen = subject("bert-base", small)
    sides = [_on(chosen, place) for place in (PROCESSORS, device)]
    for method in METHODS[:2]:
        for tokens in (22, 128):
            here, there = (_median(side, method, tokens, 3 if small else 20) for side in sides)
            ratio = f"the processors take {here / there:.1f} times as long"
            yield f"bert-base, {method}, {tokens} tokens: {written(there)}; {ratio}"


def _on(chosen: Subject, device: torch.device) -> Subject:
    """The same model on a device."""
    return replace(chosen, model=copy.deepcopy(chosen.model).to(device))


def _median(side: Subject, method: str, tokens: int, turns: int) -> float:
    """Seconds of a call; the first only warms up."""
    calls = [side.ours(text, method) for text in itertools.islice(side.texts(tokens), turns + 1)]
    return statistics.median([timed(call)[0] for call in calls][1:])


def many(device: torch.device, small: bool) -> Iterator[str]:
    for name in ("minilm", "bert-base"):
        chosen = _on(subject(name, small), device)
        for method in METHODS[:2]:
            alone, together = (
                sentences(16 if small else 256, seed) for seed in (0, 1)
            )  # others, so that nothing is known already
            list(attribution.attribute_many(alone[:2], chosen.adapter, method))
            first = _rate(alone, (chosen.explain(text, method) for text in alone))
            second = _rate(together, attribution.attribute_many(together, chosen.adapter, method))
            rates = f"one by one {first:.0f} texts/s, together {second:.0f}"
            yield f"{name}, {method}: {rates}: {second / first:.1f} times as many"


def _rate(texts: Sequence[str], results: Iterable[object]) -> float:
    """Texts in a second."""
    started = time.perf_counter()
    assert len(list(results)) == len(texts)
    return len(texts) / (time.perf_counter() - started)


def memory(device: torch.device, small: bool) -> Iterator[str]:
    chosen = _on(subject("bert-base", small), device)
    text = next(chosen.texts(128 if small else 512))
    if device.type != "cuda":
        yield "only CUDA counts its memory"
        return
    chosen.explain(text, "saliency")
    torch.cuda.reset_peak_memory_stats(device)
    chosen.explain(text, "integrated_gradients", steps=50, tolerance=0.0)
    most = torch.cuda.max_memory_allocated(device) / 1e9
    yield f"bert-base, integrated gradients with 50 points, 512 tokens: {most:.2f} GB at most"


def decoder(device: torch.device, small: bool) -> Iterator[str]:
    tokenizer = byte_pairs()
    size = {
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 3072,
    }
    config = LlamaConfig(bos_token_id=0, eos_token_id=0, **(size if small else {}))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device:
            model = LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)
    count, words = sum(weight.numel() for weight in model.parameters()), 4 if small else 32
    adapter = load(model, tokenizer, name="llama")
    attribution.attribute(SENTENCE, adapter, "saliency", max_new_tokens=words)
    started = time.perf_counter()
    outputs = len(
        attribution.attribute(f"{SENTENCE} Then", adapter, "saliency", max_new_tokens=words).outputs
    )
    each = (time.perf_counter() - started) / outputs
    size = f"{count / 1e9:.2f}·10⁹ parameters in bfloat16"
    yield f"{size}, {outputs} tokens generated and explained by saliency: {written(each)} each"


PARTS = {part.__name__: part for part in (scores, single, many, memory, decoder)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    parser.add_argument("--small", action="store_true", help="tiny models, on whatever device there is")
    options = parser.parse_args()
    device = PartialState().device
    if device.type == "cpu" and not options.small:
        print("There is no accelerator here that accelerate would use.", file=sys.stderr)
        return 2
    without_deadline()
    print(
        f"{describe()}, {torch.cuda.get_device_name(device) if device.type == 'cuda' else device}", flush=True
    )
    broken = 0
    for name in options.parts:
        try:
            for line in PARTS[name](device, options.small):
                print(f"{name}: {line}", flush=True)
        except Exception:  # the other parts shall be measured all the same: the machine is lent for minutes
            broken += 1
            print(f"{name}: does not run\n{traceback.format_exc()}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
