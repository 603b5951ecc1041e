"""f = a class of a sequence classifier for a text or a pair, or the number of a regression head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import BadOption
from attribution.models.readers.single_pass import SinglePass
from attribution.models.targets.choice import UNREAD, Choice, quantify
from attribution.models.targets.labels import classes, contrasts
from attribution.types import Output, Prediction, Quantity


@dataclass(frozen=True, eq=False, kw_only=True)
class Classification(SinglePass):
    """Outputs: the classes that the target names, the most probable one for None."""

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = answer.logits
        return logits[None]

    def computing_model(self, model: PreTrainedModel) -> PreTrainedModel:
        return self.adapter.pruned_model if model is self.adapter.model else model

    def quantity_words(self, quantity: Quantity) -> str:
        return super().quantity_words(quantity) if self._has_probabilities else "value"

    @property
    def _has_probabilities(self) -> bool:
        return self.adapter.classes is None or self.adapter.classes.link != "none"

    def choose(self, logits: Tensor) -> Choice:
        row, labels, target = logits[0, 0], self.adapter.info.labels, self.target
        if len(labels) == 1 and target.contrast is not None:
            raise BadOption(
                "This model gives one number, not classes.", "There is nothing to contrast it with."
            )
        if not self._has_probabilities and target.quantity != "logit":
            raise BadOption(
                "This model gives a number, not a probability.", "Explain its 'logit', the number itself."
            )
        ids = classes(labels, target.label, row)
        against = contrasts(labels, target.contrast, [row] * len(ids), ids)
        multi_label = self.adapter.multi_label
        probabilities: tuple[float, ...] = ()
        if self._has_probabilities:
            probabilities = tuple(quantify(row, "probability", multi_label=multi_label).tolist())
        outputs = tuple(
            Output(
                labels[index],
                index,
                UNREAD,
                probabilities[index] if probabilities else None,
                contrast="" if against is None else labels[against[k]],
            )
            for k, index in enumerate(ids)
        )
        return Choice(
            positions=(0,) * len(ids),
            ids=torch.tensor(ids, device=row.device),
            outputs=outputs,
            prediction=Prediction(labels, tuple(row.float().tolist()), probabilities),
            quantity=target.quantity,
            against=None if against is None else torch.tensor(against, device=row.device),
            multi_label=multi_label,
        )
