"""Which rows this process computes when accelerate runs several.

``accelerate launch --num_processes 2 -m attribution batch …`` starts two.

On a machine without GPUs ``accelerate launch`` starts one process only; ``torchrun --nproc-per-node 2 -m
attribution batch …`` starts two.

Each process takes its share of the rows and journals it by itself. They meet once, when all have begun; then
the first one waits until the others have let go of their parts, by ending or by being killed, and makes the
files of whatever is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from filelock import FileLock

from attribution.batch.disk import as_batch_errors
from attribution.batch.folder import lock_name
from attribution.batch.run import Run


@dataclass(frozen=True)
class Group:
    """The place of this process among those of one command: the ``number``-th, from 0, of ``count``."""

    number: int = 0
    count: int = 1
    state: Any = None

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Group:
        """The one that accelerate started, or a process alone."""
        if int(environment.get("WORLD_SIZE", "1")) < 2:
            return cls()
        import torch
        from accelerate import PartialState

        # Without being told, accelerate takes several processes of a machine without accelerators for one
        # each.
        state = PartialState(cpu=not torch.accelerator.is_available())
        return cls(state.process_index, state.num_processes, state)

    @property
    def first(self) -> bool:
        return self.number == 0

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """The first process goes through the block, then the others."""
        if self.state is None:
            yield
            return
        with self.state.main_process_first():
            yield

    def meet(self) -> None:
        """Go on when all have come here."""
        if self.state is not None:
            self.state.wait_for_everyone()

    def leave(self) -> None:
        """Nothing more is said to the others."""
        if self.state is not None:
            self.state.destroy_process_group()

    def others_ended(self, run: Run) -> None:
        """Wait until no other process holds a part of the run."""
        with as_batch_errors(run.folder):
            for number in range(self.count):
                if number != self.number:
                    with FileLock(run.folder / lock_name(number, self.count)):
                        pass
