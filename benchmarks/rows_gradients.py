"""Gradients, paths and attention beside captum, transformers-interpret and code by hand."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import Call, Duel, Outcome
from benchmarks.rows import ENCODERS, Case, Row
from benchmarks.subjects import Plain, outcome_of

STEPS = 50
"""Captum's default."""


def rows() -> list[Row]:
    return [
        Row("saliency", "saliency", "captum", _saliency),
        Row("input_x_gradient", "input × gradient", "captum", _product),
        Row(
            "ig",
            "IG to 1 % of residual; 50 points with delta",
            "captum",
            _integrated,
            note="each with its default: points until the residual is at most 1 %, and 50 points",
        ),
        Row(
            "ig_same_points",
            "IG, 50 Gauss-Legendre points with delta",
            "captum",
            _integrated_same,
            tokens=(22,),
            threads=(2,),
        ),
        Row(
            "ig_first",
            "IG, first picture; 50 points with delta",
            "captum",
            _first,
            threads=(2,),
            similar="a preview beside the finished scores",
        ),
        Row(
            "ig_package",
            "IG of a classifier",
            "transformers-interpret",
            _package,
            ENCODERS,
            (22,),
            (2,),
            similar="the package gives the last [SEP] token type 1 and divides by the norm of all scores",
        ),
        Row(
            "deeplift",
            "DeepLift",
            "captum",
            _deeplift,
            ENCODERS,
            (22,),
            (2,),
            similar="captum has rules for modules only: products, softmax, layer norms get plain gradients",
        ),
        Row(
            "gradient_shap",
            "Gradient SHAP, one baseline",
            "captum",
            _gradient_shap,
            ENCODERS,
            (22,),
            (2,),
            similar="other random points; ours are stratified and have standard errors",
        ),
        Row(
            "smoothgrad",
            "SmoothGrad",
            "captum",
            _smoothgrad,
            ENCODERS,
            (22,),
            (2,),
            similar="other random noise; ours has standard errors",
        ),
        Row("attention", "attention, last layer; by hand", "", _attention, ENCODERS, (22,), (2,)),
        Row("attention_rollout", "attention rollout; by hand", "", _rollout, ENCODERS, (22,), (2,)),
        Row("attention_x_gradient", "attention × gradient; by hand", "", _chefer, ENCODERS, (22,), (2,)),
    ]


def _scores(attributions: Tensor) -> np.ndarray:
    """[1, inputs, hidden] → the sum over hidden, [inputs]"""
    return attributions[0].sum(-1).detach().numpy()


def _with_delta(attributions: Tensor, delta: Tensor) -> Outcome:
    scores = _scores(attributions)
    return Outcome(scores, {"their residual %": 100 * abs(float(delta.mean())) / np.abs(scores).sum()})


def _saliency(case: Case, text: str) -> Duel:
    from captum.attr import Saliency

    plain = case.subject.plain(text)
    theirs = Saliency(plain.forward)

    def run() -> Outcome:
        gradient = theirs.attribute(plain.embeddings, target=plain.target, abs=False)
        return Outcome(gradient[0].norm(dim=-1).numpy())

    return Duel(case.subject.ours(text, "saliency"), run)


def _product(case: Case, text: str) -> Duel:
    from captum.attr import InputXGradient

    plain = case.subject.plain(text)
    theirs = InputXGradient(plain.forward)
    return Duel(
        case.subject.ours(text, "input_x_gradient"),
        lambda: Outcome(_scores(theirs.attribute(plain.embeddings, target=plain.target))),
    )


def captum_integrated(plain: Plain, **options: Any) -> Call:
    """Captum's integrated gradients as they come, with the delta."""
    from captum.attr import IntegratedGradients

    theirs = IntegratedGradients(plain.forward)

    def run() -> Outcome:
        return _with_delta(
            *theirs.attribute(
                plain.embeddings, plain.nothing, plain.target, return_convergence_delta=True, **options
            )
        )

    return run


def _integrated(case: Case, text: str) -> Duel:
    return Duel(case.subject.ours(text, "integrated_gradients"), captum_integrated(case.subject.plain(text)))


def _integrated_same(case: Case, text: str) -> Duel:
    ours = case.subject.ours(text, "integrated_gradients", rule="gausslegendre", steps=STEPS)
    return Duel(ours, captum_integrated(case.subject.plain(text)))


def _first(case: Case, text: str) -> Duel:
    from attribution.engine import default_engine

    subject, inputs = case.subject, case.subject.count(text)

    def ours() -> Outcome:
        more = {"continuation": subject.next_word} if subject.writes else {}
        stream = default_engine().progress(text, subject.adapter, "integrated_gradients", **more)
        first = next(stream)
        stream.close()
        return outcome_of(first, inputs)

    return Duel(ours, captum_integrated(subject.plain(text)))


def _package(case: Case, text: str) -> Duel:
    from transformers_interpret import SequenceClassificationExplainer

    explainer = SequenceClassificationExplainer(case.subject.model, case.subject.tokenizer)

    def theirs() -> Outcome:
        return Outcome(np.array([score for _, score in explainer(text)]))

    return Duel(case.subject.ours(text, "integrated_gradients", quantity="probability"), theirs)


class _Module(torch.nn.Module):
    """A classifier as a module from embeddings to logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.model(inputs_embeds=embeddings).logits


def _deeplift(case: Case, text: str) -> Duel:
    from captum.attr import DeepLift

    plain = case.subject.plain(text)
    theirs = DeepLift(_Module(copy.deepcopy(case.subject.model)))

    def run() -> Outcome:
        return _with_delta(
            *theirs.attribute(plain.embeddings, plain.nothing, plain.target, return_convergence_delta=True)
        )

    return Duel(case.subject.ours(text, "deeplift"), run)


def _gradient_shap(case: Case, text: str) -> Duel:
    from captum.attr import GradientShap

    plain, copies = case.subject.plain(text), case.effort.copies
    theirs = GradientShap(plain.forward)

    def run() -> Outcome:
        torch.manual_seed(0)
        np.random.seed(0)
        return Outcome(_scores(theirs.attribute(plain.embeddings, plain.nothing, copies, 0.0, plain.target)))

    return Duel(case.subject.ours(text, "gradient_shap", samples=copies, baseline="pad"), run)


def _smoothgrad(case: Case, text: str) -> Duel:
    from captum.attr import NoiseTunnel, Saliency

    plain, copies = case.subject.plain(text), case.effort.copies
    theirs = NoiseTunnel(Saliency(plain.forward))
    spread = 0.02 * float(plain.embeddings.max() - plain.embeddings.min())

    def run() -> Outcome:
        torch.manual_seed(0)
        mean = theirs.attribute(
            plain.embeddings, nt_samples=copies, stdevs=spread, target=plain.target, abs=False
        )
        return Outcome(mean[0].norm(dim=-1).detach().numpy())

    return Duel(case.subject.ours(text, "smoothgrad", samples=copies), run)


class _Eager:
    """By hand: a copy whose attention is computed in the open, made before the clock runs."""

    def __init__(self, case: Case, text: str) -> None:
        self.model = copy.deepcopy(case.subject.model)
        self.model.set_attn_implementation("eager")
        self.inputs = case.subject.tokenizer(text, return_tensors="pt")

    def maps(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits [1, classes], and [1, heads, inputs, inputs] of each layer."""
        answer = self.model(**self.inputs, output_attentions=True)
        return answer.logits, answer.attentions


def _attention(case: Case, text: str) -> Duel:
    eager = _Eager(case, text)

    @torch.no_grad()
    def theirs() -> Outcome:
        return Outcome(eager.maps()[1][-1][0].mean(0)[0].numpy())

    return Duel(case.subject.ours(text, "attention"), theirs)


def _rollout(case: Case, text: str) -> Duel:
    eager = _Eager(case, text)

    @torch.no_grad()
    def theirs() -> Outcome:
        maps = eager.maps()[1]
        product = torch.eye(maps[0].shape[-1])
        for weights in maps:
            product = (0.5 * weights[0].mean(0) + 0.5 * torch.eye(len(product))) @ product
        return Outcome(product[0].numpy())

    return Duel(case.subject.ours(text, "attention_rollout"), theirs)


def _chefer(case: Case, text: str) -> Duel:
    eager = _Eager(case, text)

    def theirs() -> Outcome:
        logits, maps = eager.maps()
        slopes = torch.autograd.grad(logits.max(), maps)
        identity = torch.eye(maps[0].shape[-1])
        relevance = identity
        for weights, slope in zip(maps, slopes, strict=True):
            relevance = relevance + (weights * slope)[0].clamp_min(0).mean(0).detach() @ relevance
        return Outcome((relevance - identity)[0].numpy())

    return Duel(case.subject.ours(text, "attention_x_gradient"), theirs)
