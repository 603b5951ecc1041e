"""Features, and f with some of them hidden: against the plain model on changed token ids, for every task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from attribution import attribute, load
from attribution.errors import BadOption, TooLong, Unsupported
from attribution.models.adapter import Adapter
from attribution.models.characters import by_character
from attribution.models.deadline import Deadline
from attribution.models.features import Features, Unit, check_count, features_of
from attribution.models.function import Function
from attribution.models.objective import Objective
from attribution.models.perturbable import Perturbable
from attribution.models.readers import make_objective
from attribution.request import Target
from tests.families import FAMILIES

TEXT = "the plots were good. it was so awful!"
OTHER = "a film, so very fine"


def explained(family: str, text: str = TEXT, second: str | None = None, **target: Any) -> Objective:
    f = make_objective(
        load(*FAMILIES[family].build()),
        text,
        Target(**{"max_new_tokens": 4, **target}),
        Deadline(),
        second=second,
    )
    assert isinstance(f, Objective)
    return f


def grouped(f: Perturbable, unit: Unit, spans: str = "") -> list[str]:
    """The texts of each feature's tokens."""
    return [" ".join(f.tokens[i].text for i in group) for group in features_of(f, unit, spans).groups]


# Features


def test_units_of_a_text() -> None:
    f = explained("bert")
    assert grouped(f, "tokens") == [
        "the",
        "plot",
        "s",
        "w",
        "e",
        "r",
        "e",
        "good",
        ".",
        "it",
        "was",
        "so",
        "awful",
        "!",
    ]
    assert grouped(f, "words") == ["the", "plot s", "w e r e", "good", ".", "it", "was", "so", "awful", "!"]
    assert grouped(f, "sentences") == ["the plot s w e r e good .", "it was so awful !"]
    assert features_of(f, "words").names == (
        "the",
        "plots",
        "were",
        "good",
        ".",
        "it",
        "was",
        "so",
        "awful",
        "!",
    )
    assert features_of(f, "sentences").names == ("the plots were good.", "it was so awful!")


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        (r"plots \w+", ["the", "plot s w e r e", "good", ".", "it", "was", "so", "awful", "!"]),
        (
            r"(?i)\bT\w+|aw\w+|(?=x)",
            ["the", "plot s", "w e r e", "good", ".", "it", "was", "so", "awful", "!"],
        ),
        ("0-9, 21-28", ["the plot s", "w e r e", "good", ".", "it was", "so", "awful", "!"]),
        ("4-8", ["the", "plot", "s", "w e r e", "good", ".", "it", "was", "so", "awful", "!"]),
        ("5-6,900-901", ["the", "plot", "s", "w e r e", "good", ".", "it", "was", "so", "awful", "!"]),
        (r"\A.*\Z", ["the plot s w e r e good . it was so awful !"]),
    ],
)
def test_spans_that_a_person_gives(spans: str, expected: list[str]) -> None:
    assert grouped(explained("bert"), "spans", spans) == expected


@pytest.mark.parametrize(
    ("unit", "spans", "message"),
    [
        ("spans", "", "needs spans"),
        ("words", "0-3", "is not 'spans'"),
        ("spans", "(", "not a regular expression"),
        ("spans", r"\p{nothing}", "not a regular expression"),
        ("spans", "9-3", "end is not after its start"),
        ("spans", "0-3,5-5", "end is not after its start"),
        ("spans", "900-901", "name no part"),
        ("spans", "zebra", "name no part"),
        ("spans", "(?=the)", "name no part"),
        ("spans", r"(?:\w|\s|[a-z])*[=!]", "takes too long"),
        ("spans", "(?:a{1000}){1000}", "repeats too much"),
        ("spans", "a{99999999999999}", "repeats too much"),
    ],
)
def test_spans_that_cannot_be_read(unit: Unit, spans: str, message: str) -> None:
    f = explained("bert", "the plots were good " * 6 + "and fine")
    with pytest.raises(BadOption, match=message):
        features_of(f, unit, spans)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([(4, 14), (16, 20)], ["plots were", "good"]),
        (["awful", "plots were"], ["plots were", "awful"]),
        ("4-9", ["plots"]),
        (r"\bw\w+", ["were", "was"]),
    ],
)
def test_only_the_given_features_are_hidden(given: object, expected: list[str]) -> None:
    text = "the plots were  good. it was so awful!"
    model = load(*FAMILIES["bert"].build())
    result = attribute(text, model, "shapley", features="given", spans=given)
    scored = [t.text for t, score in zip(result.tokens, result.scores[0], strict=True) if score != 0]
    assert "".join(scored) == "".join("".join(expected).split())
    assert result.completeness is not None
    pipeline = load(
        lambda rows: [[0.1, 0.9] if "good" in r else [0.6, 0.4] for r in rows], labels=("no", "yes")
    )
    seen = attribute(text, pipeline, "occlusion", features="given", spans=given, quantity="probability")
    assert {t.text for t, score in zip(seen.tokens, seen.scores[0], strict=True) if score} <= {"good"}


def test_characters_of_a_function_and_of_a_model() -> None:
    asked: list[str] = []

    def rule(rows: list[str]) -> list[list[float]]:
        asked.extend(rows)
        return [[0.1, 0.9] if "go" in row else [0.8, 0.2] for row in rows]

    options: dict[str, Any] = {"features": "characters", "quantity": "probability", "target": 1}
    result = attribute("so go!", load(rule, labels=("no", "yes")), "occlusion", **options)
    assert [token.text for token in result.tokens] == list("sogo!")
    np.testing.assert_allclose(result.scores[0], [0, 0, 0.7, 0.7, 0], atol=1e-9)
    assert set(asked) == {"so go!", "o go!", "s go!", "so o!", "so g!", "so go"}
    assert [t.text for t in result.words().tokens] == ["so", "go", "!"]

    model, tokenizer = FAMILIES["bert"].build()
    text = "good e\u0301 👨‍👩‍👧"
    result = attribute(text, load(model, tokenizer), "occlusion", target=0, features="characters")
    assert [token.text for token in result.tokens] == ["g", "o", "o", "d", "e\u0301", "👨‍👩‍👧"]
    with torch.no_grad():
        changed = [text, *(text[:i] + text[i + 1 :] for i in range(4)), "good 👨‍👩‍👧", "good e\u0301 "]
        values = [float(model(**tokenizer(row, return_tensors="pt")).logits[0, 0]) for row in changed]
    np.testing.assert_allclose(result.scores[0], [values[0] - value for value in values[1:]], atol=1e-5)
    assert attribute("so", load(model, tokenizer), "shapley", features="characters").completeness
    with pytest.raises(Unsupported, match="Characters are hidden where"):
        attribute(
            "so go", load(*FAMILIES["gpt2"].build()), "occlusion", features="characters", max_new_tokens=2
        )


def test_texts_of_a_pair_are_apart() -> None:
    f = explained("bert-nli", "good film", "a good film")
    assert grouped(f, "sentences") == ["good film", "a good film"]
    assert grouped(f, "words") == ["good", "film", "a", "good", "film"]
    assert grouped(f, "spans", "good film") == ["good film", "a", "good film"]


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_generated_tokens_are_features_of_their_own(family: str) -> None:
    f = explained(family, "the film. a film")
    generated = [i for i, token in enumerate(f.tokens) if token.segment == "generated" and not token.special]
    assert len(generated) >= 2
    for unit in ("words", "tokens", "sentences"):
        assert features_of(f, unit).groups[-len(generated) :] == tuple((i,) for i in generated)  # type: ignore[arg-type]
    assert len(features_of(f, "sentences")) == 2 + len(generated)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "xlm-roberta", "modernbert"])
@pytest.mark.parametrize("unit", ["words", "tokens", "sentences"])
def test_every_token_that_is_not_special_is_in_one_feature(family: str, unit: Unit) -> None:
    f = explained(family, "the actor's 世界 👨‍👩‍👧 was great! it's fine")
    members = [i for group in features_of(f, unit).groups for i in group]
    assert sorted(members) == [i for i, token in enumerate(f.tokens) if not token.special]


def test_which_inputs_are_there_and_how_values_spread() -> None:
    found = Features(((1, 2), (4,)), ("ab", "c"))
    assert len(found) == 2
    present = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(found.present_inputs(present, 6), [[1, 1, 1, 1, 0, 1], [1, 0, 0, 1, 1, 1]])
    values = torch.tensor([[3.0, 5.0], [-1.0, 2.0]])
    np.testing.assert_array_equal(found.spread(values, 6), [[0, 1.5, 1.5, 0, 5, 0], [0, -0.5, -0.5, 0, 2, 0]])
    visible = torch.ones(2, 6, dtype=torch.bool)
    visible[1, 4] = False
    np.testing.assert_array_equal(found.spread(values, 6, visible)[1], [0, -0.5, -0.5, 0, 0, 0])
    assert check_count(found, 2, "It") is found
    with pytest.raises(TooLong, match="It takes 1 features at most; this text has 2"):
        check_count(found, 1, "It")


# f where features are hidden

Read = Callable[[Any, list[int]], list[torch.Tensor]]
"""The model's answer to one row, and where in it each input of the text went → the explained numbers."""

CASES: dict[str, tuple[str, str | None, dict[str, Any], Callable[[Objective], Read]]] = {
    "bert-multi-label": (
        TEXT,
        None,
        {"label": ("joy", "fear")},
        lambda f: lambda said, at: [said.logits[0, 0], said.logits[0, 2]],
    ),
    "llama-classifier": ("the film", None, {"label": 1}, lambda f: lambda said, at: [said.logits[0, 1]]),
    "bert-nli": (OTHER, "it was so awful!", {"label": 2}, lambda f: lambda said, at: [said.logits[0, 2]]),
    "bert-tokens": (
        TEXT,
        None,
        {"position": (1, 7), "label": "I-PER"},
        lambda f: lambda said, at: [said.logits[0, at[o.position], 2] for o in f.outputs],
    ),
    "bert-masked": (
        "the [MASK] was so awful!",
        None,
        {"label": "film"},
        lambda f: lambda said, at: [said.logits[0, at[o.position], o.id] for o in f.outputs],
    ),
    "bert-question": (
        "was it good",
        OTHER,
        {},
        lambda f: (
            lambda said, at: [
                said.start_logits[0, at[f.outputs[0].id]],
                said.end_logits[0, at[f.outputs[1].id]],
            ]
        ),
    ),
}


def row_of(f: Objective, gone: set[int], hide: str) -> tuple[torch.Tensor, list[int]]:
    """The ids of one row by hand, and the place of each input in it (or −1)."""
    tokenizer = f.adapter.tokenizer
    kinds = ("pad_token_id", "mask_token_id", "eos_token_id", "unk_token_id", "bos_token_id")
    usual = next(i for kind in kinds if (i := getattr(tokenizer, kind)) is not None)
    stands = {"mask": tokenizer.mask_token_id, "unk": tokenizer.unk_token_id}.get(hide, usual)
    if hide == "auto" and tokenizer.mask_token_id is not None:
        stands = tokenizer.mask_token_id
    ids, at = [], []
    stay = {o.position for o in f.outputs if o.position is not None}
    if not any(token.special for token in f.tokens):
        stay.add(len(f.tokens) - 1)
    if len(f.outputs) > 1 and f.outputs[0].text.startswith("start"):
        stay = {o.id for o in f.outputs}
    for i, token in enumerate(f.tokens):
        fixed = token.special or token.id == tokenizer.mask_token_id
        if i in gone and not fixed:
            at.append(-1 if hide == "delete" and i not in stay else len(ids))
            ids += [] if at[-1] < 0 else [stands]
        else:
            at.append(len(ids))
            ids.append(token.id)
    return torch.tensor([ids]), at


@pytest.mark.parametrize("family", CASES)
@pytest.mark.parametrize("hide", ["auto", "unk", "delete"])
def test_hidden_features_are_what_the_plain_model_says_of_changed_ids(family: str, hide: str) -> None:
    text, second, target, reader = CASES[family]
    f = explained(family, text, second, **target)
    read = reader(f)
    model, tokenizer = FAMILIES[family].build()
    if model.config.pad_token_id is None:
        model.config.pad_token_id = model.config.vocab_size - 1
    found = features_of(f)
    random = np.random.default_rng(1)
    present = random.random((12, len(found))) < 0.5
    present[0], present[1] = True, False
    got = f.evaluate_features(found, present, hide)
    assert got.shape == (len(f.outputs), 12)
    torch.testing.assert_close(got[:, 0], f.values, rtol=1e-4, atol=1e-5)
    for k, row in enumerate(present):
        gone = {i for group, there in zip(found.groups, row, strict=True) if not there for i in group}
        ids, at = row_of(f, gone, hide)
        more = {}
        if second is not None:
            types = torch.tensor(tokenizer(text, second)["token_type_ids"])
            more["token_type_ids"] = types[[i for i, place in enumerate(at) if place >= 0]][None]
        with torch.no_grad():
            expected = torch.stack(read(model(input_ids=ids, **more), at))
        torch.testing.assert_close(got[:, k], expected, rtol=1e-3, atol=1e-4)
    assert got.std(dim=1).min() > 1e-3


@pytest.mark.parametrize("hide", ["auto", "delete"])
def test_hidden_features_of_two_texts_whose_similarity_is_explained(hide: str) -> None:
    f = explained("bert-similarity", OTHER, "it was so awful!")
    model, _ = FAMILIES["bert-similarity"].build()
    found = features_of(f)
    present = np.random.default_rng(2).random((8, len(found))) < 0.5
    got = f.evaluate_features(found, present, hide)
    for k, row in enumerate(present):
        gone = {i for group, there in zip(found.groups, row, strict=True) if not there for i in group}
        changed, plain = [], []
        for segment in ("text", "second"):
            tokens = [(i, t) for i, t in enumerate(f.tokens) if t.segment == segment]
            ids = [4 if i in gone else t.id for i, t in tokens if not (hide == "delete" and i in gone)]
            with torch.no_grad():
                for states, row_ids in ((changed, ids), (plain, [t.id for _, t in tokens])):
                    states.append(model(input_ids=torch.tensor([row_ids])).last_hidden_state.mean(1))
        cosine = torch.nn.functional.cosine_similarity
        expected = cosine(changed[0], plain[1]) + cosine(plain[0], changed[1]) - cosine(*plain)
        torch.testing.assert_close(got[:, k], expected, rtol=1e-3, atol=1e-5)
    assert got.std() > 1e-3


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart"])
@pytest.mark.parametrize("hide", ["auto", "unk", "delete"])
def test_hidden_features_of_generated_text(family: str, hide: str) -> None:
    f = explained(family, "the film was")
    model, tokenizer = FAMILIES[family].build()
    found = features_of(f)
    present = np.random.default_rng(3).random((8, len(found))) < 0.5
    present[0] = True
    got = f.evaluate_features(found, present, hide)
    torch.testing.assert_close(got[:, 0], f.values, rtol=1e-4, atol=1e-5)
    kinds = ("pad", "mask", "eos", "unk", "bos")
    usual = next(i for kind in kinds if (i := getattr(tokenizer, f"{kind}_token_id")) is not None)
    mask = tokenizer.mask_token_id
    stands = (
        tokenizer.unk_token_id if hide == "unk" else mask if hide == "auto" and mask is not None else usual
    )
    source = [i for i, token in enumerate(f.tokens) if token.segment == "text"]
    for k, row in enumerate(present):
        gone = {i for group, there in zip(found.groups, row, strict=True) if not there for i in group}
        leave = {i for i in gone if hide == "delete" and i in source[:-1]}
        ids = [stands if i in gone else token.id for i, token in enumerate(f.tokens) if i not in leave]
        length = len(source) - len(leave)
        with torch.no_grad():
            if family in ("gpt2", "llama"):
                logits = model(input_ids=torch.tensor([ids])).logits[0, length - 1 :]
            else:
                parts = {
                    "input_ids": torch.tensor([ids[:length]]),
                    "decoder_input_ids": torch.tensor([ids[length:]]),
                }
                logits = model(**parts).logits[0]
        expected = torch.stack([logits[j, output.id] for j, output in enumerate(f.outputs)])
        torch.testing.assert_close(got[:, k], expected, rtol=1e-3, atol=1e-4)
    assert got.std(dim=1).max() > 1e-3


@pytest.mark.parametrize(("hide", "word"), [("zero", None), ("mean", None), ("pad", 0)])
def test_what_stands_for_a_hidden_feature(hide: str, word: int | None) -> None:
    f = explained("bert-nli", "good film", label=0)
    model, tokenizer = FAMILIES["bert-nli"].build()
    table = model.get_input_embeddings().weight.detach()
    nothing = (
        table[word] if word is not None else table.mean(0) if hide == "mean" else torch.zeros(table.shape[1])
    )
    points = table[torch.tensor([tokenizer("good film")["input_ids"]])].clone()
    points[0, 2] = nothing
    got = f.evaluate_features(features_of(f), np.array([[True, False]]), hide)
    with torch.no_grad():
        torch.testing.assert_close(got[0, 0], model(inputs_embeds=points).logits[0, 0], rtol=1e-4, atol=1e-5)
    with pytest.raises(BadOption, match="no eos token"):
        f.evaluate_features(features_of(f), np.array([[True, False]]), "eos")


@pytest.mark.parametrize("hide", ["auto", "delete"])
def test_equal_rows_are_computed_once_and_in_batches(hide: str) -> None:
    f = explained("bert-nli", TEXT)
    rows: list[int] = []
    model = f.model

    class Counting:
        def __call__(self, inputs_embeds: torch.Tensor, **more: Any) -> Any:
            rows.append(len(inputs_embeds))
            return model(inputs_embeds=inputs_embeds, **more)

    found = features_of(f)
    some = np.random.default_rng(4).random((30, len(found))) < 0.5
    counted = f.on(Counting())  # type: ignore[arg-type]
    counted.baseline(
        "auto"
    )  # may look at what it stands for; only where tokens are left out is that one asked for
    looked = sum(rows) if hide == "delete" else 0
    rows.clear()
    twice = counted.evaluate_features(found, np.concatenate([some, some[::-1]]), hide)
    assert sum(rows) - looked == len(np.unique(some, axis=0)) < 60
    torch.testing.assert_close(twice[:, :30], twice[:, 30:].flip(1), rtol=0, atol=0)
    torch.testing.assert_close(twice[:, :30], f.evaluate_features(found, some, hide), rtol=1e-5, atol=1e-6)
    assert max(rows) <= f.adapter.settings.rows_per_batch_tokens


def test_a_position_that_is_explained_stays_where_the_rest_is_deleted() -> None:
    f = explained("bert-tokens", "the film was good", position=1)
    nothing_left = f.evaluate_features(features_of(f), np.zeros((1, 4), dtype=bool), "delete")
    model, tokenizer = FAMILIES["bert-tokens"].build()
    pad = tokenizer.pad_token_id
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([[2, pad, 3]])).logits[0, 1, f.outputs[0].id]
    torch.testing.assert_close(nothing_left[0, 0], expected, rtol=1e-4, atol=1e-5)


def test_words_of_a_function_are_left_out_or_masked() -> None:
    asked: list[str] = []

    def probabilities(rows: list[str]) -> np.ndarray:
        asked.extend(rows)
        return np.tile([0.3, 0.7], (len(rows), 1))

    model = load(probabilities, labels=("no", "yes"))
    assert isinstance(model, Function)
    f = make_objective(model, "the plot is bad.", Target(), Deadline())
    found = features_of(f)
    assert found.names == ("the", "plot", "is", "bad", ".")
    present = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 1, 1]], dtype=bool)
    asked.clear()
    assert f.evaluate_features(found, present, "delete").shape == (1, 4)
    assert sorted(" ".join(row.split()) for row in asked) == ["", "the bad.", "the plot is bad."]
    asked.clear()
    f.evaluate_features(found, present, "mask")
    assert sorted(asked) == [
        "[MASK] [MASK] [MASK] [MASK][MASK]",
        "the [MASK] [MASK] bad.",
        "the plot is bad.",
    ]


def test_an_adapter_is_not_changed_by_hiding() -> None:
    adapter = load(*FAMILIES["bert"].build())
    assert isinstance(adapter, Adapter)
    before = {name: tensor.clone() for name, tensor in adapter.model.state_dict().items()}
    f = make_objective(adapter, TEXT, Target(), Deadline())
    values = f.values.clone()
    for hide in ("auto", "delete"):
        f.evaluate_features(features_of(f), np.zeros((1, 10), dtype=bool), hide)
    assert all(torch.equal(before[name], tensor) for name, tensor in adapter.model.state_dict().items())
    torch.testing.assert_close(f.values, values, rtol=0, atol=0)


def test_a_copy_of_f_over_characters_keeps_what_is_not_changed(tiny: dict[str, Adapter]) -> None:
    f = by_character(make_objective(tiny["bert"], TEXT, Target(), Deadline()), {"features": "characters"})
    shown = f.replace(previews=True)
    assert shown.previews and shown.replace(deadline=Deadline(5)).previews
    assert not shown.replace(previews=False).previews
