"""What to paint first: how far a cheap picture is from the final one, and from what people say.

    python -m benchmarks.previews TREES [--sentences 50]

``TREES`` is a part of the Stanford Sentiment Treebank in brackets (Socher et al. 2013), in which people
rated every word. For each candidate: Kendall's τ-b over the words with the finished integrated gradients
(median and 10th percentile over sentences; for unsigned scores with their absolute values), how often the
strongest word is the same, and the concordance with people: of the pairs of words that they rated
differently, the share that the scores order likewise less the share that they order the other way."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from attribution import Attribution, attribute, load
from benchmarks.machine import describe

FINAL = "integrated_gradients"
CANDIDATES: dict[str, tuple[str, dict[str, object]]] = {
    "saliency": ("saliency", {}),
    "input × gradient": ("input_x_gradient", {}),
    "attention × gradient": ("attention_x_gradient", {}),
    **{
        f"integrated gradients, {n} points": (FINAL, {"rule": "trapezoid", "steps": n})
        for n in (2, 3, 5, 9, 17)
    },
    "integrated gradients, to 1 %": (FINAL, {}),
}


def leaves(tree: str) -> list[tuple[int, str]]:
    """(rating 0 to 4, word) of each word."""
    return [
        (int(rating), word.replace("-LRB-", "(").replace("-RRB-", ")"))
        for rating, word in re.findall(r"\((\d) ([^()\s]+)\)", tree)
    ]


def by_word(result: Attribution, starts: np.ndarray) -> np.ndarray:
    """Scores summed over the words that begin at ``starts``."""
    sums = np.zeros(len(starts))
    for token, score in zip(result.tokens, result.scores[0], strict=True):
        if not token.special:
            sums[np.searchsorted(starts, token.start, side="right") - 1] += score
    return sums


def concordance(scores: np.ndarray, ratings: np.ndarray) -> float:
    i, j = np.triu_indices(len(ratings), 1)
    differ = ratings[i] != ratings[j]
    agreed = np.sign(ratings[i] - ratings[j]) * np.sign(scores[i] - scores[j])
    return float(agreed[differ].mean()) if differ.any() else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trees", type=Path)
    parser.add_argument("--sentences", type=int, default=50)
    options = parser.parse_args()
    model = load("bundled/sst2-minilm")
    trees = [leaves(line) for line in options.trees.read_text(encoding="utf-8").splitlines()]
    trees = [tree for tree in trees if 8 <= len(tree) <= 25]
    chosen = np.random.default_rng(0).permutation(len(trees))[: options.sentences]
    agreements: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CANDIDATES}
    for tree in (trees[k] for k in chosen):
        text = " ".join(word for _, word in tree)
        starts = np.cumsum([0, *(len(word) + 1 for _, word in tree)])[:-1]
        results = {
            name: attribute(text, model, method, **chosen) for name, (method, chosen) in CANDIDATES.items()
        }
        last = by_word(results["integrated gradients, to 1 %"], starts)
        ratings = np.array([rating - 2 for rating, _ in tree]) * (
            1 if results["saliency"].outputs[0].text == "positive" else -1
        )
        for name, result in results.items():
            scores = by_word(result, starts)
            final, marked = (last, ratings) if result.signed else (np.abs(last), np.abs(ratings))
            same = float(np.abs(scores).argmax() == np.abs(last).argmax())
            agreements[name].append((kendalltau(scores, final).statistic, same, concordance(scores, marked)))
    print(describe("captum"), f"- {len(chosen)} sentences\n")
    print(
        "| picture | τ-b with the final one: median, 10th percentile "
        "| same strongest word | concordance with people |\n|---|---|---|---|"
    )
    for name, rows in agreements.items():
        taus, same, people = np.array(rows).T
        print(
            f"| {name} | {np.nanmedian(taus):.2f}, {np.nanquantile(taus, 0.1):.2f} "
            f"| {same.mean():.0%} | {np.nanmean(people):.2f} |"
        )


if __name__ == "__main__":
    main()
