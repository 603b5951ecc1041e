"""One text by several methods and models: words across tokenizers, disagreements, differences, the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from attribution import Client, Comparison, attribute, compare, errors, load
from attribution import text as texts
from attribution.engine import default_engine
from attribution.errors import AttributionError
from attribution.models.adapter import Adapter
from attribution.settings import DEFAULTS
from attribution.studies.agreement import MEASURES
from attribution.studies.alignment import aligned
from attribution.studies.comparison import steps
from attribution.types import Attribution, Token
from tests.samples import classification, generation

TEXT = "the movie was not good, but it was fine!"


def by_hand(
    method: str, scores: list[float], signed: bool = True, text: str = "not a good film"
) -> Attribution:
    result = classification(text, signed, [0.0, *scores, 0.0])
    return replace(result, request=replace(result.request, method=method))


def comparison(*results: Attribution | AttributionError | None, text: str = "not a good film") -> Comparison:
    names = [one.method if isinstance(one, Attribution) else "lime" for one in results]
    return Comparison(text, ("bundled/sst2-minilm",), tuple(names), results)


# ------------------------------------------------------------------------------------------------------------------
# words


class TestAlignment:
    def test_every_tokenizers_scores_add_up_over_the_same_words(self, tiny: dict[str, Adapter]) -> None:
        models = [tiny["bert"], tiny["gpt2-classifier"]]
        results = [attribute(TEXT, model, "input_x_gradient") for model in models]
        found = aligned(results)
        assert [word.text for word in found.words] == [TEXT[a:b] for a, b in texts.words(TEXT)]
        assert len(results[1].tokens) > 2 * len(found.words)
        for row, result in zip(found.scores, results, strict=True):
            expected = [0.0] * len(found.words)
            for token, score in zip(result.tokens, result.scores[0], strict=True):
                if token.word is not None:
                    expected[token.word] += score
            assert row == pytest.approx(expected)
        # As in the picture: a share is of all absolute scores, also those of special tokens and of bytes that
        # are spaces.
        assert found.totals == pytest.approx([np.abs(result.words().scores[0]).sum() for result in results])
        assert (np.abs(found.shares).sum(axis=1) < 1).all()

    def test_a_word_that_a_tokenizer_does_not_see_is_missing(self) -> None:
        text = "so good ☃ film"
        whole = classification(text, scores=[0, 1, 2, 3, 4, 0])
        blind = replace(
            whole,
            tokens=tuple(t for t in whole.tokens if t.text != "☃"),
            scores=np.delete(whole.scores, 3, axis=1),
        )
        found = aligned([whole, blind, None])
        assert [word.text for word in found.words] == ["so", "good", "☃", "film"]
        assert found.scores[0].tolist() == [1, 2, 3, 4]
        assert np.isnan(found.scores[1]).tolist() == [False, False, True, False]
        assert np.isnan(found.scores[2]).all()
        assert found.totals.tolist() == [10, 7, 0]

    def test_a_mark_without_letters_goes_to_the_word_that_follows(self) -> None:
        result = classification("a b", scores=[0, 1, 2, 0])
        tokens = (Token("▁", 5, 0, 0, word=None), *result.tokens[1:3])
        result = replace(result, tokens=tokens, scores=np.array([[0.5, 1, 2]]))
        assert aligned([result]).scores.tolist() == [[1.5, 2]]

    def test_what_comes_after_an_output_is_not_compared(self) -> None:
        result = generation("to be", [" or", " not", " so"], "causal")
        outputs = tuple(replace(output, position=i) for i, output in enumerate(result.outputs))
        result = replace(result, outputs=outputs)
        assert [word.text for word in aligned([result], 0).words] == ["to", "be"]
        assert [word.text for word in aligned([result], 2).words] == ["to", "be", "or", "not"]

    def test_scores_of_an_output_that_is_not_there_are_missing(self) -> None:
        assert aligned([by_hand("lime", [1, 2, 3, 4])], output=1).words == ()


# ----------------------------------------------------------------------------------------------------------------
# results


class TestComparison:
    def test_each_pair_is_what_attribute_gives(self, tiny: dict[str, Adapter]) -> None:
        models = [tiny["bert"], tiny["gpt2-classifier"]]
        found = compare(TEXT, models, ["saliency", "gradient_x_input"], target=1)
        assert found.methods == ("saliency", "input_x_gradient")
        assert found.models == ("tiny/bert", "tiny/gpt2-classifier")
        assert found.names[1] == "bert · Input × gradient"
        expected = [attribute(TEXT, model, method, 1) for model in models for method in found.methods]
        assert [one.scores.tolist() for one in found.attributions] == [
            one.scores.tolist() for one in expected
        ]
        assert found.finished
        for measure in MEASURES:
            assert found.agreement(measure).values[2][2] == pytest.approx(1)

    def test_an_error_stands_in_its_place_and_the_others_are_there(self, tiny: dict[str, Adapter]) -> None:
        plain = load(
            lambda rows: np.array([[0.1 * len(row), 1 - 0.1 * len(row)] for row in rows]), labels=("a", "b")
        )
        found = compare("so good", [tiny["bert"], plain, "no-such-model"], ["saliency", "occlusion"])
        kinds = [type(one).__name__ for one in found.attributions]
        assert kinds == [
            "Attribution",
            "Attribution",
            "Unsupported",
            "Attribution",
            "UnknownModel",
            "UnknownModel",
        ]
        assert found.agreement().values[0][2] is None
        assert found.agreement("overlap").values[0][1] is not None
        with pytest.raises(errors.Unsupported, match="needs the model's gradients"):
            found.difference(0, 2)

    def test_where_all_fail_alike_the_error_is_raised(self, tiny: dict[str, Adapter]) -> None:
        with pytest.raises(errors.UnknownTarget, match="no label 'happy'"):
            compare(TEXT, tiny["bert"], ["saliency", "occlusion"], "happy")
        with pytest.raises(errors.EmptyInput):
            compare(" ", tiny["bert"])

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"models": []}, "nothing to compare"),
            ({"methods": []}, "nothing to compare"),
            ({"output": -1}, "output is '-1'"),
            ({"options": {"lime": {"samples": 20}}}, "options for 'lime', which is not among"),
        ],
    )
    def test_what_cannot_be_compared_is_said(
        self, tiny: dict[str, Adapter], wrong: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(errors.BadOption, match=message):
            compare(TEXT, **{"models": tiny["bert"], "methods": ["saliency"], **wrong})

    def test_options_belong_to_their_method(self, tiny: dict[str, Adapter]) -> None:
        found = compare(TEXT, tiny["bert"], ["lime", "occlusion"], options={"lime": {"samples": 40}})
        assert dict(found.attributions[0].request.options)["samples"] == 40

    def test_it_grows_row_by_row_until_nobody_wants_it(self, tiny: dict[str, Adapter]) -> None:
        asked: tuple[Any, ...] = (default_engine(), TEXT, tiny["bert"], ["saliency", "occlusion", "lime"])
        grown = [[one is not None for one in step.attributions] for step in steps(*asked)]
        assert grown == [[True, False, False], [True, True, False], [True, True, True]]
        seen: list[Comparison] = []
        stopped = steps(*asked, cancelled=lambda: bool(seen))
        seen.append(next(stopped))
        with pytest.raises(errors.Cancelled):
            next(stopped)

    def test_models_that_explain_different_answers_say_so(self) -> None:
        one, other = by_hand("lime", [1, 2, 3, 4]), by_hand("lime", [4, 3, 2, 1])
        other = replace(other, outputs=(replace(other.outputs[0], text="NEGATIVE"),))
        found = Comparison("not a good film", ("o/one", "o/two"), ("lime",), (one, other))
        assert found.notes == (
            "Different answers are explained: one ‘positive’, two ‘NEGATIVE’. A positive score supports a different answer in each.",
        )
        assert Comparison("not a good film", ("o/one", "o/two"), ("lime",), (one, one)).notes == ()

    def test_which_of_several_outputs_is_compared_is_said(self, tiny: dict[str, Adapter]) -> None:
        found = compare(TEXT, tiny["bert"], ["saliency", "occlusion"], "*", output=1)
        assert found.notes == ("Drawn and compared is output 2 of 2, ‘positive’.",)
        assert found.alignment.scores[0] == pytest.approx(
            compare(TEXT, tiny["bert"], "saliency", 1).alignment.scores[0]
        )

    def test_it_is_read_back_as_it_was_written(self) -> None:
        found = comparison(
            by_hand("occlusion", [4, 3, 2, 1]), errors.TooLong("Too long.", "Shorten it."), None
        )
        again = Comparison.from_dict(found.to_dict())
        assert again.to_dict() == found.to_dict()
        assert (
            isinstance(again.attributions[1], errors.TooLong) and again.attributions[1].hint == "Shorten it."
        )
        assert not again.finished
        for broken in (
            {},
            {"schema": "attribution/1"},
            {**found.to_dict(), "methods": []},
            {**found.to_dict(), "attributions": 1},
        ):
            with pytest.raises(errors.BadFile):
                Comparison.from_dict(broken)


class TestDisagreements:
    def test_the_word_is_named_with_who_says_what(self) -> None:
        found = comparison(
            by_hand("occlusion", [4, 1, 2, 3]), by_hand("attention", [1, 2, 3, 4], signed=False)
        )
        (one,) = found.disagreements()
        assert one.word.text == "not" and not one.opposite and one.spread == 3
        assert [(o.name, o.rank, o.of) for o in one.opinions] == [("Occlusion", 1, 4), ("Attention", 4, 4)]
        assert one.sentence == "‘not’: rank 1 of 4 for Occlusion, rank 4 for Attention."

    def test_opposite_signs_come_first(self) -> None:
        found = comparison(by_hand("occlusion", [-4, 9, 3, 1]), by_hand("input_x_gradient", [5, 1, 3, 6]))
        first = found.disagreements()[0]
        assert first.word.text in ("a", "not")
        opposed = [one for one in found.disagreements(9) if one.opposite]
        assert [one.word.text for one in opposed] == []  # "not" is no row's strongest word
        found = comparison(by_hand("occlusion", [-9, 4, 3, 1]), by_hand("input_x_gradient", [5, 1, 3, 6]))
        first = found.disagreements()[0]
        assert first.word.text == "not" and first.opposite
        assert first.sentence.endswith(
            "; for the answer according to Input × gradient, against it according to Occlusion."
        )

    def test_a_sign_that_is_noise_contradicts_nobody(self) -> None:
        sure, sampled = by_hand("occlusion", [-9, 4, 3, 1]), by_hand("lime", [9, 4, 3, 1])
        assert comparison(sure, sampled).disagreements()[0].opposite
        unsure = replace(sampled, errors=np.full(sampled.scores.shape, 5.0))
        assert comparison(sure, unsure).disagreements() == ()
        tiny = by_hand("lime", [0.5, 40, 3, 1])
        assert not any(one.opposite for one in comparison(sure, tiny).disagreements())

    def test_those_who_agree_disagree_on_nothing(self) -> None:
        assert (
            comparison(
                by_hand("occlusion", [4, 3, 2, 1]), by_hand("saliency", [8, 6, 4, 2], signed=False)
            ).disagreements()
            == ()
        )
        assert comparison(by_hand("occlusion", [4, 3, 2, 1]), None).disagreements() == ()


class TestDifference:
    def test_shares_are_subtracted(self) -> None:
        found = comparison(by_hand("occlusion", [4, -3, 2, 1]), by_hand("lime", [1, 1, 1, -1])).difference(
            0, 1
        )
        assert found.names == ("Occlusion", "LIME") and not found.absolute
        assert found.values == pytest.approx([0.4 - 0.25, -0.3 - 0.25, 0.2 - 0.25, 0.1 + 0.25])

    def test_without_signs_on_one_side_sizes_are_subtracted(self) -> None:
        found = comparison(
            by_hand("occlusion", [4, -3, 2, 1]), by_hand("saliency", [1, 1, 1, 1], signed=False)
        ).difference(0, 1)
        assert found.absolute
        assert found.values == pytest.approx([0.15, 0.05, -0.05, -0.15])

    def test_what_one_side_does_not_see_has_none(self) -> None:
        whole = by_hand("occlusion", [4, 3, 2, 1])
        blind = replace(whole, tokens=whole.tokens[:-2], scores=whole.scores[:, :-2])
        assert comparison(whole, blind).difference(0, 1).values[-1] is None

    def test_only_finished_ones_differ(self) -> None:
        found = comparison(by_hand("occlusion", [4, 3, 2, 1]), None)
        for place in (1, 2, -1):
            with pytest.raises(errors.BadOption):
                found.difference(0, place)


# ---------------------------------------------------------------------------------------------------------------
# the wire


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


class TestWire:
    def test_the_client_gives_what_the_library_gives(self, url: str) -> None:
        asked: dict[str, Any] = {
            "methods": ["saliency", "occlusion", "no-such"],
            "target": "negative",
            "quantity": "probability",
        }
        client = Client(url)
        found, here = client.compare(TEXT, **asked), compare(TEXT, **asked)
        client.close()
        assert found.names == here.names == ("Saliency", "Occlusion", "no-such")
        for one, other in zip(found.results[:2], here.results[:2], strict=True):
            assert one.scores == pytest.approx(other.scores, abs=1e-6)
        assert isinstance(found.attributions[2], errors.UnknownMethod)
        assert found.agreement() == here.agreement()
        assert [one.sentence for one in found.disagreements()] == [
            one.sentence for one in here.disagreements()
        ]

    def test_rest_says_the_same_flatly(self, http: httpx.Client) -> None:
        body = {"text": TEXT, "methods": ["saliency", "occlusion", "no-such"]}
        answer = http.post("/api/compare", json=body).json()
        assert answer["names"] == ["Saliency", "Occlusion", "no-such"]
        assert answer["attributions"][0]["prediction"]["label"] in ("negative", "positive")
        assert answer["attributions"][2]["error"] == "UnknownMethod"
        here = compare(TEXT, methods=body["methods"])
        for measure in MEASURES:
            assert answer["agreement"][measure]["values"][0][:2] == pytest.approx(
                list(here.agreement(measure).values[0][:2])
            )
            assert answer["agreement"][measure]["values"][2] == [None] * 3
        assert [one["sentence"] for one in answer["disagreements"]] == [
            one.sentence for one in here.disagreements()
        ]

    @pytest.mark.parametrize(
        ("body", "kind", "message"),
        [
            ({"methods": ["saliency"] * 7}, "BadOption", "There are 7 methods. This server takes 1 to 6"),
            (
                {"models": ["bundled/sst2-minilm"] * 5},
                "BadOption",
                "There are 5 models. This server takes 1 to 4",
            ),
            ({"models": []}, "BadOption", "0 models"),
            ({"methods": "saliency"}, "BadOption", "methods is 'saliency'"),
            ({"methods": [1]}, "BadOption", "must be a list of strings"),
            ({"method": "lime"}, "BadOption", "no field 'method'. Did you mean 'methods'"),
            ({"options": {"lime": 3}, "methods": ["lime"]}, "BadOption", "options"),
            ({"output": "first"}, "BadOption", "output is 'first'"),
            ({"task": 3}, "BadOption", "task is a int"),
            ({"text": " "}, "EmptyInput", "no text"),
            ({"text": 3}, "InputError", "text is a int"),
        ],
    )
    def test_what_is_not_taken_is_refused_in_words(
        self, http: httpx.Client, body: dict[str, Any], kind: str, message: str
    ) -> None:
        answer = http.post("/api/compare", json={"text": TEXT, **body})
        assert answer.status_code == 422 and answer.json()["error"] == kind
        assert message in f"{answer.json()['message']} {answer.json()['hint']}"

    def test_the_limits_stand_in_the_schema(self, http: httpx.Client) -> None:
        described = http.get("/openapi.json").json()["paths"]["/api/compare"]["post"]
        fields = described["requestBody"]["content"]["application/json"]["schema"]["properties"]
        assert fields["methods"]["maxItems"] == DEFAULTS.compared_methods == 6
        assert fields["models"]["maxItems"] == DEFAULTS.compared_models == 4
        assert "method" not in fields
