"""Every limit and default, in one frozen object. Nothing else in the project holds such a number."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "0.1.0"
DEFAULT_MODEL = "bundled/sst2-minilm"
DEFAULT_METHOD = "integrated_gradients"

MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of one engine. The defaults suit a machine with 2 cores and 16 GiB."""

    max_characters: int = 20_000
    """Characters of one text; a longer one is refused, never cut in silence."""
    max_tokens: int = 512
    """Tokens of one text, special ones included, if the model itself does not take fewer."""
    max_new_tokens: int = 64
    """Tokens that may be generated and explained."""
    rows_per_batch_tokens: int = 1024
    """Token budget of one forward pass: rows × tokens."""
    deadline_seconds: float = 60.0
    """Time for one attribution; checked between forward passes."""
    running_requests: int = 16
    """Requests under way at the same time: they take turns, batch by batch, and share batches where they can."""
    waiting_requests: int = 64
    """Requests that may wait for the engine; one more is refused."""
    cache_bytes: int = 64 * MEBI
    """Finished attributions kept in memory."""
    store_bytes: int = 6 * 1024 * MEBI
    """Weights kept in memory over all models."""
    max_model_bytes: int = 1536 * MEBI
    """Weights of one model, as the Hub states them before anything is downloaded."""
    max_config_bytes: int = MEBI
    """Size of a model's ``config.json``."""
    max_model_files: int = 32
    """Files of one model that are downloaded."""
    hub_timeout_seconds: float = 5.0
    """Time for the Hub to answer about a model."""
    max_body_bytes: int = 2 * MEBI
    """Size of a request body: above the longest text, so that a text that is too long is told so in words."""
    requests_per_second: float = 30.0
    """Requests of one client, over a burst of ``request_burst``."""
    request_burst: int = 90
    """Requests of one client at once."""
    compared_methods: int = 6
    """Methods that one request to a server may compare."""
    compared_models: int = 4
    """Models that one request to a server may compare."""
    max_image_pixels: int = 8192
    """Width and height of an exported picture."""
    memory_share: float = 0.8
    """The share of a device's free memory that a model's weights may take; the rest is for what is computed with them."""


DEFAULTS = Settings()
