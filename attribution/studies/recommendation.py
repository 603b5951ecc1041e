"""Which method to start with, by task, kind of model and available time, with the evidence for each row."""

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
class Recommendation:
    """A method with its options, and what it suits.

    Parameters
    ----------
    writes : the tasks that it suits, by whether they write a text.
    seconds : rough time for a sentence with a small model on a single core.
    why : the reason, as a sentence for users.
    agreement : Somers' D with people's ratings of words and its 95 % interval (mean, low, high), measured for
        classification with an English encoder of six layers, see ``EVIDENCE``; other tasks and models take
        over this figure. None if not measured.
    """

    method: str
    writes: tuple[bool, ...]
    kinds: tuple[Kind, ...]
    seconds: float
    why: str
    options: Mapping[str, Option] = field(default_factory=dict)
    agreement: tuple[float, float, float] | None = None

    def suits(self, writes: bool, kind: Kind) -> bool:
        """Whether the row suits this kind of model and tasks that write a text, or do not."""
        return writes in self.writes and kind in self.kinds


TABLE = (
    Recommendation(
        "saliency",
        (READING, WRITING),
        INSIDE,
        0.2,
        "One forward and one backward pass. It shows how strongly a word matters, not in which direction.",
        agreement=(0.62, 0.56, 0.67),
    ),
    Recommendation(
        "deeplift",
        (READING,),
        INSIDE,
        0.3,
        "Signed, adds up to the prediction, and fast. It agreed with human rationales at least as well as "
        "integrated gradients.",
        agreement=(0.73, 0.66, 0.79),
    ),
    Recommendation(
        "integrated_gradients",
        (WRITING,),
        INSIDE,
        1.0,
        "Signed, adds up to the prediction, and the residual shows how far to trust it.",
        agreement=(0.69, 0.62, 0.75),
    ),
    Recommendation(
        "occlusion",
        (READING, WRITING),
        ("function",),
        1.0,
        "One forward pass per word, and works with any model that takes text.",
        agreement=(0.48, 0.4, 0.56),
    ),
    Recommendation(
        "shapley",
        (READING, WRITING),
        (*INSIDE, "function"),
        30.0,
        "It weighs each word together with all kinds of others, and adds up to the prediction. The words "
        "that it ranks first change the prediction most.",
        agreement=(0.68, 0.61, 0.74),
    ),
)
"""All recommendations, fastest first."""

PLAUSIBLE = Recommendation(
    "leave_one_in",
    (READING, WRITING),
    (*INSIDE, "function"),
    1.0,
    "It agrees best with human ratings of single words, and says least about the sentence.",
    agreement=(0.88, 0.84, 0.91),
)
"""The method whose scores are closest to people's marks. That does not make it faithful to the model."""


def recommend(writes: bool = False, kind: Kind = "encoder", seconds: float = 5.0) -> Recommendation:
    """The method to start with: the slowest within ``seconds`` per sentence, else the fastest."""
    rows = [row for row in TABLE if row.suits(writes, kind)]
    fitting = [row for row in rows if row.seconds <= seconds]
    return fitting[-1] if fitting else rows[0]
