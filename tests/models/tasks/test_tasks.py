"""The registry of tasks: what each record says, and that a new task is one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers.models.auto import modeling_auto

from attribution import attribute, load, sentences
from attribution.errors import BadOption, Unsupported
from attribution.export.drawing.browser import layout
from attribution.export.writing.schema import build_schema
from attribution.methods import find as find_method
from attribution.models import tasks
from attribution.models.adapter import Adapter, task_of
from attribution.models.reader import Reader
from attribution.models.sources import catalogue
from attribution.models.tasks import list_tasks
from components.pictures import panel
from tests import tiny

TASKS = list_tasks()

TOY = '''
"""Whether a text is long, as a classifier says it: a whole task in one file."""

from attribution.models.readers.classification import Classification
from attribution.models.tasks import Task


class Length(Classification):
    """The explained number is that of a classifier."""


TASK = Task(
    name="length",
    title="length of texts",
    reader=f"{__name__}:Length",
    heads=("ForLength",),
    second="required",
    second_hint="Give the shorter text as second.",
    parts=("Long text", "Short text"),
    has_labels=True,
    alternatives=True,
    word="long",
    spellings=("lengthy",),
    heading="The model measures",
    summary="Length: {best}",
)
'''


class TestRecords:
    @pytest.mark.parametrize("name", TASKS)
    def test_the_reader_is_one(self, name: str) -> None:
        assert issubclass(TASKS[name].load_reader(), Reader)

    @pytest.mark.parametrize("name", TASKS)
    def test_a_pair_says_what_is_missing(self, name: str) -> None:
        task = TASKS[name]
        assert bool(task.second_hint) == (task.second == "required")

    def test_the_words_of_callers_name_one_task_each(self) -> None:
        words = [word for task in TASKS.values() for word in (task.word, *task.spellings)]
        assert all(words) and len(words) == len(set(words)) and not set(words) & set(catalogue.TOPICS)

    def test_examples_are_of_bundled_models_of_the_task(self) -> None:
        for task in TASKS.values():
            if "model" in task.example:
                entry = catalogue.find(task.example["model"])
                assert entry is not None and entry.task == task.name

    def test_no_class_of_transformers_is_made_for_two(self) -> None:
        tables = (
            modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
        )
        for table in tables:
            for kind, class_name in table.items():
                for name in class_name if isinstance(class_name, tuple) else (class_name,):
                    config = transformers.PretrainedConfig()
                    config.model_type = kind
                    serving = [task.name for task in TASKS.values() if task.serves_class(name, config)]
                    assert len(serving) <= 1, (name, serving)

    def test_an_unknown_name_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(BadOption, match="'maskd' is not a task") as raised:
            tasks.find("maskd")
        assert raised.value.hint == "Did you mean 'masked'?"

    def test_a_result_of_an_unknown_task_has_neutral_words(self) -> None:
        task = tasks.of("somebody_elses")
        assert (task.title, task.writes, task.every) == (
            "somebody elses",
            False,
            "each of the {count} outputs",
        )

    def test_reading_tasks_stand_before_writing_ones(self) -> None:
        writes = [task.writes for task in TASKS.values()]
        assert writes == sorted(writes)


@pytest.fixture(params=["module", "plug-in"])
def toy(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A task of one file: a module in the folder of the tasks, or of another package that is installed."""
    if request.param == "module":
        (tmp_path / "length.py").write_text(TOY, encoding="utf-8")
        monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
        module = "attribution.models.tasks.length"
    else:
        (tmp_path / "lengths.py").write_text(TOY, encoding="utf-8")
        info = tmp_path / "lengths-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lengths\nVersion: 1\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(
            "[attribution.tasks]\nlength = lengths:TASK\n", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        module = "lengths"
    list_tasks.cache_clear()
    yield "length"
    sys.modules.pop(module, None)
    tasks.__dict__.pop("length", None)
    list_tasks.cache_clear()


class TestOneFile:
    def test_is_a_task_everywhere(self, toy: str) -> None:
        assert (
            toy in list_tasks() and toy in build_schema()["$defs"]["ModelInfo"]["properties"]["task"]["enum"]
        )
        assert "long" in catalogue.task_words()
        assert find_method("saliency").unsupported_reason(toy) is None
        assert "not length of texts" in str(find_method("reagent").unsupported_reason(toy))

    def test_is_explained(self, toy: str) -> None:
        model, tokenizer = tiny.bert()
        result = attribute("it was good", load(model, tokenizer, task=toy), "saliency", second="bad")
        assert result.model.task == toy and result.scores.any()
        assert sentences.prediction(result).startswith("Length: ")
        assert sentences.parts(result) == ("Long text", "Short text")
        assert layout(result) == {"writes": False, "parts": ("Long text", "Short text")}
        assert panel.answer(result)["prediction"]["heading"] == "The model measures"

    def test_is_what_a_class_is_made_for(self, toy: str) -> None:
        model, _ = tiny.bert()
        model.__class__ = type("TinyForLength", (type(model),), {})
        assert task_of(model).name == toy

    def test_its_checks_are_those_of_the_record(self, toy: str) -> None:
        model = Adapter(*tiny.bert(), task=toy)
        with pytest.raises(Exception, match="There is no second text") as raised:
            attribute("it was good", model, "saliency")
        assert getattr(raised.value, "hint", "") == "Give the shorter text as second."

    def test_methods_refuse_it_in_its_own_words(self, toy: str) -> None:
        with pytest.raises(Unsupported, match="not length of texts"):
            attribute("it was good", Adapter(*tiny.bert(), task=toy), "reagent", second="bad")
