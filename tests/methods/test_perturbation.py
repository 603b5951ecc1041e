"""Occlusion and the Shapley methods against captum, brute force, and games with known values."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, KernelShap, Occlusion, ShapleyValues

from attribution import Attribution, attribute, load
from attribution.errors import BadOption, DeadlineExceeded, TooLong
from attribution.methods import list_methods
from attribution.methods.partition_shap import hierarchy
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.features import Features, features_of
from attribution.models.function import Function
from attribution.models.readers import make_objective
from attribution.request import Target
from tests.families import FAMILIES

TEXT = "the movie was not good, but the actor was great!"
METHODS = ("occlusion", "shapley", "kernel_shap", "partition_shap")
ADDING_UP = METHODS[1:]
CLASSIFIERS = pytest.mark.parametrize("family", ["bert-nli", "gpt2-classifier"])
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:captum")

Game = Callable[[frozenset[str]], float]


def player(game: Game, calls: list[int] | None = None) -> Function:
    """A function of texts; the game assigns the probability of its second class to the words present."""

    def probabilities(rows: list[str]) -> np.ndarray:
        if calls is not None:
            calls.append(len(rows))
        worth = np.array([game(frozenset(row.split())) for row in rows])
        return np.stack([1 - worth, worth], axis=1)

    model = load(probabilities, labels=("lost", "won"))
    assert isinstance(model, Function)
    return model


def play(game: Game, text: str, method: str, **options: Any) -> Attribution:
    return attribute(text, player(game), method, "won", quantity="probability", **options)


def random_game(words: Sequence[str], seed: int = 0) -> Game:
    """A number for each subset, without any structure."""
    random = np.random.default_rng(seed)
    subsets = [frozenset(s) for size in range(len(words) + 1) for s in itertools.combinations(words, size)]
    table = dict(zip(subsets, random.random(len(subsets)), strict=True))
    return lambda present: float(table[present & frozenset(words)])


def over_orders(
    game: Game, words: Sequence[str], allowed: Callable[[tuple[str, ...]], bool] = lambda _: True
) -> np.ndarray:
    """The mean marginal contribution of each word over all the orders that are allowed."""
    gained = dict.fromkeys(words, 0.0)
    orders = [order for order in itertools.permutations(words) if allowed(order)]
    for order in orders:
        for k, word in enumerate(order):
            gained[word] += game(frozenset(order[: k + 1])) - game(frozenset(order[:k]))
    return np.array([gained[word] / len(orders) for word in words])


# Against captum


@dataclass
class Plain:
    """A plain classifier: embeddings of a text [1, inputs, hidden], what hides a token, and logits."""

    adapter: Adapter
    embeddings: torch.Tensor
    nothing: torch.Tensor
    forward: Callable[[torch.Tensor], torch.Tensor]


def plain(family: str, text: str = TEXT) -> Plain:
    model, tokenizer = FAMILIES[family].build()
    adapter = load(model, tokenizer)
    assert isinstance(adapter, Adapter)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    table = model.get_input_embeddings().weight.detach()
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    # The mask token; GPT-2 has none, and its end token is the first.
    nothing = table[4 if family == "bert-nli" else 0].expand(1, ids.shape[1], -1)
    return Plain(adapter, table[ids], nothing, lambda e: model(inputs_embeds=e).logits)


def players(result: Attribution, unit: str = "words") -> torch.Tensor:
    """Captum's feature mask [inputs]. Special tokens are one player that equals its baseline."""
    places = [
        -1 if t.special else i if unit == "tokens" or t.word is None else 1000 + t.word
        for i, t in enumerate(result.tokens)
    ]
    return torch.tensor([list(dict.fromkeys(places)).index(place) for place in places])


def captum_arguments(oracle: Plain, result: Attribution, mask: torch.Tensor) -> dict[str, Any]:
    special = torch.tensor([token.special for token in result.tokens])[None, :, None]
    return {
        "inputs": oracle.embeddings,
        "baselines": torch.where(special, oracle.embeddings, oracle.nothing),
        "feature_mask": mask[None, :, None].repeat(1, 1, oracle.embeddings.shape[-1]),
        "target": 1,
    }


def share_over_tokens(values: np.ndarray, mask: torch.Tensor) -> np.ndarray:
    """Divide each feature's value, repeated at each of its tokens, equally among them."""
    return values / torch.bincount(mask)[mask].numpy()


def close(got: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@CLASSIFIERS
@pytest.mark.parametrize("unit", ["words", "tokens"])
def test_occlusion_agrees_with_captums_feature_ablation(family: str, unit: str) -> None:
    oracle = plain(family)
    result = attribute(TEXT, oracle.adapter, "occlusion", 1, features=unit)
    mask = players(result, unit)
    expected = (
        FeatureAblation(oracle.forward)
        .attribute(**captum_arguments(oracle, result, mask))[0, :, 0]
        .detach()
        .numpy()
    )
    close(result.scores[0], share_over_tokens(expected, mask))


@CLASSIFIERS
@pytest.mark.parametrize("window", [2, 3])
def test_occlusion_in_windows_agrees_with_captum(family: str, window: int) -> None:
    oracle = plain(family, "the movie was good")
    result = attribute("the movie was good", oracle.adapter, "occlusion", 1, features="tokens", window=window)
    inner = [i for i, token in enumerate(result.tokens) if not token.special]
    part = slice(inner[0], inner[-1] + 1)

    def forward(inside: torch.Tensor) -> torch.Tensor:
        rows = oracle.embeddings.repeat(len(inside), 1, 1)
        rows[:, part] = inside
        return oracle.forward(rows)

    shape = (window, oracle.embeddings.shape[-1])
    captum = Occlusion(forward)
    expected = captum.attribute(
        oracle.embeddings[:, part], shape, baselines=oracle.nothing[:, part], target=1
    )
    close(result.scores[0, part], expected[0, :, 0].detach().numpy())


@CLASSIFIERS
def test_shapley_values_agree_with_captum(family: str) -> None:
    text = "film was bad"
    oracle = plain(family, text)
    runs = {method: attribute(text, oracle.adapter, method, 1) for method in ("shapley", "kernel_shap")}
    mask = players(runs["shapley"])
    captum = ShapleyValues(oracle.forward)
    expected = captum.attribute(**captum_arguments(oracle, runs["shapley"], mask))[0, :, 0].detach().numpy()
    for run in runs.values():
        assert "Exact" in run.notes[0]
        close(run.scores[0], share_over_tokens(expected, mask))


def test_kernel_shap_agrees_with_captum_within_their_errors() -> None:
    oracle = plain("bert-nli")
    result = attribute(TEXT, oracle.adapter, "kernel_shap", 1, samples=300)
    mask = players(result)
    runs = []
    for seed in range(5):
        torch.manual_seed(seed)
        np.random.seed(seed)
        sampling = {"n_samples": 300, "perturbations_per_eval": 50}
        values = (
            KernelShap(oracle.forward)
            .attribute(**captum_arguments(oracle, result, mask), **sampling)[0, :, 0]
            .detach()
            .numpy()
        )
        runs.append(share_over_tokens(values, mask))
    expected, theirs = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1) / np.sqrt(len(runs))
    assert result.errors is not None and result.errors.max() < 0.2 * np.abs(expected).max()
    special = [i for i, token in enumerate(result.tokens) if token.special]
    deviations = np.delete((result.scores[0] - expected) / np.hypot(result.errors[0], theirs), special)
    assert np.abs(deviations).max() < 4.5 and np.sqrt((deviations**2).mean()) < 2
    assert np.corrcoef(result.scores[0], expected)[0, 1] > 0.98


# Games whose values are known


def test_occlusion_of_a_game_by_hand() -> None:
    def game(present: frozenset[str]) -> float:
        return 0.1 + 0.3 * ("a" in present) + 0.2 * ("b" in present or "c" in present)

    np.testing.assert_allclose(play(game, "a b c d", "occlusion").scores[0], [0.3, 0, 0, 0], atol=1e-12)
    # Windows ab, bc, cd lose 0.3, 0.2, 0.
    np.testing.assert_allclose(
        play(game, "a b c d", "occlusion", window=2).scores[0], [0.3, 0.25, 0.1, 0], atol=1e-12
    )
    np.testing.assert_allclose(play(game, "a b c d", "occlusion", window=50).scores[0], [0.5] * 4, atol=1e-12)


KNOWN_GAMES: dict[str, tuple[Game, list[float]]] = {
    "a sum": (lambda s: 0.2 + 0.1 * ("a" in s) + 0.3 * ("b" in s) - 0.15 * ("c" in s), [0.1, 0.3, -0.15]),
    "gloves": (lambda s: float("a" in s and ("b" in s or "c" in s)), [2 / 3, 1 / 6, 1 / 6]),
    "majority": (lambda s: float(len(s) >= 2), [1 / 3, 1 / 3, 1 / 3]),
    "unanimity of two": (lambda s: float({"a", "c"} <= s), [1 / 2, 0, 1 / 2]),
}
EXACTLY: list[tuple[str, dict[str, Any]]] = [("shapley", {}), ("kernel_shap", {})]


@pytest.mark.parametrize("name", KNOWN_GAMES)
@pytest.mark.parametrize(("method", "options"), EXACTLY)
def test_games_with_known_shapley_values(name: str, method: str, options: dict[str, Any]) -> None:
    game, expected = KNOWN_GAMES[name]
    result = play(game, "a b c", method, **options)
    np.testing.assert_allclose(result.scores[0], expected, atol=1e-9)
    assert result.errors is None and result.residual == pytest.approx((0,), abs=1e-9)
    assert "Exact" in result.notes[0]


def test_a_single_feature_gets_the_full_difference() -> None:
    for method in METHODS:
        result = play(lambda s: 0.2 + 0.5 * ("a" in s), "a", method)
        np.testing.assert_allclose(result.scores, [[0.5]], atol=1e-12)


# Shapley values


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("method", "options"), EXACTLY)
def test_exact_values_are_those_of_all_orders(seed: int, method: str, options: dict[str, Any]) -> None:
    words = list("abcdef")
    game = random_game(words, seed)
    result = play(game, " ".join(words), method, **options)
    np.testing.assert_allclose(result.scores[0], over_orders(game, words), atol=1e-9)
    completeness = result.completeness
    assert completeness is not None
    assert completeness[0].baseline == pytest.approx(game(frozenset()))
    assert completeness[0].value == pytest.approx(game(frozenset(words)))


SAMPLED: list[tuple[str, dict[str, Any]]] = [
    ("shapley", {"exact_up_to": 1, "permutations": 24}),
    ("kernel_shap", {"samples": 64}),
]


@pytest.mark.parametrize(("method", "options"), SAMPLED)
def test_standard_errors_are_what_other_seeds_show(method: str, options: dict[str, Any]) -> None:
    words = list("abcdefgh")
    game = random_game(words, 3)
    truth = play(game, " ".join(words), "shapley", exact_up_to=8).scores[0]
    runs = [play(game, " ".join(words), method, seed=seed, **options) for seed in range(150)]
    scores = np.array([run.scores[0] for run in runs])
    errors = np.array([run.errors[0] for run in runs])  # type: ignore[index]
    stated, observed = np.sqrt((errors**2).mean(0)), scores.std(0, ddof=1)
    assert np.all((stated / observed > 0.75) & (stated / observed < 1.4)), stated / observed
    assert np.abs((scores.mean(0) - truth) / (observed / np.sqrt(len(runs)))).max() < 4
    assert (np.abs(scores - truth) < 2.5 * errors).mean() > 0.9
    assert all(run.residual == pytest.approx((0,), abs=1e-9) for run in runs)


@pytest.mark.parametrize(("method", "options"), SAMPLED)
def test_more_samples_come_closer(method: str, options: dict[str, Any]) -> None:
    words = list("abcdefgh")
    game = random_game(words, 4)
    truth = play(game, " ".join(words), "shapley", exact_up_to=8).scores[0]
    name = "samples" if method == "kernel_shap" else "permutations"
    few, many = options[name] // 4, options[name] * 3

    def distance(count: int) -> float:
        runs = [
            play(game, " ".join(words), method, seed=seed, **{**options, name: count}).scores[0]
            for seed in range(20)
        ]
        return float(np.sqrt(np.mean((np.array(runs) - truth) ** 2)))

    assert distance(many) < 0.5 * distance(few)


@pytest.mark.parametrize(("method", "options"), SAMPLED)
def test_pairs_are_exact_where_only_two_words_act_together(method: str, options: dict[str, Any]) -> None:
    """A permutation and its reverse are exact up to second order, and so is a subset with its complement."""
    words = list("abcdefgh")
    random = np.random.default_rng(5)
    single, double = random.normal(size=8) / 50, random.normal(size=(8, 8)) / 50

    def game(present: frozenset[str]) -> float:
        z = np.array([float(word in present) for word in words])
        return float(0.5 + z @ single + z @ double @ z)

    least = {"shapley": {"permutations": 4}, "kernel_shap": {"samples": 32}}[method]
    result = play(game, " ".join(words), method, **{**options, **least})
    expected = single + np.diag(double) + (double + double.T - 2 * np.diag(np.diag(double))).sum(1) / 2
    np.testing.assert_allclose(result.scores[0], expected, atol=1e-9)
    assert result.errors is not None and result.errors.max() < 1e-8


@pytest.mark.parametrize(("method", "options"), SAMPLED)
def test_a_null_player_gets_nothing_and_twins_get_the_same_when_sampled(
    method: str, options: dict[str, Any]
) -> None:
    result = play(lambda s: 0.1 + 0.2 * (("a" in s) and ("b" in s)), "a b c d e f g h", method, **options)
    np.testing.assert_allclose(result.scores[0], [0.1, 0.1, *[0] * 6], atol=1e-9)


def test_blocks_of_permutations_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    words = list("abcdefgh")
    game = random_game(words, 6)
    expected = play(game, " ".join(words), "shapley", exact_up_to=1)
    monkeypatch.setitem(list_methods()["shapley"].function.__globals__, "CELLS", 200)
    np.testing.assert_array_equal(
        play(game, " ".join(words), "shapley", exact_up_to=1).scores, expected.scores
    )


# Kernel SHAP


def test_kernel_shaps_fit_is_that_of_weighted_least_squares() -> None:
    """The weights and R² of a fit by hand with the constraint as a very heavy row."""
    words = list("abcd")
    game = random_game(words, 7)
    rows = np.array(list(itertools.product([0, 1], repeat=4)))
    values = np.array([game(frozenset(w for w, z in zip(words, row, strict=True) if z)) for row in rows])
    inner = rows[1:-1]
    sizes = inner.sum(1)
    weights = np.array([3 / (math.comb(4, s) * s * (4 - s)) for s in sizes])
    heavy = np.concatenate([inner * np.sqrt(weights)[:, None], 1e6 * np.ones((1, 4))])
    target = np.concatenate([(values[1:-1] - values[0]) * np.sqrt(weights), [1e6 * (values[-1] - values[0])]])
    phi = np.linalg.lstsq(heavy, target, rcond=None)[0]
    result = play(game, "a b c d", "kernel_shap")
    np.testing.assert_allclose(result.scores[0], phi, atol=1e-6)
    residuals = values[1:-1] - values[0] - inner @ phi
    around = values[1:-1] - np.average(values[1:-1], weights=weights)
    assert result.fit == pytest.approx((1 - (weights @ residuals**2) / (weights @ around**2),), abs=1e-6)


def test_kernel_shap_of_a_sum_fits_perfectly_and_has_no_error() -> None:
    game = KNOWN_GAMES["a sum"][0]
    result = play(game, "a b c d e f g h", "kernel_shap", samples=40)
    np.testing.assert_allclose(result.scores[0], [0.1, 0.3, -0.15, 0, 0, 0, 0, 0], atol=1e-9)
    assert result.fit == pytest.approx((1.0,)) and result.errors is not None and result.errors.max() < 1e-8


def test_too_many_features_for_the_samples_is_an_error() -> None:
    with pytest.raises(TooLong, match="8 features at most; this text has 9"):
        play(lambda _: 0.5, "a b c d e f g h i", "kernel_shap", samples=16)


# Partition SHAP


def leaves_of(tree: Any) -> list[int]:
    return [tree] if isinstance(tree, int) else [leaf for part in tree for leaf in leaves_of(part)]


def without_gaps(tree: Any, order: Sequence[int]) -> bool:
    """Whether the features of each node follow each other in an order."""
    if isinstance(tree, int):
        return True
    places = sorted(order.index(leaf) for leaf in leaves_of(tree))
    return places[-1] - places[0] == len(places) - 1 and all(without_gaps(part, order) for part in tree)


@pytest.mark.parametrize(
    "text", ["a b c d", "a b c d e", "a b c d e f", "a . b c", "a b . c d e", "a . b . c d"]
)
def test_partition_shap_is_the_owen_value_over_all_orders_that_keep_the_hierarchy(text: str) -> None:
    names = text.split()
    words = [
        word if word != "." else f".{i}" for i, word in enumerate(names)
    ]  # each full stop is a feature of its own
    table = random_game(words, len(text))

    f = _Table(text, words, table)
    tree = hierarchy(f, f.features)  # type: ignore[arg-type]
    result = list_methods()["partition_shap"].run(f)
    expected = over_orders(
        table, words, lambda order: without_gaps(tree, [words.index(word) for word in order])
    )
    np.testing.assert_allclose(result.values[0].numpy(), expected, atol=1e-9)
    assert "full hierarchy" in result.notes[0]
    shapley = over_orders(table, words)
    assert len(words) <= 2 or np.abs(shapley - expected).max() > 1e-3


class _Table:
    """An objective whose values are a table of subsets."""

    def __init__(self, text: str, words: Sequence[str], game: Game) -> None:
        self._f = make_objective(
            player(lambda _: 0.5), text, Target(label="won", quantity="probability"), Deadline()
        )
        self.words, self.game, self.requests = words, game, []  # type: ignore[var-annotated]
        self.features = features_of(self._f)
        assert len(self.features) == len(words)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._f, name)

    @property
    def values(self) -> torch.Tensor:
        return torch.tensor([self.game(frozenset(self.words))], dtype=torch.float64)

    def evaluate_features(self, features: Features, present: np.ndarray, hide: str = "auto") -> torch.Tensor:
        self.requests.append(present)
        rows = [
            self.game(frozenset(w for w, is_present in zip(self.words, row, strict=True) if is_present))
            for row in present
        ]
        return torch.tensor([rows], dtype=torch.float64)


def test_the_hierarchy_halves_sentences_then_words_then_tokens(tiny: dict[str, Adapter]) -> None:
    def tree(text: str, unit: str = "words", model: Any = None) -> Any:
        f = make_objective(model or player(lambda _: 0.5), text, Target(), Deadline())
        features = features_of(f, unit)  # type: ignore[arg-type]

        def replace_by_names(node: Any) -> Any:
            return (
                features.names[node]
                if isinstance(node, int)
                else tuple(replace_by_names(part) for part in node)
            )

        return replace_by_names(hierarchy(f, features))

    assert tree("a b c") == (("a", "b"), "c")
    assert tree("a b. c d e.") == ((("a", "b"), "."), (("c", "d"), ("e", ".")))
    assert tree("a! b! c!") == ((("a", "!"), ("b", "!")), ("c", "!"))
    assert tree("good plots", "tokens", tiny["bert"]) == ("good", ("plot", "s"))


def test_partition_shap_with_few_evaluations_shares_equally_and_splits_the_heaviest_first() -> None:
    def game(present: frozenset[str]) -> float:
        return 0.1 + 0.6 * ("a" in present) + 0.04 * ("c" in present)

    # One split, in halves: ab is worth 0.6, cd 0.04.
    result = play(game, "a b c d", "partition_shap", evaluations=4)
    np.testing.assert_allclose(result.scores[0], [0.3, 0.3, 0.02, 0.02], atol=1e-12)
    # The root, then ab in both contexts; cd stays whole.
    result = play(game, "a b c d", "partition_shap", evaluations=7)
    np.testing.assert_allclose(result.scores[0], [0.6, 0, 0.02, 0.02], atol=1e-12)
    assert "2 parts were not split further" in result.notes[0]
    result = play(game, "a b c d", "partition_shap", evaluations=11)
    np.testing.assert_allclose(result.scores[0], [0.6, 0, 0.04, 0], atol=1e-12)
    assert result.residual == pytest.approx((0,), abs=1e-12)


@pytest.mark.parametrize("evaluations", [4, 50, 200, 20000])
def test_partition_shap_keeps_to_its_evaluations_and_adds_up(evaluations: int) -> None:
    words = [f"w{i}" for i in range(20)]
    f = _Table(" ".join(words), words, lambda s: math.sin(sum(int(w[1:]) ** 2 for w in s)) / 2)
    result = list_methods()["partition_shap"].run(f, evaluations=evaluations)
    rows = np.concatenate(f.requests)
    assert len(rows) <= evaluations
    assert len(np.unique(rows, axis=0)) == len(rows)
    check = result.completeness[0]
    assert check.residual == pytest.approx(0, abs=1e-9) and abs(check.difference) > 0.01


# Every task


TEXTS: dict[str, tuple[str, str | None]] = {
    "bert-nli": ("the movie was good", "it was a fine film"),
    "bert-multi-label": ("the movie was good", None),
    "llama-classifier": ("the film", None),
    "bert-tokens": ("the movie was good", None),
    "bert-masked": ("the movie was [MASK] good", None),
    "bert-question": ("was it good", "the movie was good"),
    "bert-similarity": ("the movie was good", "it was a fine film"),
    "gpt2": ("a film", None),
    "llama": ("a film", None),
    "t5": ("the film was bad", None),
    "bart": ("a film", None),
}


@pytest.mark.parametrize("family", TEXTS)
@pytest.mark.parametrize("hide", ["auto", "delete"])
@pytest.mark.parametrize("method", METHODS)
def test_every_task(method: str, hide: str, family: str) -> None:
    model = load(*FAMILIES[family].build())
    text, second = TEXTS[family]
    options = {"shapley": {"permutations": 6, "exact_up_to": 4}, "kernel_shap": {"samples": 40}}.get(
        method, {}
    )
    result = attribute(text, model, method, second=second, max_new_tokens=4, hide=hide, **options)
    assert np.isfinite(result.scores).all() and np.abs(result.scores).max() > 1e-4
    for i, token in enumerate(result.tokens):
        if token.special:
            assert not result.scores[:, i].any()
    if result.completeness is None:
        assert method == "occlusion"
        return
    for row, check, output in zip(result.scores, result.completeness, result.outputs, strict=True):
        assert check.value == pytest.approx(output.value, rel=1e-6)
        assert row.sum() == pytest.approx(check.difference, abs=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_each_generated_token_has_the_exact_values_of_what_it_sees(
    tiny: dict[str, Adapter], family: str
) -> None:
    """Kernel SHAP is exact over the visible features, though subsets are drawn from all features."""
    runs = {
        method: attribute("the film was", tiny[family], method, max_new_tokens=3, **options)
        for method, options in {"shapley": {"exact_up_to": 12}, "kernel_shap": {"samples": 8192}}.items()
    }
    assert all("Exact" in run.notes[0] for run in runs.values())
    np.testing.assert_allclose(runs["kernel_shap"].scores, runs["shapley"].scores, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_features_share_their_score_equally(tiny: dict[str, Adapter], method: str) -> None:
    result = attribute("a film. it was so awful!", tiny["bert"], method, features="sentences")
    plain = [i for i, token in enumerate(result.tokens) if not token.special]
    first, second = result.scores[0, plain[:3]], result.scores[0, plain[3:]]
    assert np.unique(first).size == 1 and np.unique(second).size == 1 and abs(first[0]) > 0
    spans = attribute("a film. it was so awful!", tiny["bert"], method, features="spans", spans=r"so \w+")
    at = [i for i, token in enumerate(spans.tokens) if token.text in ("so", "awful")]
    assert spans.scores[0, at[0]] == spans.scores[0, at[1]] != 0


@pytest.mark.parametrize("method", METHODS)
def test_a_function_is_called_in_batches_and_once_per_text(method: str) -> None:
    calls: list[int] = []
    words = list("abcdefg")
    game = random_game(words, 8)
    attribute(" ".join(words), player(game, calls), method, "won", quantity="probability")
    assert max(calls) <= 64 and 8 <= sum(calls) <= 2**7 + 3


@pytest.mark.parametrize("method", METHODS)
def test_unsupported_hiding_and_a_passed_deadline_are_errors(method: str) -> None:
    with pytest.raises(BadOption, match="nothing in them stands for"):
        play(lambda _: 0.5, "a b", method, hide="pad")
    f = make_objective(player(lambda _: 0.5), "a b c", Target(), Deadline())
    f = dataclasses.replace(f, deadline=Deadline(-1.0))
    with pytest.raises(DeadlineExceeded):
        list_methods()[method].run(f)


@pytest.mark.parametrize("method", METHODS)
def test_pairs_of_texts_for_a_function(method: str) -> None:
    def probabilities(rows: list[tuple[str, str]]) -> np.ndarray:
        won = np.array(
            [0.2 + 0.3 * ("a" in first.split()) + 0.4 * ("x" in second.split()) for first, second in rows]
        )
        return np.stack([1 - won, won], axis=1)

    model = load(probabilities, labels=("lost", "won"))
    result = attribute("a b", model, method, "won", second="x y", quantity="probability")
    np.testing.assert_allclose(result.scores[0], [0.3, 0, 0.4, 0], atol=1e-9)
    assert [token.segment for token in result.tokens] == ["text", "text", "second", "second"]
