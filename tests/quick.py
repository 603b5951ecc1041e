"""Small options for expensive methods, so that the laws over all methods stay fast."""

from __future__ import annotations

from typing import Any

QUICK: dict[str, dict[str, Any]] = {
    "ensemble": {"members": "integrated_gradients, occlusion"},
    "gradient_shap": {"samples": 16},
    "kernel_shap": {"samples": 64},
    "lime": {"samples": 60},
    "partition_shap": {"evaluations": 48},
    "reagent": {"runs": 2, "steps": 3},
    "sequential_integrated_gradients": {"steps": 9},
    "shapley": {"exact_up_to": 4, "permutations": 4},
    "smoothgrad": {"samples": 8},
}
