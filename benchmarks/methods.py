"""Each method beside captum and lime: the same weights, text, target and settings, in one process, taken in turn.

    python -m benchmarks.methods [--rounds 15]

Prints the median of each, the ratio theirs / ours pair by pair (min, median, max; above 1 we are faster), and how far the values
agree. Ours includes tokenizing and the prediction; theirs gets embeddings that are ready.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from lime.lime_text import LimeTextExplainer

from attribution import attribute, load, text
from benchmarks.machine import SENTENCE, describe

LONG = " ".join([SENTENCE] * 8)


def pairs(sentence: str, samples: int) -> dict[str, tuple[Callable[[], np.ndarray], Callable[[], np.ndarray] | None]]:
    """For each method: ours, and the independent implementation on the plain model."""
    adapter = load("bundled/sst2-minilm")
    model, tokenizer = adapter.model, adapter.tokenizer
    ids = tokenizer(sentence, return_tensors="pt")["input_ids"]
    embeddings = model.get_input_embeddings()(ids).detach()
    nothing = model.get_input_embeddings()(torch.full_like(ids, tokenizer.pad_token_id)).detach()
    nothing[:, [0, -1]] = embeddings[:, [0, -1]]
    target = attribute(sentence, adapter, "saliency").outputs[0].id

    def forward(e: torch.Tensor) -> torch.Tensor:
        return model(inputs_embeds=e).logits

    def probabilities(rows: list[str]) -> np.ndarray:
        found = []
        with torch.no_grad():
            for start in range(0, len(rows), 64):
                found.append(model(**tokenizer(rows[start : start + 64], padding=True, return_tensors="pt")).logits.softmax(-1))
        return torch.cat(found).numpy()

    def package_lime() -> np.ndarray:
        spans = text.words(sentence)
        explainer = LimeTextExplainer(
            split_expression=lambda raw: [raw[a:b] for a, b in spans],
            bow=False,
            mask_string="[MASK]",
            feature_selection="none",
            random_state=np.random.RandomState(0),
        )
        found = explainer.explain_instance(sentence, probabilities, labels=(target,), num_features=99, num_samples=samples)
        return np.array([score for _, score in sorted(found.local_exp[target])])

    def ours(method: str, **options: object) -> Callable[[], np.ndarray]:
        return lambda: attribute(sentence, adapter, method, **options).scores[0]

    def our_lime() -> np.ndarray:
        found = attribute(sentence, adapter, "lime", samples=samples, quantity="probability").words()
        return np.array([s for token, s in zip(found.tokens, found.scores[0], strict=True) if not token.special])

    saliency, product, integrated = Saliency(forward), InputXGradient(forward), IntegratedGradients(forward)
    return {
        "saliency": (
            ours("saliency"),
            lambda: saliency.attribute(embeddings, target=target, abs=False)[0].norm(dim=-1).numpy(),
        ),
        "input_x_gradient": (
            ours("input_x_gradient"),
            lambda: product.attribute(embeddings, target=target)[0].sum(-1).detach().numpy(),
        ),
        "integrated_gradients, 32 steps": (
            ours("integrated_gradients", rule="gausslegendre", steps=32),
            lambda: integrated.attribute(
                embeddings, nothing, target=target, n_steps=32, internal_batch_size=64, return_convergence_delta=True
            )[0][0].sum(-1).detach().numpy(),
        ),
        "integrated_gradients to 1 %, captum's 50": (
            ours("integrated_gradients"),
            lambda: integrated.attribute(embeddings, nothing, target=target, return_convergence_delta=True)[0][0].sum(-1).detach().numpy(),
        ),
        f"lime, {samples} samples": (our_lime, package_lime),
        "attention": (ours("attention"), None),
    }  # fmt: skip


def clock(function: Callable[[], np.ndarray]) -> float:
    started = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--samples", type=int, default=500)
    options = parser.parse_args()
    print(describe("captum", "lime"), f"- {torch.get_num_threads()} threads, medians of {options.rounds} rounds in turn")
    for name, sentence in (("12 words", SENTENCE), ("96 words", LONG)):
        print(f"\n{name:42} {'ours':>9} {'theirs':>9}   theirs / ours (min median max)   largest difference / largest score")
        for method, (ours, theirs) in pairs(sentence, options.samples).items():
            ours()
            if theirs is None:
                mine = [clock(ours) for _ in range(options.rounds)]
                print(f"{method:42} {statistics.median(mine):6.1f} ms {'-':>9}")
                continue
            expected = theirs()
            apart = np.abs(ours() - expected).max() / np.abs(expected).max()
            times = [(clock(ours), clock(theirs)) for _ in range(options.rounds)]
            ratios = sorted(b / a for a, b in times)
            mine, other = (statistics.median(column) for column in zip(*times, strict=True))
            print(
                f"{method:42} {mine:6.1f} ms {other:6.1f} ms   {ratios[0]:6.2f} {statistics.median(ratios):6.2f} {ratios[-1]:6.2f}"
                f"             {apart:.1e}"
            )


if __name__ == "__main__":
    main()
