"""The metrics against plain loops, scipy, scikit-learn and captum, and against closed forms."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captums_infidelity
from captum.metrics import sensitivity_max
from scipy.stats import entropy as scipys_entropy
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import auc

from attribution import Attribution, attribute, load
from attribution.errors import BadOption, DeadlineExceeded, UnknownMetric, Unsupported
from attribution.methods import find as find_method
from attribution.metrics import KINDS, Measurement, find, list_metrics
from attribution.metrics.common.case import Case, Passes
from attribution.metrics.common.rerun import MethodRerun
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.objective import Objective
from attribution.models.readers import make_objective
from attribution.request import Target
from attribution.studies.randomisation import randomise_all
from attribution.types import Completeness
from tests.tiny import FAMILIES

TEXT = "the movie was not good, but the actor was great!"
WEIGHTS = {"one": 0.2, "two": 0.1, "three": 0.08, "four": 0.05, "five": 0.03}
values = Case.values
FULL, NONE = 0.5 + sum(WEIGHTS.values()), 0.5


def linear(rows: list[str]) -> list[list[float]]:
    """p(yes) = 0.5 + the weights of the words in the text."""
    chances = [0.5 + sum(WEIGHTS.get(word, 0.0) for word in row.split()) for row in rows]
    return [[1 - p, p] for p in chances]


def case_of(
    model: Any, text: str = TEXT, method: str = "occlusion", *, row: int = 0, seed: int = 0, **request: Any
) -> Case:
    """A case with its model, whose scores are those of a method."""
    result = attribute(text, model, method, **request)
    f = make_objective(
        model, result.text, Target.of(result.request), Deadline(), second=result.request.second
    )
    return Case(result, row, Passes(f, row), rerun=MethodRerun(result, f, randomise_all), seed=seed)


def with_scores(case: Case, scores: Any, **changes: Any) -> Case:
    """The same case with other scores, one a word."""
    tokens = np.zeros_like(case.attribution.scores)
    for group, score in zip(case.features.groups, scores, strict=True):
        tokens[:, list(group)] = score / len(group)
    return dataclasses.replace(
        case, attribution=dataclasses.replace(case.attribution, scores=tokens, **changes)
    )


def value(name: str, case: Case, **options: Any) -> float:
    measurement = find(name).measure(case, **options)
    assert measurement.value is not None, measurement.reason
    return measurement.value


@pytest.fixture(scope="module")
def plain() -> Case:
    """Five words whose probabilities add up; the scores are the weights."""
    return case_of(
        load(linear, labels=("no", "yes")), " ".join(WEIGHTS), target="yes", quantity="probability"
    )


@pytest.fixture(scope="module")
def bert(tiny: dict[str, Adapter]) -> Case:
    return case_of(tiny["bert"], method="integrated_gradients")


class TestClosedForms:
    """An additive function: every value has a closed form."""

    def test_the_case(self, plain: Case) -> None:
        assert plain.words == tuple(WEIGHTS)
        np.testing.assert_allclose(plain.scores, list(WEIGHTS.values()), atol=1e-12)
        assert plain.full == pytest.approx(FULL)
        assert plain.empty() == pytest.approx(NONE)
        assert plain.without([0, 2]).tolist() == [[True] * 5, [False, False, True, True, True]]

    @pytest.mark.parametrize(
        ("name", "options", "expected"),
        [
            ("comprehensiveness", {"share": 0.4}, 0.3),
            ("comprehensiveness", {"share": 1.0}, FULL - NONE),
            ("comprehensiveness", {"share": 0.01}, 0.2),  # one word at least
            ("sufficiency", {"share": 0.4}, 0.16),
            ("aopc_comprehensiveness", {}, (4 * 0.2 + 0.38) / 5),  # 1, 1, 1, 1 and 3 words
            ("aopc_sufficiency", {}, (4 * 0.26 + 0.08) / 5),
            ("log_odds", {"share": 0.4}, math.log((FULL - 0.3) / FULL)),
            ("normalized_comprehensiveness", {"share": 0.4}, 0.3 / 0.46),
            ("normalized_sufficiency", {"share": 0.4}, 1 - 0.16 / 0.46),
            ("infidelity", {}, 0.0),
            ("infidelity", {"relative": False}, 0.0),
            ("loo_correlation", {}, 1.0),
            ("monotonicity", {}, 1.0),
            ("monotonicity_correlation", {}, 1.0),
            ("stability", {}, 1.0),
        ],
    )
    def test_values(self, plain: Case, name: str, options: dict[str, Any], expected: float) -> None:
        assert value(name, plain, **options) == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize("normalize", [False, True])
    def test_deletion_and_insertion_are_areas(self, plain: Case, normalize: bool) -> None:
        falling = [FULL - sum(list(WEIGHTS.values())[:k]) for k in range(6)]
        rising = [NONE + sum(list(WEIGHTS.values())[:k]) for k in range(6)]
        for name, heights in (("deletion", falling), ("insertion", rising)):
            expected = [(h - NONE) / (FULL - NONE) for h in heights] if normalize else heights
            measurement = find(name).measure(plain, normalize=normalize)
            assert measurement.value == pytest.approx(auc(np.linspace(0, 1, 6), expected))
            assert measurement.curve is not None
            assert measurement.curve.y == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("name", "expected"),
        # Of all orders: a word is among the first k of n with chance k/n, so that the mean fall is linear in
        # k.
        [
            ("comprehensiveness", 0.46 / 5),
            ("sufficiency", 0.46 * 4 / 5),
            ("aopc_comprehensiveness", 0.46 * (4 * 1 + 3) / 25),
            ("aopc_sufficiency", 0.46 * (4 * 4 + 2) / 25),
            ("deletion", (FULL + NONE) / 2),
            ("insertion", (FULL + NONE) / 2),
            ("normalized_comprehensiveness", 1 / 5),
            ("loo_correlation", 0.0),
            ("monotonicity_correlation", 0.0),
        ],
    )
    def test_all_orders_together_are_at_chance(self, plain: Case, name: str, expected: float) -> None:
        values_of_orders = [
            value(name, with_scores(plain, order)) for order in itertools.permutations(range(1, 6))
        ]
        assert np.mean(values_of_orders) == pytest.approx(expected)

    def test_a_contrast_is_the_probability_among_the_two_labels(self) -> None:
        rows = {"a b": (0.6, 0.3, 0.1), "a": (0.5, 0.1, 0.4), "b": (0.2, 0.2, 0.6), "": (0.1, 0.3, 0.6)}
        model = load(lambda texts: [rows[text] for text in texts], labels=("x", "y", "z"))
        case = case_of(model, "a b", target="x", contrast="y")
        present = np.array([[True, True], [True, False], [False, True], [False, False]])
        np.testing.assert_allclose(case.values(present), [0.6 / 0.9, 0.5 / 0.6, 0.5, 0.25])

    def test_cached_values_are_not_computed_again(self) -> None:
        calls = []

        def counting(rows: list[str]) -> list[list[float]]:
            calls.extend(rows)
            return linear(rows)

        case = case_of(load(counting, labels=("no", "yes")), "one two three", target="yes")
        calls.clear()
        first = value("deletion", case)
        before = len(calls)
        assert before == 4  # all words, two, one, none
        assert value("deletion", case) == first
        assert value("comprehensiveness", case) > 0
        assert len(calls) == before


class TestScoresAlone:
    @pytest.mark.parametrize("sizes", [[1.0, 1, 1, 1, 1], [0, 0, 3.0, 0, 0], [0.1, -0.5, 2, 0.0, -0.3]])
    def test_sparsity_and_entropy(self, plain: Case, sizes: list[float]) -> None:
        case = with_scores(plain, sizes)
        absolute = np.abs(sizes)
        # The Gini index is half the mean absolute difference of all pairs, relative to the mean.
        gini = np.abs(absolute[:, None] - absolute[None]).mean() / (2 * absolute.mean())
        assert value("sparsity", case) == pytest.approx(gini)
        assert value("entropy", case) == pytest.approx(scipys_entropy(absolute))

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("sizes", [[1.0, 2, 3, 4, 5], [0.1, 0.5, 2, 0.01, 0.3]])
    def test_quantus_agrees(self, plain: Case, sizes: list[float]) -> None:
        """For scores above 0 only, as Quantus does not take absolute values by itself."""
        quantus = pytest.importorskip("quantus", reason="quantus is in requirements-peers.txt only")
        quiet = {"disable_warnings": True, "display_progressbar": False}
        case, batch = with_scores(plain, sizes), np.array([sizes])
        [sparseness] = quantus.Sparseness(**quiet).evaluate_batch(x_batch=batch, a_batch=batch.copy())
        [complexity] = quantus.Complexity(**quiet).evaluate_batch(x_batch=batch, a_batch=batch.copy())
        assert value("sparsity", case) == pytest.approx(float(sparseness))
        assert value("entropy", case) == pytest.approx(float(complexity))

    def test_completeness_is_the_residuals_share(self, plain: Case) -> None:
        checks = (Completeness(2.0, 0.5, -0.3),)
        case = dataclasses.replace(
            plain, attribution=dataclasses.replace(plain.attribution, completeness=checks)
        )
        assert value("completeness", case) == pytest.approx(0.2)
        level = (Completeness(0.5, 0.5, 0.1),)
        case = dataclasses.replace(
            plain, attribution=dataclasses.replace(plain.attribution, completeness=level)
        )
        assert find("completeness").measure(case).value is None


class TestAgainstOthers:
    def test_aopc_by_hand_on_the_plain_model(self, tiny: dict[str, Adapter], bert: Case) -> None:
        """ERASER's means by a loop over the plain model, with the mask token's embedding for hidden words."""
        model, tokenizer = tiny["bert"].model, tiny["bert"].tokenizer
        encoded = tokenizer(TEXT, return_tensors="pt", return_offsets_mapping=True)
        table = model.get_input_embeddings().weight.detach()
        label = bert.attribution.outputs[0].id

        def probability(hidden: set[int]) -> float:
            ids = encoded["input_ids"].clone()
            ids[0, sorted(hidden)] = tokenizer.mask_token_id
            with torch.no_grad():
                return float(model(inputs_embeds=table[ids]).logits.softmax(-1)[0, label])

        scores, groups = bert.scores, bert.features.groups
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        everything = {i for group in groups for i in group}
        falls, lasts = [], []
        for share in (0.01, 0.05, 0.1, 0.2, 0.5):
            chosen = {i for k in order[: max(1, math.floor(share * len(scores) + 0.5))] for i in groups[k]}
            falls.append(probability(set()) - probability(chosen))
            lasts.append(probability(set()) - probability(everything - chosen))
        assert value("aopc_comprehensiveness", bert) == pytest.approx(np.mean(falls), abs=1e-5)
        assert value("aopc_sufficiency", bert) == pytest.approx(np.mean(lasts), abs=1e-5)

    def test_correlations_are_scipys(self, bert: Case) -> None:
        count = len(bert.words)
        single = bert.values(~np.eye(count, dtype=bool), quantity="explained")
        falls = float(bert.f.values[0]) - single
        assert value("loo_correlation", bert) == pytest.approx(
            kendalltau(bert.scores, falls).statistic, abs=1e-6
        )
        unsigned = with_scores(bert, bert.strength, signed=False)
        assert value("loo_correlation", unsigned) == pytest.approx(
            kendalltau(bert.strength, abs(falls)).statistic, abs=1e-6
        )
        ways = (
            "mask",
            "pad",
            "unk",
            "mean",
            "delete",
        )  # not zero: this model's pad token has an embedding of zeros
        squares = np.mean(
            [(bert.full - bert.values(~np.eye(count, dtype=bool), way)) ** 2 for way in ways], axis=0
        )
        expected = spearmanr(bert.strength, squares).statistic
        assert value("monotonicity_correlation", bert) == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize("relative", [False, True])
    def test_infidelity_is_captums(
        self, tiny: dict[str, Adapter], relative: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On features that are present (1) or not (0), with the sets that our metric draws.

        The best scale is positive here.
        """
        bert = case_of(tiny["bert"])
        masks: list[np.ndarray] = []
        monkeypatch.setattr(
            Case, "values", lambda self, present, *rest: masks.append(present) or values(self, present, *rest)
        )
        ours = value("infidelity", bert, samples=40, relative=relative)
        hidden = torch.from_numpy(~masks[-1]).double()
        monkeypatch.undo()

        def forward(presence: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(bert.values(presence.numpy() > 0.5, "auto", "explained"))

        def perturb(presence: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return hidden, presence - hidden

        all_words = torch.ones(1, len(bert.words), dtype=torch.float64)
        theirs = captums_infidelity(
            forward,
            perturb,
            all_words,
            torch.from_numpy(bert.scores)[None],
            n_perturb_samples=40,
            normalize=relative,
        )
        falls = (
            bert.values(np.ones((1, len(bert.words)), dtype=bool), "auto", "explained")
            - forward(1 - hidden).numpy()
        )
        assert ours == pytest.approx(float(theirs) / (np.mean(falls**2) if relative else 1.0), rel=1e-6)

    def test_max_sensitivity_is_captums(self, bert: Case) -> None:
        """With the noise that our metric draws, running our own method at each point."""
        draw = np.random.default_rng(bert.seed)
        bound = 0.1 * float(bert.f.embeddings.std())  # type: ignore[attr-defined]
        noise = torch.from_numpy(
            np.stack([draw.uniform(-bound, bound, tuple(bert.f.embeddings.shape)) for _ in range(4)])
        )  # type: ignore[attr-defined]
        options = dict(bert.attribution.request.options)

        def explain(points: torch.Tensor | tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            rows = []
            for point in points[0] if isinstance(points, tuple) else points:
                g = bert.f.at(point)  # type: ignore[attr-defined]
                rows.append(
                    bert.sum_words(find_method("integrated_gradients").run(g, **options).values.numpy())
                )
            return (torch.from_numpy(np.array(rows)),)

        start = bert.f.embeddings[None]  # type: ignore[attr-defined]
        theirs = sensitivity_max(
            explain, start, lambda points, _: points + noise.to(points), n_perturb_samples=4
        )
        assert value("max_sensitivity", bert) == pytest.approx(float(theirs), rel=1e-3)

    def test_soft_metrics_keep_words_by_their_scores(self) -> None:
        """Scores of 0 and 1 leave nothing to chance: whole words are kept, or dropped, as zeros."""
        case = case_of(load("bundled/sst2-minilm"), "dull and lifeless, with a few good jokes", "saliency")
        chosen = np.array([word == "lifeless" for word in case.words])
        zero = case.values(np.vstack([chosen, ~chosen, np.zeros(len(chosen), dtype=bool)]), "zero")
        clipped = np.clip((case.full - zero) / (case.full - zero[2]), 0.0, 1.0)
        assert 0.05 < clipped[0] < 0.95, "this text is no test"
        case = with_scores(case, chosen.astype(float))
        assert value("soft_sufficiency", case) == pytest.approx(1 - clipped[0], abs=1e-4)
        assert value("soft_comprehensiveness", case) == pytest.approx(clipped[1], abs=1e-4)


class TestAgain:
    def test_another_seed_changes_only_random_methods(self, tiny: dict[str, Adapter]) -> None:
        random_case = case_of(tiny["bert"], method="random")
        assert -1 < value("stability", random_case) < 1
        assert random_case.run_again(seed=1) is not None
        exact_case = case_of(tiny["bert"], method="occlusion")
        assert exact_case.run_again(seed=1) is None
        assert find("stability").measure(exact_case) == Measurement(
            1.0, "The method draws no random numbers."
        )

    def test_randomised_weights_keep_the_explained_output(self, tiny: dict[str, Adapter]) -> None:
        """The same numbers as ``attribute`` gives for the randomised model and the same label."""
        for family in ("bert", "gpt2", "t5"):
            case = case_of(tiny[family], method="saliency", max_new_tokens=3)
            randomised = randomise_all(tiny[family], 5)
            scores = case.run_again(weights_seed=5)
            assert scores is not None
            target = case.attribution.outputs[0].id if family == "bert" else None
            if family == "bert":
                expected = attribute(TEXT, randomised, "saliency", target).scores
            else:
                f = make_objective(tiny[family], TEXT, Target(max_new_tokens=3), Deadline())
                assert isinstance(f, Objective)
                g = f.with_adapter(randomised)
                values = g.choice.read(g.logits(g.embeddings[None]))[:, 0]
                np.testing.assert_allclose(g.values.numpy(), values.numpy(), rtol=1e-4)
                expected = (
                    find_method("saliency").run(g, **dict(case.attribution.request.options)).values.numpy()
                )
            np.testing.assert_allclose(scores, case.sum_words(expected), rtol=1e-4, atol=1e-7)
            assert 0 <= value("randomisation", case) <= 1

    def test_scores_that_ignore_the_model_fail_the_sanity_check(self, tiny: dict[str, Adapter]) -> None:
        assert value("randomisation", case_of(tiny["bert"], method="random")) == 1

    def test_noise_moves_the_embeddings(self, bert: Case) -> None:
        still = bert.run_again(noise=np.zeros(tuple(bert.f.embeddings.shape)))  # type: ignore[attr-defined]
        np.testing.assert_allclose(still, bert.scores, rtol=1e-4, atol=1e-6)
        assert 0 < value("max_sensitivity", bert, radius=0.01) < value("max_sensitivity", bert, radius=0.5)

    def test_a_decoders_prefix_is_computed_anew(self) -> None:
        """A cached prefix is only used with the embeddings that it was computed from."""
        adapter = Adapter(*FAMILIES["gpt2"]())
        adapter.budget = 128  # few rows a batch, so that those with the same beginning are alone
        case = case_of(adapter, max_new_tokens=2)
        assert adapter.shares_prefix
        noise = np.random.default_rng(0).normal(size=tuple(case.f.embeddings.shape)) * 0.3  # type: ignore[attr-defined]
        shared = case.run_again(noise=noise)
        adapter.shares_prefix = False
        alone = case.run_again(noise=noise)
        np.testing.assert_allclose(shared, alone, rtol=1e-3, atol=1e-5)
        assert not np.allclose(alone, case.scores, rtol=1e-2)

    def test_a_function_has_no_weights(self, plain: Case) -> None:
        for name in ("randomisation", "max_sensitivity", "soft_sufficiency", "soft_comprehensiveness"):
            measurement = find(name).measure(plain)
            assert measurement.value is None
            assert "only answers texts" in measurement.reason


class TestQuantities:
    @pytest.mark.parametrize("quantity", ["logit", "log_probability", "probability"])
    @pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
    def test_the_probability_is_the_models_own(
        self, tiny: dict[str, Adapter], family: str, quantity: str
    ) -> None:
        result = attribute(TEXT, tiny[family], "random", quantity=quantity, max_new_tokens=3)
        f = make_objective(tiny[family], TEXT, Target.of(result.request), Deadline())
        for row, output in enumerate(result.outputs):
            assert Case(result, row, Passes(f, row)).full == pytest.approx(output.probability, abs=1e-5)

    def test_a_number_without_probability_stays_as_it_is(self, tiny: dict[str, Adapter]) -> None:
        from tests import families

        adapter = Adapter(*families.FAMILIES["bert-similarity"].build())
        case = case_of(adapter, "so good", second="a fine film")
        assert not case.probable
        assert case.full == pytest.approx(case.attribution.outputs[0].value, abs=1e-6)
        assert find("log_odds").measure(case).reason == "The model gives no probability."
        with pytest.raises(Unsupported, match="no probabilities"):
            case.f.with_quantity("probability")

    def test_a_word_is_what_the_output_can_see(self, tiny: dict[str, Adapter]) -> None:
        result = attribute(TEXT, tiny["gpt2"], "random", max_new_tokens=3)
        counts = [len(Case(result, row).words) for row in range(len(result.outputs))]
        assert counts == [counts[0], counts[0] + 1, counts[0] + 2]
        assert Case(result, 0).words[0] == "the"


class TestUndefined:
    def test_each_has_its_reason(self, plain: Case) -> None:
        alone = Case(plain.attribution)
        level = with_scores(plain, [1.0] * 5)
        nothing = with_scores(plain, [0.0] * 5)
        assert (
            find("deletion").measure(alone).reason == "It needs the model, but only the scores are available."
        )
        assert (
            find("stability").measure(alone).reason
            == "It needs the model, but only the scores are available."
        )
        assert find("completeness").measure(alone).reason == "The method does not claim to add up."
        for name in (
            "deletion",
            "insertion",
            "comprehensiveness",
            "aopc_sufficiency",
            "monotonicity",
            "normalized_sufficiency",
        ):
            assert find(name).measure(level).reason == "All words have the same score, so none comes first."
        for name in ("sparsity", "entropy"):
            assert find(name).measure(nothing).reason == "All scores are 0."

    def test_a_constant_model_gives_no_scale(self) -> None:
        model = load(lambda rows: [[0.5, 0.5]] * len(rows), labels=("a", "b"))
        case = with_scores(case_of(model, "one two three"), [1, 2, 3])
        for name in ("normalized_sufficiency", "normalized_comprehensiveness"):
            assert "no scale" in find(name).measure(case).reason
        assert "no scale" in find("deletion").measure(case, normalize=True).reason
        assert "does not change" in find("infidelity").measure(case).reason

    def test_a_way_of_hiding_that_the_model_lacks(self, plain: Case) -> None:
        measurement = find("deletion").measure(plain, hide="pad")
        assert measurement.value is None and "Use 'delete' or 'mask'" in measurement.reason

    def test_a_passed_deadline_is_no_value(self, plain: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        def late(*_: object) -> None:
            raise DeadlineExceeded("Too late.")

        monkeypatch.setattr(Case, "values", late)
        with pytest.raises(DeadlineExceeded):
            find("deletion").measure(plain)

    def test_an_attribution_of_other_tokens_is_refused(self, plain: Case, tiny: dict[str, Adapter]) -> None:
        f = make_objective(tiny["bert"], TEXT, Target(), Deadline())
        with pytest.raises(BadOption, match="tokens are not those of the model"):
            Case(plain.attribution, 0, Passes(f))
        with pytest.raises(BadOption, match="no output 7"):
            Case(plain.attribution, 7)


class TestRegistry:
    def test_names(self) -> None:
        assert find("AOPC-Comprehensiveness ").name == "aopc_comprehensiveness"
        with pytest.raises(UnknownMetric, match=r"no metric 'deletio'.*Did you mean 'deletion'"):
            find("deletio")

    def test_each_describes_itself(self) -> None:
        for name, metric in list_metrics().items():
            entry = metric.to_dict()
            assert entry["name"] == name
            assert metric.kind in KINDS and metric.better in ("higher", "lower")
            assert all(entry[part].endswith(".") for part in ("summary", "caveat"))
            assert entry["reference"].count("\n\n") >= 1, f"{name} cites nothing"
            assert metric.low is None or metric.high is None or metric.low < metric.high

    def test_options_are_checked(self) -> None:
        with pytest.raises(BadOption, match=r"from 0\.01 to 1"):
            find("comprehensiveness").check_options({"share": 0})


def test_an_attribution_is_not_changed_by_measuring(bert: Case) -> None:
    before: Attribution = Attribution.from_dict(bert.attribution.to_dict())
    for metric in list_metrics().values():
        metric.measure(bert)
    assert bert.attribution == before
