"""A trained model whose evidence is known: which word of a date decides each digit of its ISO form.

See ``benchmarks/alignments.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.alignments import accuracy, fitting

# Twelve held-out dates have 96 digits, and their texts six to ten words. benchmarks/README.md has the
# figures with each method's own options; the floors are below what the quick options here reach, and far
# above chance. The slowest methods get four dates.
EXAMPLES = 12
FEWER = dict.fromkeys(("deeplift", "gradient_shap", "integrated_gradients", "lrp", "partition_shap"), 4)
FLOOR = {"attention_flow": 0.4, "input_x_gradient": 0.45, "leave_one_in": 0.5}
SMALL: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 65, "tolerance": 0.05},
    "sequential_integrated_gradients": {"steps": 5},
    "gradient_shap": {"samples": 32},
    "shapley": {"exact_up_to": 6},
    "lime": {"samples": 200},
    "smoothgrad": {"samples": 16},
}


@pytest.mark.parametrize("method", [name for name in fitting() if name != "random"])
def test_a_method_finds_the_word_that_decides(method: str) -> None:
    examples = FEWER.get(method, EXAMPLES)
    hits, count = accuracy(method, examples, **SMALL.get(method, {}))
    assert count == 8 * examples
    assert hits / count >= FLOOR.get(method, 0.65)


def test_the_random_control_does_not() -> None:
    hits, count = accuracy("random", EXAMPLES)
    assert hits / count < 0.3
