"""The limits of engines and servers that an operator may want to change, with their defaults.

They say what requests may ask for, and how much time, memory, disk and computation all of them may take.
Constants that follow from an algorithm, a protocol or a layout (a number of quadrature points, a tolerance,
a polling interval, the capacity of an internal buffer, the words of a list) stand beside the code that uses
them. So do the limits that callers choose for themselves, such as those of ``remote``.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "0.1.0"
DEFAULT_MODEL = "bundled/sst2-minilm"


class Unnamed(str):
    """The name of a method that nobody chose; where it does not fit a model, ``FALLBACK_METHOD`` does."""

    __slots__ = ()


DEFAULT_METHOD = Unnamed("integrated_gradients")
FALLBACK_METHOD = "occlusion"
"""Fits every model: it needs no more than answers to changed texts, and few of them."""

MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of one engine. The defaults suit a machine with 2 cores and 16 GiB."""

    max_characters: int = 20_000
    """Characters of one text; a longer one is refused, never truncated."""
    max_tokens: int = 512
    """Tokens of one text, special ones included, if the model itself does not take fewer."""
    max_new_tokens: int = 64
    """Tokens that may be generated and explained."""
    rows_per_batch_tokens: int = 1024
    """Token budget of one forward pass: rows × tokens."""
    deadline_seconds: float = 60.0
    """Time for one attribution; checked between forward passes."""
    running_requests: int = 16
    """Requests computed at the same time: they take turns, and share batches where they can."""
    waiting_requests: int = 64
    """Requests that may wait for the engine; one more is refused."""
    cache_bytes: int = 64 * MEBI
    """Finished attributions kept in memory."""
    shared_bytes: int = 64 * MEBI
    """Embeddings and gradients of texts, kept in memory for several methods to share."""
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
    """Size of a request body: above the longest text, so that a text that is too long gets its own error."""
    requests_per_second: float = 30.0
    """Requests of one client, over a burst of ``request_burst``."""
    request_burst: int = 90
    """Requests of one client at once."""
    remembered_clients: int = 10_000
    """Clients whose recent requests are counted; those silent for longest are forgotten first."""
    compared_methods: int = 6
    """Methods that one request to a server may compare."""
    compared_models: int = 4
    """Models that one request to a server may compare."""
    evaluated_texts: int = 200
    """Texts over which one request to a server may measure the quality of explanations."""
    evaluated_methods: int = 8
    """Methods that one such request may measure."""
    evaluated_metrics: int = 8
    """Metrics that it may measure them by."""
    evaluation_seconds: float = 600.0
    """Time for an evaluation on a server; after it no text is begun, and the finished ones are returned."""
    running_evaluations: int = 2
    """Evaluations that requests to a server run at the same time; further ones wait."""
    waiting_evaluations: int = 8
    """Evaluations that may wait; one more is refused."""
    assessment_seconds: float = 10.0
    """Time that a request to a server may ask for an assessment of one text's explanations."""
    max_row_characters: int = MEBI
    """Characters of one row of a table."""
    max_columns: int = 1000
    """Columns of a table."""
    max_table_bytes: int = 64 * MEBI
    """Size of a table that must be read as a whole (JSON), or that comes from a visitor."""
    row_seconds: float = 600.0
    """Time for one attribution of a run over a table, where many are computed at the same time."""
    upload_bytes: int = 8 * MEBI
    """Size of a table that a visitor uploads."""
    run_rows: int = 2000
    """Rows of a visitor's run over a table."""
    run_columns: int = 50
    """Columns of a visitor's table."""
    run_attributions: int = 4000
    """Rows × models × methods of a visitor's run."""
    runs_at_once: int = 2
    """Runs, and calls with many rows, that compute at the same time; others wait."""
    runs_of_one: int = 2
    """Runs of one visitor that compute or wait."""
    runs_waiting: int = 16
    """Runs of all visitors that compute or wait; one more is refused."""
    runs_kept: int = 64
    """Runs on the server's disk; those not opened for the longest time are deleted first."""
    run_bytes: int = 2048 * MEBI
    """Disk that the runs may take together; one more is refused while they take more."""
    run_hours: float = 12.0
    """Hours after which a run that nobody opened is deleted."""
    running_calls: int = 8
    """Calls with many rows that a server answers over REST at the same time; one more is refused."""
    call_rows: int = 256
    """Rows of one call of the endpoint for many rows."""
    max_image_pixels: int = 8192
    """Width and height of an exported picture."""
    track: str = ""
    """The tracker of visitors with its settings: ``mlflow uri=http://127.0.0.1:5000``; empty: none."""
    running_recordings: int = 2
    """Attributions of visitors that are sent to the tracker at the same time, each by its own process."""
    tracker_queue: int = 1000
    """Items for a tracker that may wait in memory to be written to disk."""
    spool_bytes: int = 256 * MEBI
    """What may wait on disk for the tracker of one run."""
    tracker_finish_seconds: float = 10.0
    """Time for a tracker to take what is left when a run has ended."""
    tracker_stalled_seconds: float = 60.0
    """Time for a tracker to take one item when its run has ended, where nobody waits."""
    memory_share: float = 0.8
    """The share of a device's free memory that a model's weights may take; the rest is for computing."""


DEFAULTS = Settings()
