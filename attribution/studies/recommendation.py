"""Which method to take first, by task, by kind of model and by the time that there is; each row says what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from attribution.types import Option

Kind = Literal["encoder", "decoder", "encoder-decoder", "function"]
"""``"function"``: a model that only answers texts."""
EVIDENCE = "docs/human-agreement.md"
INSIDE: tuple[Kind, ...] = ("encoder", "decoder", "encoder-decoder")
READING, WRITING = False, True
"""Tasks that only read a text, and those that write one: see ``Task.writes``."""


@dataclass(frozen=True)
class Recommended:
    """One row: a method with its options, and what for.

    Parameters
    ----------
    writes : the tasks that it is for, by whether they write a text.
    seconds : what one sentence takes with a small model on one core, roughly.
    why : a sentence for a person.
    agreement : Somers' D with people's ratings of words and its 95 % interval (mean, low, high), measured for classification with one English
        encoder of six layers and described in ``EVIDENCE``. For other tasks and models that is carried over. None: not measured.
    """

    method: str
    writes: tuple[bool, ...]
    kinds: tuple[Kind, ...]
    seconds: float
    why: str
    options: Mapping[str, Option] = field(default_factory=dict)
    agreement: tuple[float, float, float] | None = None

    def suits(self, writes: bool, kind: Kind) -> bool:
        """Whether the row is for this kind of model, and for tasks that write a text, or that do not."""
        return writes in self.writes and kind in self.kinds


TABLE = (
    Recommended(
        "saliency",
        (READING, WRITING),
        INSIDE,
        0.2,
        "One forward and one backward pass. It shows how strongly a word matters, not in which direction.",
        agreement=(0.62, 0.56, 0.67),
    ),
    Recommended(
        "deeplift",
        (READING,),
        INSIDE,
        0.3,
        "Signed, adds up to the prediction, and fast. It agreed with human rationales at least as well as "
        "integrated gradients.",
        agreement=(0.73, 0.66, 0.79),
    ),
    Recommended(
        "integrated_gradients",
        (WRITING,),
        INSIDE,
        1.0,
        "Signed, adds up to the prediction, and the residual shows how far to trust it.",
        agreement=(0.69, 0.62, 0.75),
    ),
    Recommended(
        "occlusion",
        (READING, WRITING),
        ("function",),
        1.0,
        "One forward pass per word, and works with any model that takes text.",
        agreement=(0.48, 0.4, 0.56),
    ),
    Recommended(
        "shapley",
        (READING, WRITING),
        (*INSIDE, "function"),
        30.0,
        "It weighs each word together with all kinds of others, and adds up to the prediction. The words "
        "that it ranks first change the prediction most.",
        agreement=(0.68, 0.61, 0.74),
    ),
)
"""The quickest first."""

PLAUSIBLE = Recommended(
    "leave_one_in",
    (READING, WRITING),
    (*INSIDE, "function"),
    1.0,
    "It agrees best with human ratings of single words, and says least about the sentence.",
    agreement=(0.88, 0.84, 0.91),
)
"""The method whose scores look most like people's marks, which is another question than what the model does."""


def recommended(writes: bool = False, kind: Kind = "encoder", seconds: float = 5.0) -> Recommended:
    """The method to take first where one sentence may take so long: the slowest that fits, else the quickest there is."""
    rows = [row for row in TABLE if row.suits(writes, kind)]
    fitting = [row for row in rows if row.seconds <= seconds]
    return fitting[-1] if fitting else rows[0]
