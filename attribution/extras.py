"""The extra ``app``: packages needed beyond the light client, and the error for missing ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from attribution.errors import NotInstalled

APP = frozenset(
    {
        "accelerate",
        "budoux",
        "gradio",
        "lime",
        "psutil",
        "pyarrow",
        "resvg_py",
        "safetensors",
        "scipy",
        "threadpoolctl",
        "tokenizers",
        "torch",
        "transformers",
        "typst",
    }
)
"""The packages of the extra, by import name."""
INSTALL = "pip install attribution-visualization-tool[app], or ask a server with Client(...)."


@contextmanager
def needs_app() -> Iterator[None]:
    """Context manager for imports: raise ``NotInstalled`` for a missing package of the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in APP:
            raise
        raise NotInstalled(f"This needs {package}, which is not installed here.", INSTALL) from error
