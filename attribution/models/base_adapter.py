"""The interface common to all models, white-box (``Adapter``) and black-box (``Function``)."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from attribution.formats import show
from attribution.settings import Settings
from attribution.types import ModelInfo, Need

if TYPE_CHECKING:
    import torch

    from attribution.models.tasks import Task


class BaseAdapter(ABC):
    """A model that can be explained.

    Attributes
    ----------
    info : its name, revision, architecture, task and labels.
    task : its task.
    gives : what methods may require of it.
    settings : its limits.
    notes : what a reader of any of its results should know about it.
    """

    gives: frozenset[Need]
    info: ModelInfo
    task: Task
    settings: Settings
    notes: tuple[str, ...] = ()

    KIND: ClassVar[str] = "model"

    def __repr__(self) -> str:
        labels = f", labels {', '.join(self.info.labels[:8])}" if self.info.labels else ""
        more = "…" if len(self.info.labels) > 8 else ""
        return f"<{type(self).__name__} {self.info.name}: {self.task.title}{labels}{more}>"

    def _repr_html_(self) -> str:
        return show(self, self.KIND)

    @property
    @abstractmethod
    def device(self) -> torch.device | None:
        """The device that it computes on; None where that is unknown."""

    @property
    @abstractmethod
    def multi_label(self) -> bool:
        """Whether each class has a probability of its own."""

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Size of the weights in bytes; 0 where they are not in this process."""

    @abstractmethod
    def rows_at_once(self, width: int) -> int:
        """Rows of ``width`` tokens that one batch takes, at least 1."""


def display_name(model: object) -> str:
    """The name of a model for results: its own, the name or path by which it is loaded, or its type."""
    if isinstance(model, BaseAdapter):
        name: str = model.info.name
        return name
    return os.fspath(model) if isinstance(model, str | os.PathLike) else type(model).__name__
