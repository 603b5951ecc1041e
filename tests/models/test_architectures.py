"""A sample of the sweep over every text architecture: ``python -m benchmarks.architectures`` tries all."""

from __future__ import annotations

import json

import pytest

from benchmarks.architectures import JSON, PAGE, markdown
from tests.architectures import architectures
from tests.sweep import examine

RIGHT = (
    ("masked", "FunnelForMaskedLM"),
    ("classification", "CTRLForSequenceClassification"),
    ("token_classification", "DebertaV2ForTokenClassification"),
    ("question_answering", "BertForQuestionAnswering"),
    ("causal", "DogeForCausalLM"),
    ("causal", "Gemma2ForCausalLM"),
    ("causal", "Qwen3MoeForCausalLM"),
    ("seq2seq", "PegasusForConditionalGeneration"),
)
REFUSED = (
    ("causal", "CpmAntForCausalLM", "function of texts"),
    ("causal", "DeepseekV4ForCausalLM", "function of texts"),
    ("classification", "CanineForSequenceClassification", "no table"),
    ("seq2seq", "ProphetNetForConditionalGeneration", "ProphetNet"),
)
ALL = {(a.task, a.name): a for a in architectures()}


@pytest.mark.filterwarnings("ignore")  # of the architectures
@pytest.mark.parametrize(("task", "name"), RIGHT)
def test_numbers_are_those_of_the_model_called_by_hand(task: str, name: str) -> None:
    states = {verdict.part: verdict for verdict in examine(ALL[task, name])}
    assert states["gradients"].state == states["hiding"].state == "right", states
    assert states["attention"].state in ("right", "refused"), states


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("task", "name", "reason"), REFUSED)
def test_refusals_say_why(task: str, name: str, reason: str) -> None:
    verdicts = examine(ALL[task, name])
    assert all(verdict.state in ("right", "refused") for verdict in verdicts), verdicts
    assert reason in verdicts[0].reason


def test_the_table_is_that_of_the_figures() -> None:
    report = json.loads(JSON.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == markdown(report)
    states = {v["state"] for entry in report["architectures"] for v in entry["verdicts"].values()}
    assert not states & {"wrong", "error"}
