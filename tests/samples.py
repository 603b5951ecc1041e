"""Hand-made attributions without a model or torch, one for each case that pictures and files must handle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attribution.text import words
from attribution.types import Attribution, Completeness, ModelInfo, Output, Prediction, Request, Token

FAMILY = "👩\u200d👩\u200d👧\u200d👦"
TEXTS = {
    "english": "This movie is absolutely fantastic, but the ending wasn't good at all!",
    "arabic": "هذا الفيلم رائع جدا، شاهدته 3 مرات في London أمس!",
    "hebrew": "הסרט הזה נהדר, ראיתי אותו 25 פעמים עם Anna Smith אתמול.",
    "hindi": "यह फ़िल्म बहुत अच्छी है, मैंने इसे क्षत्रिय मित्र के साथ देखा।",
    "chinese": "这部电影非常精彩，我看了三遍 (3D) 都不厌。",
    "thai": "ภาพยนตร์เรื่องนี้ยอดเยี่ยมมาก",
    "russian": "Этот фильм — просто чудо, ёлки-палки!",
    "emoji": f"Great {FAMILY} film 👍🏽 from 🇩🇪 with ❤️ and 1️⃣ tear",
    "script": 'A <script>alert(1)</script> film & "more" ]]> <!-- x -->',
    "template": "costs ${x} or ${alert(1)} `y` {{z}}",
    "formula": "=cmd|'/c calc'!A0 +1 -2 @SUM(A1) ＝x '=y",
    "one": "Great",
    "lines": "First line\nsecond line\r\n\tthird   line",
    "unbroken": "a" * 300,
    "control": "a\ufffeb \x7f\u0085 \u202eabc\u202c \u200b x\u0301\u0302\u0303",
}
KINDS = (
    "pair",
    "contrast",
    "classes",
    "regression",
    "similarity",
    "labelled",
    "masked",
    "question",
    "sampled",
    "noise",
    "sequence",
)
NAMES = ("english_unsigned", "zero", "long", "causal", "seq2seq", "pieces", *KINDS, *TEXTS)


def classification(text: str, signed: bool = True, scores: Sequence[float] | None = None) -> Attribution:
    """One token per word between ``[CLS]`` and ``[SEP]``; scores of varying sign and size; residual 0.01."""
    spans = words(text)
    inner = [Token(text[a:b], 100 + i, a, b, word=i) for i, (a, b) in enumerate(spans)]
    tokens = (
        Token("[CLS]", 1, 0, 0, special=True),
        *inner,
        Token("[SEP]", 2, len(text), len(text), special=True),
    )
    return attribution(text, tokens, signed, scores)


def attribution(
    text: str, tokens: tuple[Token, ...], signed: bool = True, scores: Sequence[float] | None = None
) -> Attribution:
    row = np.array(
        [math.sin(1.7 * i + 0.9) * (1 + i % 3) / 3 for i in range(len(tokens))] if scores is None else scores
    )
    row = row if signed else np.abs(row)
    total = float(row.sum())
    return Attribution(
        request=Request(
            text, "tiny", "integrated_gradients" if signed else "saliency", options=(("steps", 32),)
        ),
        model=ModelInfo(
            "bundled/sst2-minilm", None, "Bert", "classification", ("negative", "positive"), 1000
        ),
        text=text,
        tokens=tokens,
        outputs=(Output("positive", 1, 2.5, 0.93),),
        scores=row[None],
        prediction=Prediction(("negative", "positive"), (-0.1, 2.5), (0.07, 0.93)),
        signed=signed,
        unit="logit" if signed else "logit per unit of embedding",
        completeness=(Completeness(2.5, 2.49 - total, 0.01),) if signed else None,
        notes=("The baseline is the padding token.",),
        seconds=0.02,
        versions=(("torch", "2.13.0"), ("transformers", "5.23.0")),
    )


def generation(text: str, generated: Sequence[str], task: str) -> Attribution:
    """One row per generated token, 0 for later tokens. The last token, an end mark, has an empty span."""
    inner = [Token(text[a:b], 100 + i, a, b, word=i) for i, (a, b) in enumerate(words(text))]
    written, prefix, outputs = "", [], []
    for i, piece in enumerate(generated):
        start = len(written) + (piece.startswith(" ") and len(piece) > 1)
        written += piece
        prefix.append(Token(piece, 500 + i, start, len(written), word=i, segment="generated"))
        outputs.append(Output(piece, 500 + i, 3.0 - i / 4, 0.9 / (i + 1), start, len(written)))
    outputs.append(Output("</s>", 2, 1.0, 0.5, len(written), len(written)))
    tokens = (*inner, *prefix)
    scores = np.zeros((len(outputs), len(tokens)))
    for i in range(len(outputs)):
        for j in range(len(inner) + i):
            scores[i, j] = math.cos(1.3 * i + 0.7 * j)
    return Attribution(
        request=Request(text, "tiny", "input_x_gradient", quantity="log_probability", task=task),
        model=ModelInfo("bundled/shakespeare-gpt2", "0123456789abcdef", "Tiny", task, (), 1000),  # type: ignore[arg-type]
        text=text,
        tokens=tokens,
        outputs=tuple(outputs),
        scores=scores,
        prediction=Prediction(
            *zip(*((o.text, o.value, o.probability) for o in outputs), strict=True), text=written
        ),
        signed=True,
        unit="log-probability",
    )


def pieces() -> Attribution:
    """Subwords, a word cut inside an Arabic ligature, an emoji in three tokens, a token without a span."""
    text = f"unbelievably مرحبا {FAMILY}!"
    tokens = (
        Token("<s>", 0, 0, 0, special=True),
        Token("un", 1, 0, 2, word=0),
        Token("believ", 2, 2, 8, word=0),
        Token("ably", 3, 8, 12, word=0),
        Token("مر", 4, 13, 15, word=1),
        Token("حبا", 5, 15, 18, word=1),
        Token("▁", 6, 19, 19, word=None),
        *(Token(f"<0x{k}>", 7 + k, 19, 26, word=2) for k in range(3)),
        Token("!", 11, 26, 27, word=3),
        Token("▁", 12, 27, 27, word=None),
    )
    return attribution(
        text, tokens, scores=[0.1, 0.2, 0.5, -0.3, 0.4, -0.1, 0.25, 0.25, 0.25, 0.25, -0.5, -0.25]
    )


def kind(name: str) -> Attribution:
    """One of ``KINDS``: a plain classification, changed for a task or for errors of a method."""
    first, second = TEXTS["english"], f"هذا الفيلم\nwas {FAMILY} fun"
    result = classification(first)
    alone = {"regression": ("rating", 0.83), "similarity": ("similarity", 0.725)}
    if name in alone:
        label, value = alone[name]
        result = _pair(first, second) if name == "similarity" else result
        output = Output(label, 0, value, None)
        model = replace(
            result.model, task="similarity" if name == "similarity" else "classification", labels=(label,)
        )
        return replace(result, model=model, outputs=(output,), prediction=Prediction((label,), (value,), ()))
    if name == "pair":
        return _pair(first, second)
    if name == "contrast":
        outputs = (replace(result.outputs[0], contrast="negative"),)
        return replace(
            result,
            outputs=outputs,
            request=replace(result.request, target="positive", contrast="negative"),
        )
    if name == "classes":
        return _rows(
            result, Output("joy", 0, -0.4, 0.4), Output("anger", 1, 2.1, 0.89), Output("fear", 2, -0.2, 0.45)
        )
    if name == "labelled":
        result = _rows(
            result, Output("This: B", 0, 2.0, 0.9, position=1), Output("movie: I", 1, 1.0, 0.6, position=2)
        )
        return replace(result, model=replace(result.model, task="token_classification", labels=("B", "I")))
    if name == "masked":
        tokens = tuple(
            replace(t, text="<mask>", special=True, end=t.start, word=None) if i == 2 else t
            for i, t in enumerate(result.tokens)
        )
        result = replace(_rows(result, Output("film", 7, 2.0, 0.6, position=2)), tokens=tokens)
        prediction = Prediction(("film", "book"), (2.0, 1.0), (0.6, 0.2))
        return replace(result, model=replace(result.model, task="masked", labels=()), prediction=prediction)
    if name == "question":
        pair = _pair("What was fun?", "The film was fun, the book was not.")
        place = next(i for i, token in enumerate(pair.tokens) if token.text == "film")
        ends = (
            Output("start: film", place, 3.0, 0.8, position=place),
            Output("end: film", place, 2.0, 0.7, position=place),
        )
        prediction = Prediction(("start: film", "end: film"), (3.0, 2.0), (0.8, 0.7), "film")
        return replace(
            _rows(pair, *ends),
            model=replace(pair.model, task="question_answering", labels=()),
            prediction=prediction,
        )
    if name == "sequence":
        result = generation("To be, or not", [" to", " be", ",", " that", " is"], "causal")
        sequence = Output(result.prediction.text or "", -1, 12.0, 0.001, 0, len(result.prediction.text or ""))
        return replace(result, outputs=(sequence,), scores=np.cos(np.arange(len(result.tokens)))[None])
    # Sampled: every third score is not distinguishable from 0; in noise all are not.
    errors = np.array([abs(s) * (0.1 if i % 3 else 1.0) + 0.01 for i, s in enumerate(result.scores[0])])[None]
    scores = result.scores if name == "sampled" else result.scores * 0.01
    return replace(
        result, scores=scores, errors=errors, fit=(0.83,) if name == "sampled" else (0.2,), completeness=None
    )


def _pair(text: str, second: str) -> Attribution:
    """``[CLS] text [SEP] second [SEP]``, with offsets that count in each text."""
    first = classification(text)
    inner = tuple(
        Token(second[a:b], 300 + i, a, b, word=i, segment="second") for i, (a, b) in enumerate(words(second))
    )
    end = Token("[SEP]", 2, len(second), len(second), special=True, segment="second")
    result = attribution(text, (*first.tokens, *inner, end))
    return replace(result, request=replace(result.request, second=second))


def _rows(result: Attribution, *outputs: Output) -> Attribution:
    """The same with these outputs, each with its own row."""
    scores = np.stack([np.roll(result.scores[0], k) * (k + 1) for k in range(len(outputs))])
    labels, values, chances = zip(*((o.text, o.value, o.probability) for o in outputs), strict=True)
    return replace(
        result,
        outputs=outputs,
        scores=scores,
        prediction=Prediction(labels, values, chances),
        completeness=None,
    )


def methods(text: str = TEXTS["english"]) -> tuple[Attribution, ...]:
    """One prediction by four methods: two signed in one unit (one sampled), two unsigned in other units."""
    signed, strengths = classification(text), classification(text, signed=False)
    occlusion = replace(
        signed, scores=np.roll(signed.scores, 1) * 3, completeness=None, request=_by(signed, "occlusion")
    )
    errors = np.where(np.arange(len(signed.tokens)) % 3, 0.1, 1.0)[None] * np.abs(signed.scores) + 0.01
    attention = replace(
        strengths,
        scores=np.roll(strengths.scores, 2) / 5,
        unit="attention",
        request=_by(strengths, "attention"),
    )
    return signed, replace(occlusion, errors=errors), strengths, attention


def _by(result: Attribution, method: str) -> Request:
    return replace(result.request, method=method, options=())


def text_of(result: Attribution) -> str:
    """All texts that a picture must draw; an answer is in a sentence instead."""
    return (
        result.text
        + result.second
        + (result.prediction.text or "" if result.model.task in ("causal", "seq2seq") else "")
    )


def sample(name: str) -> Attribution:
    """One of ``NAMES``."""
    if name == "english_unsigned":
        return classification(TEXTS["english"], signed=False)
    if name == "zero":
        return classification(TEXTS["english"], scores=[0.0] * (len(words(TEXTS["english"])) + 2))
    if name == "long":
        return classification(" ".join(f"word{i}" for i in range(400)))
    if name == "causal":
        return generation("To be, or not", [" to", " be", ",", " that", " is"], "causal")
    if name == "seq2seq":
        return generation("the 3rd of March, 1987", ["1987", "-", "03", "-", "03"], "seq2seq")
    if name in KINDS:
        return kind(name)
    return pieces() if name == "pieces" else classification(TEXTS[name])
