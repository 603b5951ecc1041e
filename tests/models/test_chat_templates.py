"""A rendered chat template begins with the first token already: it is not added again."""

from __future__ import annotations

import pytest
import torch

from attribution import attribute, load
from tests.families import FAMILIES

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
CHAT = [{"role": "user", "content": "was the movie good?"}]


@pytest.mark.parametrize("name", ["gemma", "llama", "opt", "llama-classifier"])
def test_a_rendered_chat_is_read_as_the_tokenizer_reads_it(name: str) -> None:
    model, tokenizer = FAMILIES[name].build()
    tokenizer.chat_template = TEMPLATE
    text = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    ids = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert text.startswith(tokenizer.bos_token) and ids.count(tokenizer.bos_token_id) == 1
    adapter = load(model, tokenizer)
    result = attribute(text, adapter, "saliency", **({"max_new_tokens": 2} if adapter.task.writes else {}))
    read = [token for token in result.tokens if token.segment == "text"]
    assert [token.id for token in read] == ids
    assert read[0].special and read[0].text == tokenizer.bos_token
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits
    row = logits[0, -1] if adapter.task.writes else logits[0]
    output = result.outputs[0]
    assert output.value == pytest.approx(float(row[output.id]), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ["gemma", "llama"])
def test_a_continuation_of_a_rendered_chat(name: str) -> None:
    model, tokenizer = FAMILIES[name].build()
    text = f"{tokenizer.bos_token}was the movie good?"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    result = attribute(text, load(model, tokenizer), "saliency", continuation=" a")
    assert [token.id for token in result.tokens if token.segment == "text"] == ids
    with torch.no_grad():
        row = model(input_ids=torch.tensor([ids])).logits[0, -1]
    assert result.outputs[0].value == pytest.approx(float(row[result.outputs[0].id]), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ["bert", "roberta", "bart", "t5", "gemma"])
def test_other_texts_are_read_as_before(name: str) -> None:
    model, tokenizer = FAMILIES[name].build()
    adapter = load(model, tokenizer)
    for text in ("the movie", f"{tokenizer.cls_token or tokenizer.eos_token} the movie", "a <bos>"):
        assert adapter.encode(text).ids[0].tolist() == tokenizer(text)["input_ids"]
