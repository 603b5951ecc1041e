"""What the training scripts share: a schedule, averaged weights, and the way a model is written to disk."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file


def warmup_then_linear(step: int, steps: int, warmup: float = 0.06) -> float:
    """Factor of the learning rate at ``step``: linear warm-up over a share, then linear decay to 0."""
    rise = max(1, int(steps * warmup))
    return step / rise if step < rise else max(0.0, (steps - step) / max(1, steps - rise))


class Averaged:
    """An exponential moving average of a model's floating-point weights (Polyak & Juditsky 1992)."""

    def __init__(self, model: torch.nn.Module, decay: float = 0.999) -> None:
        self.model, self.decay = copy.deepcopy(model).eval(), decay
        self.steps = 0

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for mean, new in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(new, 1 - keep)


def train(
    model: torch.nn.Module,
    batches: Callable[[int], Iterable[dict]],
    loss_of: Callable[[torch.nn.Module, dict], torch.Tensor],
    *,
    epochs: int,
    learning_rate: float,
    weight_decay: float = 0.01,
    average: float = 0.999,
    report: int = 200,
    after_epoch: Callable[[torch.nn.Module, int], None] | None = None,
) -> torch.nn.Module:
    """Train with AdamW and return the averaged model.

    ``batches(epoch)`` gives the same number of batches in every epoch.
    """
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=learning_rate,
        fused=True,
    )
    mean = Averaged(model, average)
    step, started = 0, time.monotonic()
    steps = 0
    for epoch in range(epochs):
        model.train()
        todo = list(batches(epoch))
        steps = steps or epochs * len(todo)
        for batch in todo:
            factor = warmup_then_linear(step, steps)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * factor
            loss = loss_of(model, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            mean.update(model)
            step += 1
            if step % report == 0:
                rate = step / (time.monotonic() - started)
                left = f"{(steps - step) / rate / 60:.1f} min left"
                print(
                    f"epoch {epoch + 1} step {step}/{steps} loss {loss.item():.4f} {rate:.1f}/s {left}",
                    flush=True,
                )
        if after_epoch:
            after_epoch(mean.model, epoch)
    return mean.model


def by_length(
    lengths: list[int], size: int, generator: torch.Generator, window: int = 50
) -> Iterator[list[int]]:
    """Indices in random batches of ``size`` rows of similar length, sorted within ``window`` batches."""
    order = torch.randperm(len(lengths), generator=generator).tolist()
    batches = []
    for start in range(0, len(order), size * window):
        chunk = sorted(order[start : start + size * window], key=lengths.__getitem__)
        batches += [chunk[i : i + size] for i in range(0, len(chunk), size)]
    for i in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[i]


def save_half(model: torch.nn.Module, folder: Path) -> None:
    """Write half-precision safetensors with a configuration of ``float32``, in which models compute."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.dtype = torch.float32
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.save_pretrained(folder)
    tied = set(getattr(model, "_tied_weights_keys", None) or {})
    weights = {
        n: t.half().contiguous() if t.is_floating_point() else t
        for n, t in model.state_dict().items()
        if n not in tied
    }
    for name, tensor in weights.items():
        if not math.isfinite(tensor.float().abs().max().item()):
            raise ValueError(f"{name} does not fit in half precision")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
