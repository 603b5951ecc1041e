"""Methods that hide words, beside captum, lime and shap.

Each peer plays the same game unless its row says otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attribution import text as words_of
from benchmarks.measure import Call, Duel, Outcome
from benchmarks.rows import ENCODERS, Case, Row

BATCH = 64
"""Texts that a peer's function of texts puts into one forward pass."""
SEEDS = 3
"""Draws over which an error is averaged."""
PILOT = 20
"""Permutations from which it is guessed how many are needed."""


def rows() -> list[Row]:
    base = (22, 128)
    return [
        Row(
            "lime",
            "LIME, 20 words, each with its defaults",
            "lime",
            _lime,
            ("minilm",),
            (22,),
            (1, 2),
            similar="the package deletes words and names ten, ours puts [MASK] and has standard errors",
        ),
        Row(
            "lime_short",
            "LIME, 8 words, each with its defaults",
            "lime",
            _lime,
            ("minilm",),
            (10,),
            (2,),
            similar="the package deletes words, ours puts [MASK] and has standard errors",
        ),
        Row(
            "lime_same",
            "LIME, 20 words, the same masks and fit",
            "lime",
            _lime_same,
            ("minilm",),
            (22,),
            (2,),
        ),
        Row(
            "lime_deleted",
            "LIME, 20 words, the same words deleted",
            "lime",
            _lime_deleted,
            ("minilm",),
            (22,),
            (2,),
        ),
        Row(
            "lime_many",
            "LIME, 8 words, the package's 5,000 samples, the same words deleted",
            "lime",
            _lime_many,
            ("minilm",),
            (10,),
            (2,),
        ),
        Row("occlusion", "occlusion of words; FeatureAblation", "captum", _ablation, ENCODERS, base, (1, 2)),
        Row(
            "occlusion_batched",
            "occlusion; FeatureAblation in batches of 16",
            "captum",
            _ablation_batched,
            ENCODERS,
            (22,),
            (2,),
        ),
        Row(
            "occlusion_window", "occlusion of tokens; Occlusion", "captum", _occlusion, ENCODERS, (22,), (2,)
        ),
        Row("shapley_exact", "exact Shapley values, 5 words", "captum", _shapley, ("minilm",), (7,), (2,)),
        Row(
            "kernel_exact",
            "Kernel SHAP, 8 words, all subsets",
            "shap",
            _kernel_exact,
            ("minilm",),
            (10,),
            (2,),
        ),
        Row(
            "kernel_shap",
            "Kernel SHAP, as many subsets",
            "captum",
            _kernel,
            ("minilm",),
            (22,),
            (2,),
            similar="other random subsets; ours come in pairs and have standard errors",
        ),
        Row(
            "shapley_equal_error",
            "Shapley values to the error of KernelSHAP's default",
            "shap",
            _equal_error,
            ("minilm",),
            (22,),
            (2,),
            similar="permutations with standard errors beside a regression without",
            once=True,
        ),
        Row(
            "partition",
            "Partition SHAP, 500 evaluations",
            "shap",
            _partition,
            ("minilm",),
            (22,),
            (2,),
            similar="another hierarchy: ours splits sentences, shap's pairs neighbouring pieces",
        ),
    ]


class Game:
    """The game that captum and shap play: the explained logit with only some words, the others [MASK]."""

    def __init__(self, case: Case, text: str) -> None:
        self.plain = case.subject.plain(text)
        self.places = np.flatnonzero(~self.plain.special)
        self.words = len(self.places)
        table = case.subject.model.get_input_embeddings()
        self.hidden = table(torch.tensor(case.subject.tokenizer.mask_token_id)).detach()
        self.calls = 0

    @torch.no_grad()
    def tensor(self, present: Tensor) -> Tensor:
        """[rows, words] of 0 and 1 → [rows]"""
        mask = torch.ones(len(present), self.plain.embeddings.shape[1], dtype=torch.bool)
        mask[:, self.places] = present > 0.5
        parts = []
        for first in range(0, len(mask), BATCH):
            points = torch.where(mask[first : first + BATCH, :, None], self.plain.embeddings, self.hidden)
            parts.append(self.plain.forward(points)[:, self.plain.target])
        return torch.cat(parts)

    def array(self, present: np.ndarray) -> np.ndarray:
        self.calls += len(present)
        return self.tensor(torch.from_numpy(np.asarray(present))).double().numpy()

    @property
    def everything(self) -> Tensor:
        return torch.ones(1, self.words)


def ours(case: Case, text: str, method: str, **options: Any) -> Call:
    """Ours, for the words alone: here each is one token."""
    call, inner = case.subject.ours(text, method, **options), slice(1, -1)
    return lambda: Outcome(call().scores[inner])


def probabilities(case: Case) -> Callable[[Any], np.ndarray]:
    """A classifier as a function of texts, in batches: the usual way to the lime and shap packages."""
    model, tokenizer = case.subject.model, case.subject.tokenizer

    @torch.no_grad()
    def answers(texts: Any) -> np.ndarray:
        parts = []
        for first in range(0, len(texts), BATCH):
            rows = tokenizer(
                [str(text) for text in texts[first : first + BATCH]], padding=True, return_tensors="pt"
            )
            parts.append(model(**rows).logits.softmax(-1))
        return torch.cat(parts).numpy()

    return answers


def _lime(case: Case, text: str) -> Duel:
    from lime.lime_text import LimeTextExplainer

    count, target, answers = case.effort.samples, case.subject.plain(text).target, probabilities(case)
    words = text.split()

    def theirs() -> Outcome:
        explainer = LimeTextExplainer(random_state=0)
        made = explainer.explain_instance(text, answers, labels=(target,), num_samples=count)
        weights = dict(made.as_list(target))
        return Outcome(np.array([weights.get(word, np.nan) for word in words]))

    return Duel(ours(case, text, "lime", samples=count, quantity="probability"), theirs)


def _lime_deleted(case: Case, text: str) -> Duel:
    return _lime_same(case, text, mask="", hide="delete")


def _lime_many(case: Case, text: str) -> Duel:
    return _lime_same(case, text, mask="", hide="delete", more=5)


def _lime_same(case: Case, text: str, mask: str = "[MASK]", hide: str = "mask", more: int = 1) -> Duel:
    from lime.lime_text import LimeTextExplainer

    count, target, answers = case.effort.samples * more, case.subject.plain(text).target, probabilities(case)
    spans = words_of.words(text)

    def theirs() -> Outcome:
        explainer = LimeTextExplainer(
            split_expression=lambda raw: [raw[a:b] for a, b in spans],
            bow=False,
            mask_string=mask,
            feature_selection="none",
            random_state=np.random.RandomState(0),
        )
        made = explainer.explain_instance(
            text, answers, labels=(target,), num_features=len(spans), num_samples=count
        )
        return Outcome(np.array([score for _, score in sorted(made.local_exp[target])]))

    return Duel(ours(case, text, "lime", samples=count, quantity="probability", hide=hide), theirs)


def _by_captum(case: Case, text: str, kind: str, **options: Any) -> Call:
    from captum import attr

    game = Game(case, text)
    theirs = getattr(attr, kind)(game.tensor)

    def run() -> Outcome:
        torch.manual_seed(0)
        np.random.seed(0)
        return Outcome(theirs.attribute(game.everything, baselines=0.0, **options)[0].double().numpy())

    return run


def _ablation(case: Case, text: str) -> Duel:
    return Duel(ours(case, text, "occlusion"), _by_captum(case, text, "FeatureAblation"))


def _ablation_batched(case: Case, text: str) -> Duel:
    return Duel(
        ours(case, text, "occlusion"), _by_captum(case, text, "FeatureAblation", perturbations_per_eval=16)
    )


def _occlusion(case: Case, text: str) -> Duel:
    from captum.attr import Occlusion

    game = Game(case, text)
    plain = game.plain
    theirs = Occlusion(plain.forward)
    baseline = torch.where(torch.from_numpy(plain.special)[:, None], plain.embeddings, game.hidden)

    @torch.no_grad()
    def run() -> Outcome:
        window = (1, plain.embeddings.shape[-1])
        scores = theirs.attribute(plain.embeddings, window, baselines=baseline, target=plain.target)[0, :, 0]
        return Outcome(scores.double().numpy()[game.places])

    return Duel(ours(case, text, "occlusion", features="tokens"), run)


def _shapley(case: Case, text: str) -> Duel:
    return Duel(ours(case, text, "shapley"), _by_captum(case, text, "ShapleyValues"))


def _kernel(case: Case, text: str) -> Duel:
    count = case.effort.subsets
    return Duel(
        ours(case, text, "kernel_shap", samples=count), _by_captum(case, text, "KernelShap", n_samples=count)
    )


def package_kernel(game: Game, samples: int | str) -> Callable[[], np.ndarray]:
    """shap's KernelSHAP, without its choice of ten features."""
    shap = _shap()

    def run() -> np.ndarray:
        explainer = shap.KernelExplainer(game.array, np.zeros((1, game.words)))
        return explainer.shap_values(np.ones((1, game.words)), nsamples=samples, silent=True, l1_reg=False)[0]

    return run


def _shap() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba and shap warn while they are imported
        import shap
    return shap


def _kernel_exact(case: Case, text: str) -> Duel:
    game = Game(case, text)
    theirs = package_kernel(game, 2**game.words)
    return Duel(ours(case, text, "kernel_shap", samples=2**game.words), lambda: Outcome(theirs()))


def _equal_error(case: Case, text: str) -> Duel:
    """The permutations that we need for the error of shap's default KernelSHAP, and the time of both.

    The error is the root mean square over the words and ``SEEDS`` draws.
    """
    game = Game(case, text)
    permutations = case.effort.reference
    truth = ours(case, text, "shapley", permutations=permutations, exact_up_to=1, seed=10_000)().scores
    theirs = package_kernel(game, "auto")

    def error(draws: list[np.ndarray]) -> float:
        return float(np.sqrt(np.mean([(draw - truth) ** 2 for draw in draws])))

    drawn = []
    for seed in range(SEEDS):
        np.random.seed(seed)
        drawn.append(theirs())
    wanted, used = error(drawn), game.calls // SEEDS

    def tried(count: int) -> float:
        return error(
            [
                ours(case, text, "shapley", permutations=count, exact_up_to=1, seed=k)().scores
                for k in range(SEEDS)
            ]
        )

    # An error falls with the root of the number: a pilot's standard error says about how many it takes.
    pilot = case.subject.explain(text, "shapley", permutations=PILOT, exact_up_to=1).errors
    assert pilot is not None
    count = even(PILOT * float(np.mean(pilot[0, 1:-1] ** 2)) / wanted**2)
    while (reached := tried(count)) > wanted and count < permutations:
        count = even(1.3 * count)
    largest = np.abs(truth).max()
    facts = {
        "permutations": float(count),
        "their evaluations": float(used),
        "our error %": 100 * reached / largest,
        "their error %": 100 * wanted / largest,
    }
    run = case.subject.explain

    def mine() -> Outcome:
        result = run(text, "shapley", permutations=count, exact_up_to=1)
        assert result.errors is not None
        standard = 100 * float(np.sqrt(np.mean(result.errors[0, 1:-1] ** 2))) / largest
        return Outcome(result.scores[0, 1:-1], {**facts, "our standard error %": standard})

    return Duel(mine, lambda: Outcome(theirs()))


def even(count: float) -> int:
    """The next even number, 4 at least: permutations come in pairs."""
    return max(4, 2 * ceil(count / 2))


def _partition(case: Case, text: str) -> Duel:
    shap = _shap()
    model, tokenizer, target = case.subject.model, case.subject.tokenizer, case.subject.plain(text).target

    @torch.no_grad()
    def logits(texts: Any) -> np.ndarray:
        rows = tokenizer([str(row) for row in texts], padding=True, return_tensors="pt")
        return model(**rows).logits[:, target].double().numpy()

    explainer = shap.Explainer(logits, shap.maskers.Text(tokenizer), algorithm="partition")

    def theirs() -> Outcome:
        return Outcome(explainer([text], max_evals=500, silent=True).values[0][1:-1])

    return Duel(ours(case, text, "partition_shap", evaluations=500, features="tokens"), theirs)
