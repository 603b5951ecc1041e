"""What the tasks share that read a text, or a pair, in one pass of an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.encoding import Encoding
from attribution.models.reader import Reader
from attribution.models.scoring.arguments import EMBEDDED
from attribution.request import Target


@dataclass(frozen=True, eq=False, kw_only=True)
class SinglePass(Reader):
    """The inputs are the tokens of the text and, for a pair, of the second text."""

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
        extra = self.encoding.extra(len(embeddings), places)
        return {EMBEDDED: embeddings, **extra, **self.adapter.decoder_arguments(embeddings)}
