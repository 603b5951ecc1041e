"""Names, families and task words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from attribution.errors import BadOption, NoTrainedHead, UnknownModel
from attribution.models.sources import catalogue, hub
from attribution.models.sources.catalogue import resolve_name
from attribution.models.sources.entries import CHECKPOINTS

BERT = "yoshitomo-matsubara/bert-base-uncased-sst2"
DISTILBERT = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
MULTILINGUAL = "lxyuan/distilbert-base-multilingual-cased-sentiments-student"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled folder with two of our models, one that somebody added, and things that are no models."""
    monkeypatch.setattr(catalogue, "BUNDLED", tmp_path)
    for name, architecture in {
        "dates-t5": "T5ForConditionalGeneration",
        "sst2-minilm": "BertForSequenceClassification",
        "mine": "RobertaForSequenceClassification",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(f'{{"architectures": ["{architecture}"]}}')
    (tmp_path / "half-trained").mkdir()
    (tmp_path / "README.md").write_text("no model")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "task", "checkpoint"),
    [
        ("bert-base-uncased", "sentiment", BERT),
        ("BERT-Base-Uncased", " Sentiment_Analysis ", BERT),
        ("google-bert/bert-base-uncased", "classification", BERT),
        ("bert", "toxicity", "unitary/toxic-bert"),
        ("distilbert-base-uncased", "sentiment", DISTILBERT),
        ("bert-base-multilingual-cased", "sentiment", MULTILINGUAL),
        ("gpt2", None, "openai-community/gpt2"),
        ("gpt2", "generation", "openai-community/gpt2"),
        ("gpt2", "text generation", "openai-community/gpt2"),
        ("t5-small", None, "google-t5/t5-small"),
        ("t5-small", "", "google-t5/t5-small"),
        ("t5", "summarization", "google-t5/t5-small"),
        ("t5-small", "seq2seq", "google-t5/t5-small"),
        ("flan-t5-small", "translation", "google/flan-t5-small"),
    ],
)
def test_a_family_and_a_task_become_one_checkpoint_and_the_note_says_how(name, task, checkpoint):
    resolved = resolve_name(name, task)
    assert resolved.name == checkpoint
    assert resolved.requested == name
    assert checkpoint in resolved.note
    assert name in resolved.note
    assert resolved.note.endswith(".")


def test_the_note_for_bert_and_sentiment():
    assert resolve_name("bert-base-uncased", "sentiment").note == (
        "'bert-base-uncased' with the task 'sentiment' is answered by "
        "yoshitomo-matsubara/bert-base-uncased-sst2: BERT-base fine-tuned on SST-2."
    )


@pytest.mark.parametrize("entry", CHECKPOINTS, ids=lambda entry: entry.name)
def test_a_full_name_is_taken_as_it_is(entry):
    for task in (None, *entry.topics):
        resolved = resolve_name(entry.name, task)
        assert (resolved.name, resolved.note, resolved.revision) == (entry.name, "", entry.revision)
    assert resolve_name(entry.name.upper()).name == entry.name


def test_a_name_outside_the_catalogue_passes_through():
    assert resolve_name("someone/some-model").name == "someone/some-model"
    assert resolve_name("someone/some-model", "sentiment").note == ""


@pytest.mark.parametrize(
    "name", ["bert-base-uncased", "distilbert-base-uncased", "bert-base-multilingual-cased"]
)
def test_a_pretrained_model_without_a_task_has_no_trained_head(name):
    with pytest.raises(NoTrainedHead, match="Add a task, such as sentiment"):
        resolve_name(name)


def test_a_family_without_a_checkpoint_for_the_task():
    with pytest.raises(NoTrainedHead, match=r"gpt2.*sentiment.*distilbert/"):
        resolve_name("gpt2", "sentiment")
    with pytest.raises(NoTrainedHead, match="google-t5/t5-small"):
        resolve_name("bert-base-uncased", "translation")


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(BadOption, match="Did you mean 'sentiment'"):
        resolve_name("bert-base-uncased", "sentimnet")
    for task in (3, ["sentiment"], {"a": 1}, "\ud800", "x" * 100_000):
        with pytest.raises(BadOption):
            resolve_name("bert-base-uncased", task)  # type: ignore[arg-type]


def test_a_checkpoint_for_another_task_is_refused(shipped):
    with pytest.raises(
        BadOption,
        match=r"model for sentiment, not for translation\. For translation there is google-t5/t5-small",
    ):
        resolve_name(DISTILBERT, "translation")
    with pytest.raises(BadOption, match="not for generation"):
        resolve_name("bundled/sst2-minilm", "generation")


@pytest.mark.parametrize(
    "name",
    ["", "  ", "bert-base-uncase", "bundled/nothing", "bundled/../sst2-minilm", None, 7, "\ud800", "a\0b"],
)
def test_an_unknown_name(name):
    with pytest.raises(UnknownModel):
        resolve_name(name)  # type: ignore[arg-type]


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownModel, match="Did you mean 'bert-base-uncased'"):
        resolve_name("bert-base-uncase")


def test_bundled_models_are_the_folders_with_a_config(shipped):
    assert [entry.name for entry in catalogue.bundled()] == [
        "bundled/sst2-minilm",
        "bundled/dates-t5",
        "bundled/mine",
    ]
    for entry in catalogue.bundled():
        assert entry.description.endswith((".", "?"))
        assert "\n" not in entry.description
    assert catalogue.find("bundled/mine").task == "classification"
    assert catalogue.folder("bundled/mine") == shipped / "mine"
    assert resolve_name("bundled/mine", "sentiment").name == "bundled/mine"
    with pytest.raises(BadOption):
        resolve_name("bundled/mine", "generation")


@pytest.mark.parametrize(
    "name", ["bundled/half-trained", "bundled/", "bundled", "bundled/..", "mine", "bundled/mine/.", "/mine"]
)
def test_only_whole_bundled_models_have_a_folder(shipped, name):
    with pytest.raises(UnknownModel):
        catalogue.folder(name)


def test_the_table_is_whole():
    names = [entry.name for entry in CHECKPOINTS]
    assert len(set(names)) == len(names)
    for entry in CHECKPOINTS:
        hub.check_name(entry.name, entry.revision)
        assert entry.topics
        assert entry.examples
        assert entry.megabytes
        assert entry.language
        assert set(entry.topics) <= set(catalogue.task_words())
        assert all(alias == alias.lower() for alias in entry.families)
        assert ":" in entry.description  # what it is: what it does; the first half goes into notes
    assert any("Chinese" in entry.language and "sentiment" in entry.topics for entry in CHECKPOINTS)


def test_available_offline_lists_bundled_and_cached(shipped, monkeypatch):
    monkeypatch.setattr(hub, "cached", lambda name, revision=None: name == "openai-community/gpt2")
    assert hub.available_offline() == (
        "bundled/sst2-minilm", "bundled/dates-t5", "bundled/mine", "openai-community/gpt2",
    )  # fmt: skip


def test_neither_module_imports_torch():
    code = (
        "import sys; import attribution.models.sources.catalogue, attribution.models.sources.hub; "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_without_the_weights_the_error_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, "BUNDLED", tmp_path / "none")
    assert catalogue.bundled() == ()
    with pytest.raises(UnknownModel, match="pip install attribution-visualization-tool-models"):
        resolve_name("bundled/sst2-minilm")
