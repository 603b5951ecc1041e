"""f = a class of a sequence classifier, for a text or a pair of texts; or the number that a regression head gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from attribution.errors import BadOption
from attribution.models.adapter import EMBEDDED
from attribution.models.labels import classes, contrasts
from attribution.models.objective import Objective, quantify
from attribution.types import Output, Prediction


class Classification(Objective):
    """Outputs: the classes that the target names, the most probable one for None."""

    def _prepare(self) -> None:
        self._encoding = self.adapter.encode(self.text, self.second)
        self.tokens = self._encoding.tokens

    def _embed(self) -> Tensor:
        return self.adapter.embed(self._encoding.ids)

    def _inputs(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any]:
        return {EMBEDDED: embeddings, **self._encoding.extra(len(embeddings), places)}

    def _logits(self, said: Any, inputs: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = said.logits
        return logits[None]

    @property
    def computing_model(self) -> Any:
        return self.adapter.lean if self.model is self.adapter.model else self.model

    def _choose(self, logits: Tensor) -> None:
        row = logits[0, 0]
        labels = self.adapter.info.labels
        regression = len(labels) == 1
        if regression and (self.target.quantity != "logit" or self.target.contrast is not None):
            raise BadOption(
                "This model gives one number, not classes.",
                "Explain its 'logit', the number itself, without a contrast.",
            )
        indices = classes(labels, self.target.label, row)
        self._ids = torch.tensor(indices, device=row.device)
        self._places = [0] * len(indices)
        self._contrast = contrasts(labels, self.target.contrast, [row] * len(indices), indices)
        self._against = None if self._contrast is None else torch.tensor(self._contrast, device=row.device)
        probabilities = (
            () if regression else tuple(quantify(row, "probability", self.adapter.multi_label).tolist())
        )
        self.prediction = Prediction(labels, tuple(row.float().tolist()), probabilities)

    @property
    def quantity(self) -> str:
        return super().quantity if len(self.adapter.info.labels) > 1 else "value"

    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        said = self.prediction
        for k, (index, value) in enumerate(zip(self._ids.tolist(), values, strict=True)):
            against = "" if self._contrast is None else said.labels[self._contrast[k]]
            chance = said.probabilities[index] if said.probabilities else None
            yield Output(said.labels[index], index, value, chance, contrast=against)
