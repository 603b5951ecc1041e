"""Share a run between the processes of one command, started by accelerate or torchrun.

``accelerate launch --num_processes 2 -m attribution batch …`` starts two processes; on a machine without GPUs
it starts only one, and ``torchrun --nproc-per-node 2 -m attribution batch …`` starts two.

Each process computes its share of the rows and writes its own journal. The processes synchronise once, when
all have started; then the first waits until the others have released their parts, by ending or by being
killed, and writes the files from the results so far.
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
    """The position of this process among those of one command: ``number``, from 0, of ``count``."""

    number: int = 0
    count: int = 1
    state: Any = None

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Group:
        """The group that accelerate or torchrun has started, or that of a single process."""
        if int(environment.get("WORLD_SIZE", "1")) < 2:
            return cls()
        import torch
        from accelerate import PartialState

        # By default, accelerate takes each of several processes on a machine without accelerators for a
        # single one.
        state = PartialState(cpu=not torch.accelerator.is_available())
        return cls(state.process_index, state.num_processes, state)

    @property
    def first(self) -> bool:
        """Whether this is the first process."""
        return self.number == 0

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Context manager: run the block in the first process, then in the others."""
        if self.state is None:
            yield
            return
        with self.state.main_process_first():
            yield

    def meet(self) -> None:
        """Wait until all processes have arrived here."""
        if self.state is not None:
            self.state.wait_for_everyone()

    def leave(self) -> None:
        """End the communication with the other processes."""
        if self.state is not None:
            self.state.destroy_process_group()

    def wait_for_others(self, run: Run) -> None:
        """Wait until no other process holds the lock of a part of the run."""
        with as_batch_errors(run.folder):
            for number in range(self.count):
                if number != self.number:
                    with FileLock(run.folder / lock_name(number, self.count)):
                        pass
