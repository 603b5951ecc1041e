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
from attribution.studies.alignment import align
from attribution.studies.comparison import compare_steps
from attribution.types import Attribution, Token
from tests.samples import classification, generation

TEXT = "the movie was not good, but it was fine!"


def by_hand(
    method: str, scores: list[float], signed: bool = True, text: str = "not a good film"
) -> Attribution:
    result = classification(text, signed, [0.0, *scores, 0.0])
    return replace(result, request=replace(result.request, method=method))


def comparison(*results: Attribution | AttributionError | None, text: str = "not a good film") -> Comparison:
    names = [entry.method if isinstance(entry, Attribution) else "lime" for entry in results]
    return Comparison(text, ("bundled/sst2-minilm",), tuple(names), results)


# ------------------------------------------------------------------------------------------------------------
# words


class TestAlignment:
    def test_every_tokenizers_scores_add_up_over_the_same_words(self, tiny: dict[str, Adapter]) -> None:
        models = [tiny["bert"], tiny["gpt2-classifier"]]
        results = [attribute(TEXT, model, "input_x_gradient") for model in models]
        alignment = align(results)
        assert [word.text for word in alignment.words] == [TEXT[a:b] for a, b in texts.words(TEXT)]
        assert len(results[1].tokens) > 2 * len(alignment.words)
        for row, result in zip(alignment.scores, results, strict=True):
            expected = [0.0] * len(alignment.words)
            for token, score in zip(result.tokens, result.scores[0], strict=True):
                if token.word is not None:
                    expected[token.word] += score
            assert row == pytest.approx(expected)
        # As in the picture: a share is of all absolute scores, also those of special tokens.
        assert alignment.totals == pytest.approx(
            [np.abs(result.words().scores[0]).sum() for result in results]
        )
        assert np.abs(alignment.shares).sum(axis=1)[0] < 1

    def test_a_word_that_a_tokenizer_does_not_see_is_missing(self) -> None:
        text = "so good ☃ film"
        complete = classification(text, scores=[0, 1, 2, 3, 4, 0])
        blind = replace(
            complete,
            tokens=tuple(t for t in complete.tokens if t.text != "☃"),
            scores=np.delete(complete.scores, 3, axis=1),
        )
        alignment = align([complete, blind, None])
        assert [word.text for word in alignment.words] == ["so", "good", "☃", "film"]
        assert alignment.scores[0].tolist() == [1, 2, 3, 4]
        assert np.isnan(alignment.scores[1]).tolist() == [False, False, True, False]
        assert np.isnan(alignment.scores[2]).all()
        assert alignment.totals.tolist() == [10, 7, 0]

    def test_a_mark_without_letters_goes_to_the_word_that_follows(self) -> None:
        result = classification("a b", scores=[0, 1, 2, 0])
        tokens = (Token("▁", 5, 0, 0, word=None), *result.tokens[1:3])
        result = replace(result, tokens=tokens, scores=np.array([[0.5, 1, 2]]))
        assert align([result]).scores.tolist() == [[1.5, 2]]

    def test_what_comes_after_an_output_is_not_compared(self) -> None:
        result = generation("to be", [" or", " not", " so"], "causal")
        outputs = tuple(replace(output, position=i) for i, output in enumerate(result.outputs))
        result = replace(result, outputs=outputs)
        assert [word.text for word in align([result], 0).words] == ["to", "be"]
        assert [word.text for word in align([result], 2).words] == ["to", "be", "or", "not"]

    def test_scores_of_an_output_that_is_not_there_are_missing(self) -> None:
        assert align([by_hand("lime", [1, 2, 3, 4])], output=1).words == ()


# ------------------------------------------------------------------------------------------------------------
# results


class TestComparison:
    def test_each_pair_is_what_attribute_gives(self, tiny: dict[str, Adapter]) -> None:
        models = [tiny["bert"], tiny["gpt2-classifier"]]
        result = compare(TEXT, models, ["saliency", "gradient_x_input"], target=1)
        assert result.methods == ("saliency", "input_x_gradient")
        assert result.models == ("tiny/bert", "tiny/gpt2-classifier")
        assert result.names[1] == "bert · Input × gradient"
        expected = [attribute(TEXT, model, method, 1) for model in models for method in result.methods]
        assert [entry.scores.tolist() for entry in result.attributions] == [
            entry.scores.tolist() for entry in expected
        ]
        assert result.finished
        for measure in MEASURES:
            assert result.agreement(measure).values[2][2] == pytest.approx(1)

    def test_an_error_stands_in_its_place_and_the_others_are_there(self, tiny: dict[str, Adapter]) -> None:
        plain = load(
            lambda rows: np.array([[0.1 * len(row), 1 - 0.1 * len(row)] for row in rows]), labels=("a", "b")
        )
        result = compare("so good", [tiny["bert"], plain, "no-such-model"], ["saliency", "occlusion"])
        kinds = [type(entry).__name__ for entry in result.attributions]
        assert kinds == [
            "Attribution",
            "Attribution",
            "Unsupported",
            "Attribution",
            "UnknownModel",
            "UnknownModel",
        ]
        assert result.agreement().values[0][2] is None
        assert result.agreement("overlap").values[0][1] is not None
        with pytest.raises(errors.Unsupported, match="needs the model's gradients"):
            result.difference(0, 2)

    def test_where_all_fail_alike_the_error_is_raised(self, tiny: dict[str, Adapter]) -> None:
        with pytest.raises(errors.UnknownTarget, match="no label 'happy'"):
            compare(TEXT, tiny["bert"], ["saliency", "occlusion"], "happy")
        with pytest.raises(errors.EmptyInput):
            compare(" ", tiny["bert"])

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"models": []}, "models is empty"),
            ({"methods": []}, "methods is empty"),
            ({"output": -1}, "output is -1"),
            ({"options": {"lime": {"samples": 20}}}, "options for 'lime', which is not among"),
        ],
    )
    def test_what_cannot_be_compared_is_refused(
        self, tiny: dict[str, Adapter], wrong: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(errors.BadOption, match=message):
            compare(TEXT, **{"models": tiny["bert"], "methods": ["saliency"], **wrong})

    def test_options_belong_to_their_method(self, tiny: dict[str, Adapter]) -> None:
        result = compare(TEXT, tiny["bert"], ["lime", "occlusion"], options={"lime": {"samples": 40}})
        assert dict(result.attributions[0].request.options)["samples"] == 40

    def test_it_grows_row_by_row_until_nobody_wants_it(self, tiny: dict[str, Adapter]) -> None:
        arguments: tuple[Any, ...] = (default_engine(), TEXT, tiny["bert"], ["saliency", "occlusion", "lime"])
        grown = [[entry is not None for entry in step.attributions] for step in compare_steps(*arguments)]
        assert grown == [[True, False, False], [True, True, False], [True, True, True]]
        seen: list[Comparison] = []
        stopped = compare_steps(*arguments, cancelled=lambda: bool(seen))
        seen.append(next(stopped))
        with pytest.raises(errors.Cancelled):
            next(stopped)

    def test_models_that_explain_different_answers_say_so(self) -> None:
        first, second = by_hand("lime", [1, 2, 3, 4]), by_hand("lime", [4, 3, 2, 1])
        second = replace(second, outputs=(replace(second.outputs[0], text="NEGATIVE"),))
        result = Comparison("not a good film", ("o/one", "o/two"), ("lime",), (first, second))
        assert result.notes == (
            "Different answers are explained: one ‘positive’, two ‘NEGATIVE’. A positive score supports a "
            "different answer in each.",
        )
        assert Comparison("not a good film", ("o/one", "o/two"), ("lime",), (first, first)).notes == ()

    def test_notes_name_the_compared_output_of_several(self, tiny: dict[str, Adapter]) -> None:
        result = compare(TEXT, tiny["bert"], ["saliency", "occlusion"], "*", output=1)
        assert result.notes == ("Shown and compared is output 2 of 2, ‘positive’.",)
        assert result.alignment.scores[0] == pytest.approx(
            compare(TEXT, tiny["bert"], "saliency", 1).alignment.scores[0]
        )

    def test_it_is_read_back_as_it_was_written(self) -> None:
        result = comparison(
            by_hand("occlusion", [4, 3, 2, 1]), errors.TooLong("Too long.", "Shorten it."), None
        )
        restored = Comparison.from_dict(result.to_dict())
        assert restored.to_dict() == result.to_dict()
        assert (
            isinstance(restored.attributions[1], errors.TooLong)
            and restored.attributions[1].hint == "Shorten it."
        )
        assert not restored.finished
        for broken in (
            {},
            {"schema": "attribution/1"},
            {**result.to_dict(), "methods": []},
            {**result.to_dict(), "attributions": 1},
        ):
            with pytest.raises(errors.BadFile):
                Comparison.from_dict(broken)


class TestDisagreements:
    def test_the_word_is_named_with_who_says_what(self) -> None:
        result = comparison(
            by_hand("occlusion", [4, 1, 2, 3]), by_hand("attention", [1, 2, 3, 4], signed=False)
        )
        (disagreement,) = result.disagreements()
        assert disagreement.word.text == "not" and not disagreement.opposite and disagreement.spread == 3
        assert [(o.name, o.rank, o.of) for o in disagreement.opinions] == [
            ("Occlusion", 1, 4),
            ("Attention", 4, 4),
        ]
        assert disagreement.sentence == "‘not’: rank 1 of 4 for Occlusion, rank 4 for Attention."

    def test_opposite_signs_come_first(self) -> None:
        result = comparison(by_hand("occlusion", [-4, 9, 3, 1]), by_hand("input_x_gradient", [5, 1, 3, 6]))
        first = result.disagreements()[0]
        assert first.word.text in ("a", "not")
        opposed = [word for word in result.disagreements(9) if word.opposite]
        assert [disagreement.word.text for disagreement in opposed] == []  # "not" is no row's strongest word
        result = comparison(by_hand("occlusion", [-9, 4, 3, 1]), by_hand("input_x_gradient", [5, 1, 3, 6]))
        first = result.disagreements()[0]
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
        assert not any(word.opposite for word in comparison(sure, tiny).disagreements())

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
        difference = comparison(
            by_hand("occlusion", [4, -3, 2, 1]), by_hand("lime", [1, 1, 1, -1])
        ).difference(0, 1)
        assert difference.names == ("Occlusion", "LIME") and not difference.absolute
        assert difference.values == pytest.approx([0.4 - 0.25, -0.3 - 0.25, 0.2 - 0.25, 0.1 + 0.25])

    def test_without_signs_on_one_side_sizes_are_subtracted(self) -> None:
        difference = comparison(
            by_hand("occlusion", [4, -3, 2, 1]), by_hand("saliency", [1, 1, 1, 1], signed=False)
        ).difference(0, 1)
        assert difference.absolute
        assert difference.values == pytest.approx([0.15, 0.05, -0.05, -0.15])

    def test_what_one_side_does_not_see_has_none(self) -> None:
        complete = by_hand("occlusion", [4, 3, 2, 1])
        blind = replace(complete, tokens=complete.tokens[:-2], scores=complete.scores[:, :-2])
        assert comparison(complete, blind).difference(0, 1).values[-1] is None

    def test_only_finished_ones_differ(self) -> None:
        difference = comparison(by_hand("occlusion", [4, 3, 2, 1]), None)
        for place in (1, 2, -1):
            with pytest.raises(errors.BadOption):
                difference.difference(0, place)


# ------------------------------------------------------------------------------------------------------------
# the wire


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


class TestWire:
    def test_the_client_gives_what_the_library_gives(self, url: str) -> None:
        arguments: dict[str, Any] = {
            "methods": ["saliency", "occlusion", "reagent"],
            "target": "negative",
            "quantity": "probability",
        }
        client = Client(url)
        received, local = client.compare(TEXT, **arguments), compare(TEXT, **arguments)
        client.close()
        assert received.names == local.names == ("Saliency", "Occlusion", "ReAGent")
        for remote, own in zip(received.results[:2], local.results[:2], strict=True):
            assert remote.scores == pytest.approx(own.scores, abs=1e-6)
        assert isinstance(received.attributions[2], errors.Unsupported)
        assert received.agreement() == local.agreement()
        assert [entry.sentence for entry in received.disagreements()] == [
            entry.sentence for entry in local.disagreements()
        ]

    def test_rest_gives_the_same_values(self, http: httpx.Client) -> None:
        body = {"text": TEXT, "methods": ["saliency", "occlusion", "reagent"]}
        answer = http.post("/api/compare", json=body).json()
        assert answer["names"] == ["Saliency", "Occlusion", "ReAGent"]
        assert answer["attributions"][0]["prediction"]["label"] in ("negative", "positive")
        assert answer["attributions"][2]["error"] == "Unsupported"
        here = compare(TEXT, methods=body["methods"])
        for measure in MEASURES:
            assert answer["agreement"][measure]["values"][0][:2] == pytest.approx(
                list(here.agreement(measure).values[0][:2])
            )
            assert answer["agreement"][measure]["values"][2] == [None] * 3
        assert [entry["sentence"] for entry in answer["disagreements"]] == [
            entry.sentence for entry in here.disagreements()
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
            ({"task": 3}, "BadOption", "task is a number (3)"),
            ({"text": " "}, "EmptyInput", "no text"),
            ({"text": 3}, "InputError", "text is a number (3)"),
        ],
    )
    def test_what_is_not_taken_is_refused_in_words(
        self, http: httpx.Client, body: dict[str, Any], kind: str, message: str
    ) -> None:
        answer = http.post("/api/compare", json={"text": TEXT, **body})
        assert answer.status_code == 422 and answer.json()["error"] == kind
        assert message in f"{answer.json()['message']} {answer.json()['hint']}"

    def test_the_limits_stand_in_the_schema(self, http: httpx.Client) -> None:
        schemas = http.get("/openapi.json").json()["components"]["schemas"]
        fields = schemas["CompareRequest"]["properties"]
        assert fields["methods"]["maxItems"] == DEFAULTS.compared_methods == 6
        assert fields["models"]["maxItems"] == DEFAULTS.compared_models == 4
        assert "method" not in fields
