"""Which tokens drive a language model's prediction, by several attribution methods, with numbers that can be trusted.

>>> from attribution import attribute
>>> result = attribute("This movie is absolutely fantastic!")
>>> result.words().top(3)  # doctest: +SKIP
>>> result.save("picture.png")  # doctest: +SKIP

``Attribution``, ``Client`` and the errors need no torch; it is imported when a model is first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from attribution import errors
from attribution.errors import AttributionError

# The function takes the submodule's place as attribute of the package: inside the project write `from attribution.methods import ...`.
from attribution.methods import methods
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, VERSION
from attribution.types import Attribution

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from attribution.models.adapter import Adapter
    from attribution.types import Option, Task

__all__ = ["Attribution", "AttributionError", "Client", "attribute", "errors", "load", "methods"]
__version__ = VERSION


def attribute(
    text: str,
    model: str | os.PathLike[str] | Adapter = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: str | int | None = None,
    *,
    quantity: str = "logit",
    max_new_tokens: int = 16,
    task: str | None = None,
    revision: str | None = None,
    **options: Option,
) -> Attribution:
    """Explain one prediction.

    Parameters
    ----------
    text : what the model reads.
    model : a bundled, catalogue or Hub name, a folder, or what ``load`` returned.
    method : a name or alias from ``methods()``.
    target : a label's name or index (None: the most probable one); for generation the position of one generated token (None:
        all of them, one row of scores each).
    quantity : ``"logit"``, ``"log_probability"`` or ``"probability"`` of the target: the explained number.
    max_new_tokens : for generation, how many tokens are generated at most.
    task : for a family name such as ``bert-base-uncased``, what it should be fine-tuned for, e.g. ``"sentiment"``.
    options : the method's own; see ``methods()[name].options``.

    Raises ``AttributionError``: see ``attribution.errors`` for the tree.
    """
    from attribution.engine import default_engine

    return default_engine().attribute(
        text,
        model,
        method,
        target,
        quantity=quantity,
        max_new_tokens=max_new_tokens,
        task=task,
        revision=revision,
        options=options,
    )


def load(
    model: str | os.PathLike[str] | PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    task: Task | None = None,
    name: str = "",
) -> Adapter:
    """A model for ``attribute``: a name, a folder, or a loaded transformers model with its tokenizer, which stays unchanged."""
    from attribution.models import store

    return store.load(model, tokenizer, task=task, name=name)


def __getattr__(name: str) -> Any:
    if name == "Client":
        from attribution.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
