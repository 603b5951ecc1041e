"""Calls of the caller's model and tokenizer: what they raise becomes ``Unsupported`` with its reason.

Only their errors: an exception whose innermost frame is this package's own is a bug, and stays what it is.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from attribution.errors import AttributionError, Unsupported

Action = Literal["copy", "forward", "backward", "generate", "tokenize"]

AS_FUNCTION = "Load it as a function of texts: load(function, labels=...)."
_WORDS: dict[Action, tuple[str, str]] = {
    "copy": ("cannot be copied", AS_FUNCTION),
    "forward": ("cannot be called with embeddings", AS_FUNCTION),
    "backward": (
        "gives no gradient of its answer",
        "Methods that only change the text work for it, such as occlusion.",
    ),
    "generate": ("cannot write on from this text", "Give the text to explain as continuation."),
    "tokenize": ("cannot read this text", "Use the tokenizer that was saved with the model."),
}
_OWN = Path(__file__).parents[2]
_TORCH, _STANDARD = Path(torch.__file__).parent, Path(sysconfig.get_path("stdlib"))
CHARACTERS = 200
"""Of an error's first line, in a message."""


def call(model: Any, **arguments: Any) -> Any:
    """The answer of a model. Raises ``Unsupported`` for whatever it raises.

    Embeddings are handed over as copies: some architectures (CTRL) scale them in place.
    """
    copies = {
        name: value.clone() if name.endswith("inputs_embeds") and isinstance(value, Tensor) else value
        for name, value in arguments.items()
    }
    with translate_errors(model, "forward"):
        return model(**copies)


def differentiate(model: Any, values: Any, inputs: Any, **options: Any) -> Sequence[Tensor]:
    """``torch.autograd.grad`` through a model. Raises ``Unsupported`` for whatever it raises."""
    with translate_errors(model, "backward"):
        gradients: Sequence[Tensor] = torch.autograd.grad(values, inputs, **options)
    return gradients


@contextmanager
def translate_errors(owner: object, action: Action) -> Iterator[None]:
    """Context manager: what ``owner``, a model or a tokenizer, raises is raised as ``Unsupported``.

    The block should hold the one call. Errors of this package's own code, and of memory that runs out, pass.
    """
    try:
        yield
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"  # of the Rust code of tokenizers
        passes = isinstance(error, AttributionError) or is_out_of_memory(error) or _is_own(error)
        if passes or not (is_panic or isinstance(error, Exception)):
            raise
        what, hint = _WORDS[action]
        raise Unsupported(f"{type(owner).__name__} {what}: {_describe(error)}.", hint) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, which fewer rows may help."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _is_own(error: BaseException) -> bool:
    """Whether the innermost frame, but for torch and the standard library, is this package's own.

    The first two frames are those of ``translate_errors`` and of its block.
    """
    frames = list(traceback.walk_tb(error.__traceback__))[2:]
    paths = [Path(frame.f_code.co_filename) for frame, _ in frames]
    innermost = next((path for path in reversed(paths) if not _is_neutral(path)), None)
    return innermost is not None and innermost.is_relative_to(_OWN)


def _is_neutral(path: Path) -> bool:
    """Whether code runs on behalf of its caller."""
    if path.is_relative_to(_TORCH):
        return True
    return path.is_relative_to(_STANDARD) and not {"site-packages", "dist-packages"} & set(path.parts)


def _describe(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or ["no reason is given"]
    return f"{type(error).__name__}: {lines[0][:CHARACTERS].rstrip('.')}"
