"""What every model behind the door offers, whether its inside can be reached or it only answers texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from attribution.settings import Settings
from attribution.types import ModelInfo, Need

if TYPE_CHECKING:
    import torch

    from attribution.models.tasks import Task


class BaseAdapter(ABC):
    """A model that f can be asked of.

    Attributes
    ----------
    info : its name, revision, architecture, task and labels.
    task : what it is for.
    gives : what methods can ask of it.
    settings : the limits that hold for it.
    """

    gives: frozenset[Need]
    info: ModelInfo
    task: Task
    settings: Settings

    @property
    @abstractmethod
    def device(self) -> torch.device | None:
        """Where it computes; None where that is not known."""

    @property
    @abstractmethod
    def multi_label(self) -> bool:
        """Whether each class has a probability of its own."""

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Memory of the weights; 0 where they are elsewhere."""

    @abstractmethod
    def rows_at_once(self, width: int) -> int:
        """Rows of ``width`` tokens that one batch takes, at least 1."""
