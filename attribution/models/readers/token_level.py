"""What token-level readers share: one forward pass, read at the explained positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.encoding import Encoding
from attribution.models.reader import Reader
from attribution.models.scoring.arguments import EMBEDDED
from attribution.models.targets.choice import Choice
from attribution.request import Target


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenLevel(Reader):
    """Logits [inputs, batch, classes]: the position of a logit is that of its token."""

    encoding: Encoding

    @classmethod
    def prepare(
        cls, adapter: Adapter, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> Self:
        encoding = adapter.encode(text, second)
        return cls(
            adapter=adapter,
            text=text,
            second=second,
            target=target,
            tokens=encoding.tokens,
            encoding=encoding,
        )

    def embeddings(self) -> Tensor:
        return self.adapter.embed(self.encoding.ids)

    def arguments(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any]:
        return {EMBEDDED: embeddings, **self.encoding.extra(len(embeddings), places)}

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = answer.logits[:, : arguments[EMBEDDED].shape[1]]
        if places is not None:
            full = logits.new_zeros(len(logits), len(self.tokens), logits.shape[-1])
            logits = full.scatter(1, places[:, :, None].expand(-1, -1, logits.shape[-1]), logits)
        return logits.transpose(0, 1)

    def deletable(self, choice: Choice) -> Tensor:
        deletable = super().deletable(choice)
        deletable[list(choice.positions)] = False
        return deletable
