"""Results of captum, shap, LIME and inseq as attributions, and attributions for pandas, shap and
matplotlib."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from attribution import Attribution, Comparison, assess, attribute, export, load
from attribution.errors import BadOption, EmptyInput, InputError, NotFinite
from tests.samples import NAMES, sample

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:shap", "ignore:The set_bad")
"""shap calls matplotlib the old way."""
TEXT = "A warm, funny film."
WORDS = ["[CLS]", "a", "warm", ",", "fun", "##ny", "film", ".", "[SEP]"]
SCORES = [0.0, 0.1, 0.5, -0.1, 0.4, 0.25, -0.3, 0.05, 0.01]


def record(**changes: Any) -> Any:
    from captum.attr._utils.visualization import VisualizationDataRecord

    values = {
        "word_attributions": torch.tensor(SCORES, requires_grad=True),
        "pred_prob": 0.93,
        "pred_class": "positive",
        "true_class": "positive",
        "attr_class": "positive",
        "attr_score": sum(SCORES),
        "raw_input_ids": WORDS,
        "convergence_score": 0.012,
    }
    return VisualizationDataRecord(**values | changes)


def explanation(several: bool = False) -> Any:
    import shap

    tokens = np.array(["", "A ", "warm", ", ", "fun", "ny ", "film", ".", ""], dtype=object)
    values = np.array(SCORES)
    if several:
        names = ["negative", "positive"]
        return shap.Explanation(
            np.stack([-values, values], 1), np.array([0.2, 0.8]), tokens, output_names=names
        )
    # A slice of an explanation of several outputs, as shap returns it for one.
    return shap.Explanation(values[:, None], np.array([0.25]), tokens, output_names=["positive"])[:, 0]


def lime_explanation(bow: bool = True) -> Any:
    from lime.lime_text import LimeTextExplainer

    def answer(texts: list[str]) -> np.ndarray:
        good = np.array([0.5 + 0.2 * ("good" in t) - 0.3 * ("bad" in t) for t in texts])
        return np.stack([1 - good, good], 1)

    explainer = LimeTextExplainer(class_names=["no", "yes"], random_state=0, bow=bow)
    return explainer.explain_instance("A good film, not a bad good one.", answer, num_samples=200)


def inseq_output(encoder_decoder: bool = False) -> Any:
    """What inseq 0.7 returns, field by field: its classes are recognised by name and module."""

    def made(name: str, **fields: Any) -> Any:
        return type(name, (SimpleNamespace,), {"__module__": "inseq.data.attribution"})(**fields)

    def tokens(*names: str) -> list[Any]:
        return [SimpleNamespace(token=name, id=10 + k) for k, name in enumerate(names)]

    nan = float("nan")
    if encoder_decoder:
        sequence = made(
            "FeatureAttributionSequenceOutput",
            source=tokens("▁My", "▁lord", "</s>"),
            target=tokens("<pad>", "▁Mein", "▁Herr"),
            source_attributions=torch.tensor([[0.2, 0.3], [0.5, 0.6], [0.1, 0.0]]),
            target_attributions=torch.tensor([[0.2, 0.05], [nan, 0.05], [nan, nan]]),
            step_scores={},
            attr_pos_start=1,
            attr_pos_end=3,
        )
    else:
        sequence = made(
            "FeatureAttributionSequenceOutput",
            source=tokens("My", "Ġlord"),
            target=tokens("My", "Ġlord", ",", "Ġthe"),
            source_attributions=None,
            target_attributions=torch.tensor([[0.3, 0.1], [0.7, 0.2], [nan, 0.7], [nan, nan]]),
            step_scores={"probability": torch.tensor([0.6, 0.4])},
            attr_pos_start=2,
            attr_pos_end=4,
        )
    info = {"attribution_method": "saliency", "model_name": "gpt2"}
    return made(
        "FeatureAttributionOutput", sequence_attributions=[sequence], step_attributions=None, info=info
    )


def examples() -> dict[str, Attribution]:
    return {
        "words": Attribution.of(TEXT.split(), [0.1, 0.2, 0.3, -0.4], text=TEXT, target="positive"),
        "captum": Attribution.of(record()),
        "shap": Attribution.of(explanation()),
        "shap, two outputs": Attribution.of(explanation(several=True)),
        "lime": Attribution.of(lime_explanation()),
        "inseq": Attribution.of(inseq_output()),
        "inseq, encoder-decoder": Attribution.of(inseq_output(encoder_decoder=True)),
    }


@pytest.fixture(scope="module")
def made() -> dict[str, Attribution]:
    return examples()


NAMES_OF_EXAMPLES = (
    "words",
    "captum",
    "shap",
    "shap, two outputs",
    "lime",
    "inseq",
    "inseq, encoder-decoder",
)


class TestReading:
    def test_captum(self, made: dict[str, Attribution]) -> None:
        result = made["captum"]
        assert (result.text, result.outputs[0].text, result.outputs[0].probability) == (
            "a warm , funny film .",
            "positive",
            0.93,
        )
        assert result.scores.tolist() == [pytest.approx(SCORES)]
        assert result.words().top(2) == [
            (result.words().tokens[4], pytest.approx(0.65)),
            (result.tokens[2], 0.5),
        ]
        assert result.tokens[0].special and result.tokens[-1].special
        assert "0.012" in result.notes[0]

    def test_captum_with_the_text_has_its_spans(self) -> None:
        result = Attribution.of(record(), text=TEXT)
        assert [TEXT[t.start : t.end] for t in result.tokens] == [
            "",
            "A",
            "warm",
            ",",
            "fun",
            "ny",
            "film",
            ".",
            "",
        ]

    def test_captum_explaining_another_class_than_the_predicted_claims_no_probability_for_it(self) -> None:
        result = Attribution.of(record(attr_class="negative"))
        assert (result.outputs[0].text, result.outputs[0].probability) == ("negative", None)
        assert result.prediction.probabilities == (0.93,)

    def test_captum_of_generated_text(self) -> None:
        from captum.attr._core.llm_attr import LLMAttributionResult

        theirs = LLMAttributionResult(
            input_tokens=["My", "Ġlord"],
            output_tokens=["Ġthe", "Ġking"],
            seq_attr=[0.3, 0.9],
            token_attr=[[0.1, 0.2], [0.2, 0.7]],
        )
        result = Attribution.of(theirs)
        assert (result.text, result.prediction.text) == ("My lord", " the king")
        assert [output.text.strip() for output in result.outputs] == ["the", "king"]
        assert result.scores.tolist() == [pytest.approx([0.1, 0.2]), pytest.approx([0.2, 0.7])]

    def test_shap(self, made: dict[str, Attribution]) -> None:
        result = made["shap"]
        assert (result.text, result.method, result.signed) == (TEXT, "shap", True)
        assert result.scores.tolist() == [SCORES]
        assert result.outputs[0].value == pytest.approx(0.25 + sum(SCORES))  # shap's values add up to f(x)
        assert result.residual == (pytest.approx(0, abs=1e-12),)

    def test_shap_of_two_outputs(self, made: dict[str, Attribution]) -> None:
        result = made["shap, two outputs"]
        assert [output.text for output in result.outputs] == ["negative", "positive"]
        assert result.scores[0].tolist() == [-score for score in SCORES]
        assert Attribution.of(explanation(several=True), target="positive").scores.tolist() == [SCORES]

    def test_shap_of_several_texts_is_read_one_by_one(self) -> None:
        import shap

        tokens = [np.array(["a ", "film"], dtype=object), np.array(["one ", "more ", "film"], dtype=object)]
        values = np.array([np.array([0.1, 0.2]), np.array([0.1, 0.2, 0.3])], dtype=object)
        many = shap.Explanation(values, np.array([0.0, 0.5]), tokens)
        with pytest.raises(InputError, match=r"2 texts.*explanation\[0\]"):
            Attribution.of(many)
        assert [Attribution.of(many[k]).text for k in range(2)] == ["a film", "one more film"]
        assert Attribution.of(many[1]).outputs[0].value == pytest.approx(1.1)

    @pytest.mark.parametrize("bow", [True, False])
    def test_lime(self, bow: bool) -> None:
        theirs = lime_explanation(bow)
        result = Attribution.of(theirs)
        assert result.text == "A good film, not a bad good one." and result.outputs[0].text == "yes"
        weights = dict(theirs.as_list())
        sums: dict[str, float] = {}
        for token, score in zip(result.tokens, result.scores[0], strict=True):
            sums[token.text] = sums.get(token.text, 0.0) + score
            assert result.text[token.start : token.end] == token.text
        if bow:
            assert sums == pytest.approx(weights)
        assert result.prediction.labels == ("no", "yes")

    def test_inseq_of_a_decoder(self, made: dict[str, Attribution]) -> None:
        result = made["inseq"]
        assert (result.text, result.prediction.text, result.method) == ("My lord", ", the", "saliency")
        assert [token.segment for token in result.tokens] == ["text", "text", "generated", "generated"]
        assert result.scores.tolist() == [pytest.approx([0.3, 0.7, 0, 0]), pytest.approx([0.1, 0.2, 0.7, 0])]
        assert [output.probability for output in result.outputs] == [pytest.approx(0.6), pytest.approx(0.4)]
        assert [token.id for token in result.tokens] == [10, 11, 12, 13]

    def test_inseq_of_an_encoder_decoder(self, made: dict[str, Attribution]) -> None:
        result = made["inseq, encoder-decoder"]
        assert (result.text, result.prediction.text) == ("My lord", " Mein Herr")
        assert result.scores[1].tolist() == pytest.approx([0.3, 0.6, 0.0, 0.05, 0.0])

    def test_a_pair(self) -> None:
        names = ["[CLS]", "it", "rains", "[SEP]", "it", "is", "wet", "[SEP]"]
        result = Attribution.of(names, np.arange(8.0), text="It rains", second="It is wet")
        assert [token.segment for token in result.tokens] == ["text"] * 4 + ["second"] * 4
        assert [(t.start, t.end) for t in result.tokens[4:7]] == [(0, 2), (3, 5), (6, 9)]

    @pytest.mark.parametrize(
        ("tokens", "text"),
        [
            (["Stra", "##ße", "fine"], "Straße fine"),
            (["i", "##stanbul", "cafe"], "İstanbul café"),
            (["Gre", "at", "Ġfilm", "Ġ", "ĠðŁĺ", "Ģ"], "Great film  😀"),
            (["▁", "好", "电", "影"], "好电影"),
            (["▁un", "believ", "ably", "▁good"], "unbelievably good"),
            (["un", "believ</w>", "good</w>"], "unbeliev good"),
            (["A", "[UNK]", "film"], "A 🦩 film"),
        ],
    )
    def test_tokens_are_placed_whatever_their_tokenizer(self, tokens: list[str], text: str) -> None:
        result = Attribution.of(tokens, np.ones(len(tokens)), text=text)
        covered = {i for token in result.tokens for i in range(token.start, token.end)}
        assert covered == {i for i, character in enumerate(text) if not character.isspace()}

    def test_a_bfloat16_tensor_with_a_gradient(self) -> None:
        scores = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
        assert Attribution.of(["a", "b"], scores).scores.tolist() == [[1.0, 1.0]]

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            (([], []), EmptyInput, "no tokens"),
            ((["a"], [1, 2]), InputError, r"shape \[2\], for 1 tokens"),
            ((["a", "b"], np.ones((2, 8))), InputError, "hidden axis"),
            ((["a"], ["x"]), InputError, "not numbers"),
            ((["a"], [float("nan")]), NotFinite, "NaN"),
            ((["a", 3], [1, 2]), InputError, "A token is 3"),
            (("a film", [1]), InputError, "one text"),
            ((3,), InputError, r"captum's VisualizationDataRecord"),
            (({"a": 1},), InputError, "scores are missing"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, arguments: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Attribution.of(*arguments)

    def test_wrong_details_are_refused(self) -> None:
        with pytest.raises(InputError, match="'film' is not in the rest of the text, 'fine'"):
            Attribution.of(["a", "film"], [1, 2], text="a fine")
        with pytest.raises(BadOption, match="Did you mean 'method'"):
            Attribution.of(["a"], [1], methd="x")  # type: ignore[call-arg]
        with pytest.raises(BadOption, match="names 2 outputs"):
            Attribution.of(["a"], [1], target=["x", "y"])
        with pytest.raises(InputError, match="below 0"):
            Attribution.of(["a"], [-1], signed=False)


@pytest.fixture(scope="module")
def funny() -> Any:
    """A function that looks for two words."""

    def answer(texts: list[str]) -> np.ndarray:
        good = np.array([0.2 + 0.5 * ("funny" in text) + 0.2 * ("warm" in text) for text in texts])
        return np.stack([1 - good, good], 1)

    return load(answer, labels=["negative", "positive"], name="funny")


class TestUse:
    @pytest.mark.parametrize("name", NAMES_OF_EXAMPLES)
    def test_every_format_and_notebooks_take_them(self, made: dict[str, Attribution], name: str) -> None:
        result = made[name]
        for extension in export.list_formats():
            if extension not in ("png", "pdf"):  # drawn from the SVG
                assert export.render(result, extension)
        assert result._repr_html_()
        assert Attribution.from_dict(result.to_dict()) == result
        assert result.normalize().words()

    def test_they_are_compared_with_ours(self, funny: Any) -> None:
        ours = attribute(TEXT, funny, "occlusion")
        theirs = Attribution.of(record(), text=TEXT, method="captum: integrated gradients")
        comparison = Comparison.of(ours, theirs, Attribution.of(record(), text=TEXT, method="shap"))
        assert comparison.names == ("Occlusion", "captum: integrated gradients", "shap")
        agreement = comparison.agreement("kendall").values
        assert agreement[1][2] == 1.0 and agreement[0][1] is not None
        assert [word.text for word in comparison.alignment.words] == ["A", "warm", ",", "funny", "film", "."]
        assert export.render(comparison, "html") and comparison._repr_html_()
        again = Comparison.from_dict(comparison.to_dict())
        assert again.names == comparison.names

    def test_only_attributions_of_one_text_are_compared(self) -> None:
        with pytest.raises(BadOption, match="different texts"):
            Comparison.of(*(Attribution.of([word, "film"], [1, 2]) for word in ("fine", "dull")))
        with pytest.raises(EmptyInput):
            Comparison.of()

    def test_a_model_assesses_them(self, funny: Any) -> None:
        ours = attribute(TEXT, funny, "occlusion", target="positive")
        names = [token.text for token in ours.tokens]
        theirs = Attribution.of(
            names, ours.scores, text=TEXT, target="positive", model=funny, method="other", quantity="logit"
        )
        ranking = assess([ours, theirs], funny, seconds=0).ranking
        assert {entry.method for entry in ranking} == {"occlusion", "other"}
        assert ranking[0].score == ranking[1].score

    def test_what_needs_the_model_says_so(self, funny: Any) -> None:
        result = Attribution.of(TEXT.split(), [1, 2, 3, 4], text=TEXT)
        with pytest.raises(BadOption, match=r"does not name the model.*model="):
            assess([result])
        with pytest.raises(BadOption, match="tokens are not those of the model"):
            assess([result], funny)


class TestFrames:
    def test_of_an_attribution(self) -> None:
        result = sample("sampled")
        frame = result.to_frame()
        assert frame.shape[0] == len(result.tokens) * len(result.outputs)
        assert frame["score"].tolist() == result.scores.ravel().tolist()
        assert frame["token"].tolist()[: len(result.tokens)] == [token.text for token in result.tokens]
        assert set(frame["method"]) == {result.method} and frame["special"].dtype == bool

    def test_of_studies(self) -> None:
        result = sample("english")
        frame = Comparison.of(result, sample("english_unsigned")).to_frame()
        assert set(frame["method"]) == {"integrated_gradients", "saliency"} and "share" in frame


class TestShap:
    @pytest.mark.parametrize("name", ["english", "classes", "pair", "chinese", "zero"])
    def test_there_and_back(self, name: str) -> None:
        import shap

        result = sample(name)
        theirs = result.to_shap()
        assert isinstance(theirs, shap.Explanation)
        back = Attribution.of(theirs)
        assert back.scores.tolist() == result.scores.tolist()
        assert [output.text for output in back.outputs] == [output.text for output in result.outputs]

    def test_its_plots_take_it(self) -> None:
        import shap

        result = sample("english")
        page = shap.plots.text(result.to_shap(), display=False)
        assert "fantastic" in page
        theirs = result.to_shap()
        assert theirs.base_values == result.completeness[0].baseline  # type: ignore[index]
        assert "".join(theirs.data[1:-1]) == result.text


class TestPlot:
    def test_returns_axes_with_a_bar_for_each_word(self) -> None:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot

        result = Attribution.of(["costs", "$x$", "and", "$y$"], [1, -2, 3, 4], target="a $ b", unit="logit")
        axes = result.plot()
        axes.figure.canvas.draw()
        assert [label.get_text() for label in axes.get_yticklabels()] == ["costs", "$x$", "and", "$y$"]
        assert [bar.get_width() for bar in axes.patches] == [1, -2, 3, 4]
        assert axes.get_xlabel() == "logit"
        _, (left, right) = pyplot.subplots(1, 2)
        assert sample("sampled").plot(ax=right, most=2) is right and len(right.patches) == 2
        assert not left.patches
        with pytest.raises(BadOption, match="no output 3"):
            result.plot(output=3)
        pyplot.close("all")


def test_missing_packages_are_named() -> None:
    program = """
import sys
for name in ("pandas", "shap", "matplotlib", "torch", "captum", "inseq", "lime"):
    sys.modules[name] = None
from attribution import Attribution
from attribution.errors import NotInstalled
result = Attribution.of(["a", "film"], [0.5, 1])
for call, name in ((result.to_frame, "pandas"), (result.to_shap, "shap"), (result.plot, "matplotlib")):
    try:
        call()
    except NotInstalled as error:
        assert f"pip install {name}" in str(error), error
    else:
        raise AssertionError(name)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_samples_have_frames() -> None:
    for name in NAMES[:6]:
        assert len(sample(name).to_frame())
