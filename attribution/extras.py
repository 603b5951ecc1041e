"""The extra ``app``: what the library and the app need beyond the light client, and how its absence is reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from attribution.errors import NotInstalled

APP = frozenset(
    {
        "accelerate",
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
"""The packages of the extra, by the names that they are imported by."""
INSTALL = "pip install attribution-visualization-tool[app], or ask a server with Client(...)."


@contextmanager
def needs_app() -> Iterator[None]:
    """Context manager for imports: a package of the extra that is missing is ``NotInstalled``."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in APP:
            raise
        raise NotInstalled(f"This needs {package}, which is not installed here.", INSTALL) from error
