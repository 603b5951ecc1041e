"""SmoothGrad, gradient SHAP, sequential integrated gradients and random scores, mostly against captum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import GradientShap, IntegratedGradients, NoiseTunnel, Saliency
from captum.attr._core.gradient_shap import InputBaselineXGradient
from transformers import PretrainedConfig

from attribution import attribute, load
from attribution.errors import BadOption
from attribution.methods import gradient_shap
from attribution.methods.smoothgrad import _sums
from attribution.models.adapter import Adapter
from tests.methods.test_oracles import Linear, classifier
from tests.tiny import FAMILIES, bert, wordpiece

TEXT = "the movie was not good, but the actor was great!"
CLASSIFIERS = pytest.mark.parametrize("family", ["bert", "gpt2-classifier"])
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:captum")


def linear() -> tuple[Adapter, torch.Tensor, torch.Tensor]:
    """A linear model, the weights of class 1 and the table of embeddings."""
    tokenizer = wordpiece()
    model = Linear(PretrainedConfig(vocab_size=len(tokenizer), num_labels=2))
    adapter = load(model, tokenizer, task="classification")
    return adapter, model.head.weight.detach()[1], model.embeddings.weight.detach()


@CLASSIFIERS
def test_smoothgrad_without_noise_is_saliency(tiny: dict[str, Adapter], family: str) -> None:
    result = attribute(TEXT, tiny[family], "smoothgrad", 1, noise=0.0, samples=7)
    np.testing.assert_allclose(result.scores, attribute(TEXT, tiny[family], "saliency", 1).scores, rtol=1e-4)
    assert result.errors is not None
    np.testing.assert_allclose(result.errors, 0, atol=1e-5)


@CLASSIFIERS
def test_smoothgrad_agrees_with_captum_within_its_errors(tiny: dict[str, Adapter], family: str) -> None:
    _model, embeddings, forward = classifier(family)
    spread = 0.1 * float(embeddings.max() - embeddings.min())
    torch.manual_seed(0)
    tunnel = NoiseTunnel(Saliency(forward))
    sampling = {"nt_samples": 600, "nt_samples_batch_size": 100, "stdevs": spread, "target": 1, "abs": False}
    expected = tunnel.attribute(embeddings, nt_type="smoothgrad", **sampling)[0].norm(dim=-1).detach().numpy()
    result = attribute(TEXT, tiny[family], "smoothgrad", 1, samples=200, noise=0.1)
    assert result.errors is not None
    # Captum's own sample is three times as large as ours: a third of the variance.
    deviations = (result.scores[0] - expected) / (result.errors[0] * np.sqrt(4 / 3))
    assert np.abs(deviations).max() < 5
    assert result.errors.max() < 0.1 * result.scores.max()
    plain = attribute(TEXT, tiny[family], "saliency", 1).scores[0]
    assert np.abs((plain - expected) / result.errors[0]).max() > 5


def test_smoothgrads_noise_is_a_share_of_the_range_and_reaches_special_tokens(
    tiny: dict[str, Adapter],
) -> None:
    rows = []

    class Fake:
        embeddings = torch.zeros(3, 40)
        outputs = (None,)

        def gradients(self, points: torch.Tensor) -> Any:
            rows.append(points)
            yield slice(0, len(points)), torch.ones(1, len(points)), points[None]

    sums, counts, value = _sums(Fake(), 205, 0.5, 3)  # type: ignore[arg-type]
    points = torch.cat(rows)
    assert points.shape == (205, 3, 40) and counts.sum() == 205 and float(value[0]) == pytest.approx(1)
    torch.testing.assert_close(sums.sum(0)[0], points.sum(0), rtol=1e-4, atol=1e-4)
    assert (points.std(dim=(0, 2)) - 0.5).abs().max() < 0.02
    assert points.mean().abs() < 0.02


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("smoothgrad", {"samples": 20, "noise": 0.05}),
        ("gradient_shap", {"samples": 20}),
        ("gradient_shap", {"samples": 20, "baseline": "mask"}),
    ],
)
def test_standard_errors_are_the_spread_over_seeds(
    tiny: dict[str, Adapter], method: str, options: dict[str, Any]
) -> None:
    runs = [attribute(TEXT, tiny["bert"], method, 1, seed=seed, **options) for seed in range(30)]
    spread = np.stack([run.scores[0] for run in runs]).std(axis=0, ddof=1)
    stated = np.sqrt(np.mean([run.errors[0] ** 2 for run in runs if run.errors is not None], axis=0))
    varies = spread > 0
    ratio = stated[varies] / spread[varies]
    # Along a curved path what is stated may be too large, but must not be too small.
    assert ratio.min() > 0.65
    assert ratio.max() < (2.5 if options.get("baseline") else 1.7)


@CLASSIFIERS
def test_gradient_shap_with_one_baseline_agrees_with_captum_and_integrated_gradients(
    tiny: dict[str, Adapter], family: str
) -> None:
    model, embeddings, forward = classifier(family)
    result = attribute(TEXT, tiny[family], "gradient_shap", 1, baseline="mean", samples=300)
    exact = attribute(
        TEXT, tiny[family], "integrated_gradients", 1, baseline="mean", rule="gausslegendre", steps=100
    )
    assert result.errors is not None
    np.testing.assert_allclose(result.scores, exact.scores, rtol=1e-2, atol=1e-2 * np.abs(exact.scores).max())
    assert np.abs(result.scores - exact.scores).max() < 5 * result.errors.max()
    special = [i for i, token in enumerate(result.tokens) if token.special]
    baseline = model.get_input_embeddings().weight.detach().mean(0).expand_as(embeddings).clone()
    baseline[:, special] = embeddings[:, special]
    torch.manual_seed(0)
    np.random.seed(0)
    captum = GradientShap(forward).attribute(embeddings, baseline, n_samples=600, stdevs=0.0, target=1)
    # Captum's points are not stratified: its own error is 1 / √600 of the integrand's spread.
    expected = captum[0].sum(-1).detach().numpy()
    np.testing.assert_allclose(result.scores[0], expected, atol=0.15 * np.abs(exact.scores).max())


def test_gradient_shap_agrees_with_captum_given_its_draws(
    tiny: dict[str, Adapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    _model, embeddings, forward = classifier("bert")
    draw = torch.Generator().manual_seed(4)
    baselines = torch.randn(24, *embeddings.shape[1:], generator=draw)
    monkeypatch.setattr(gradient_shap, "_draw_baselines", lambda f, kind, count, generator: baselines[:count])
    result = attribute(TEXT, tiny["bert"], "gradient_shap", 1, samples=24, seed=9)
    alphas = (torch.arange(24) + torch.rand(24, generator=torch.Generator().manual_seed(9))) / 24
    # One row of captum for each sample, with our α in the place of its own.
    monkeypatch.setattr(np.random, "uniform", lambda *_: alphas.double().numpy())
    rows = embeddings.expand(24, -1, -1)
    expected = (
        InputBaselineXGradient(forward).attribute(rows, baselines, target=1).mean(0).sum(-1).detach().numpy()
    )
    np.testing.assert_allclose(result.scores[0], expected, rtol=1e-3, atol=1e-5)


def test_gradient_shap_of_a_linear_model_is_exact_for_each_baseline_drawn() -> None:
    adapter, weight, table = linear()
    result = attribute(TEXT, adapter, "gradient_shap", 1, samples=400)
    ids = [token.id for token in result.tokens]
    special = np.array([token.special for token in result.tokens])
    mean = np.delete((table @ weight).numpy(), adapter.tokenizer.all_special_ids).mean()
    expected = np.where(special, 0, (table[ids] @ weight).numpy() - mean)
    assert result.errors is not None
    assert not result.scores[0, special].any() and not result.errors[0, special].any()
    deviations = (result.scores[0] - expected)[~special] / result.errors[0, ~special]
    assert np.abs(deviations).max() < 5
    # With fewer samples than vocabulary tokens the scores still add up to f(x) − mean f(b), as f is linear.
    assert "a residual of 0.0%" in attribute(TEXT, adapter, "gradient_shap", 1, samples=10).notes[0]


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_gradient_shap_draws_from_the_vocabulary_of_generators_too(
    tiny: dict[str, Adapter], family: str
) -> None:
    result = attribute("the film was", tiny[family], "gradient_shap", max_new_tokens=3, samples=40)
    assert result.errors is not None and (result.errors[result.scores != 0] > 0).all()
    assert (result.scores[0, [i for i, token in enumerate(result.tokens) if token.special]] == 0).all()


@CLASSIFIERS
@pytest.mark.parametrize("baseline", ["mean", "unk"])
def test_sequential_integrated_gradients_agree_with_captum_token_by_token(
    tiny: dict[str, Adapter], family: str, baseline: str
) -> None:
    model, embeddings, forward = classifier(family)
    result = attribute(
        TEXT,
        tiny[family],
        "sequential_integrated_gradients",
        1,
        baseline=baseline,
        steps=129,
        tolerance=0.005,
    )
    table = model.get_input_embeddings().weight.detach()
    nothing = table.mean(0) if baseline == "mean" else table[tiny[family].tokenizer.unk_token_id]
    expected = []
    for i, token in enumerate(result.tokens):
        start = embeddings.clone()
        if not token.special:
            start[0, i] = nothing
        expected.append(
            float(IntegratedGradients(forward).attribute(embeddings, start, target=1, n_steps=60)[0, i].sum())
        )
    largest = np.abs(expected).max()
    np.testing.assert_allclose(result.scores[0], expected, atol=0.006 * largest)


@pytest.mark.parametrize("family", ["bert", "gpt2-classifier", "gpt2", "t5"])
def test_each_sequential_score_is_the_change_that_hiding_its_token_makes(
    tiny: dict[str, Adapter], family: str
) -> None:
    adapter = tiny[family]
    result = attribute(
        TEXT, adapter, "sequential_integrated_gradients", max_new_tokens=3, steps=129, tolerance=0.01
    )
    model, tokenizer = FAMILIES[family]()
    source = [token.id for token in result.tokens if token.segment == "text"]
    prefix = [token.id for token in result.tokens if token.segment == "generated"]
    hidden = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else adapter.baseline_id("auto")

    def values(row: list[int]) -> np.ndarray:
        text, rest = torch.tensor([row[: len(source)]]), torch.tensor([row[len(source) :]])
        if family == "gpt2":
            logits = model(input_ids=torch.tensor([row])).logits[0, len(source) - 1 :]
        elif family == "t5":
            logits = model(input_ids=text, decoder_input_ids=rest).logits[0]
        else:
            logits = model(
                inputs_embeds=model.get_input_embeddings()(text), attention_mask=torch.ones_like(text)
            ).logits
        return np.array([float(logits[k, output.id]) for k, output in enumerate(result.outputs)])

    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    with torch.no_grad():
        full = values([*source, *prefix])
        for i, token in enumerate(result.tokens):
            row = [*source, *prefix]
            row[i] = row[i] if token.special else hidden
            expected = full - values(row)
            scale = np.abs(result.scores).max(axis=1)
            assert (np.abs(result.scores[:, i] - expected) <= 0.012 * scale).all()
            assert not (token.special and result.scores[:, i].any())


def test_a_linear_model_takes_the_fewest_points_and_gives_the_difference() -> None:
    adapter, weight, table = linear()
    result = attribute(TEXT, adapter, "sequential_integrated_gradients", 1)
    special = np.array([token.special for token in result.tokens])
    expected = np.where(special, 0, ((table[[t.id for t in result.tokens]] - table[4]) @ weight).numpy())
    np.testing.assert_allclose(result.scores[0], expected, rtol=1e-4, atol=1e-6)
    assert f"{4 * int((~special).sum())} gradients" in result.notes[0]


def test_a_note_says_when_there_are_too_few_points(tiny: dict[str, Adapter]) -> None:
    rough = attribute(TEXT, tiny["bert"], "sequential_integrated_gradients", 1, steps=5, tolerance=0.002)
    fine = attribute(TEXT, tiny["bert"], "sequential_integrated_gradients", 1, steps=257, tolerance=0.002)
    assert "above the tolerance" in rough.notes[0]
    assert "above the tolerance" not in fine.notes[0]


def test_a_model_without_a_mask_token_refuses_it_as_baseline(tiny: dict[str, Adapter]) -> None:
    with pytest.raises(BadOption, match="mask"):
        attribute(TEXT, tiny["gpt2"], "sequential_integrated_gradients", baseline="mask")


def test_random_scores_depend_on_the_seed_alone(tiny: dict[str, Adapter]) -> None:
    model, tokenizer = bert()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-0.3)
    expected = attribute(TEXT, tiny["bert"], "random", seed=5)
    np.testing.assert_array_equal(
        expected.scores, attribute(TEXT, load(model, tokenizer), "random", seed=5).scores
    )
    assert not np.array_equal(expected.scores, attribute(TEXT, tiny["bert"], "random", seed=6).scores)


def test_random_scores_are_standard_normal(tiny: dict[str, Adapter]) -> None:
    scores = np.concatenate(
        [attribute(TEXT, tiny["bert"], "random", seed=seed).scores[0] for seed in range(60)]
    )
    assert abs(scores.mean()) < 4 / np.sqrt(len(scores))
    assert abs(scores.std() - 1) < 4 / np.sqrt(2 * len(scores))
