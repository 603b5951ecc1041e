"""Start the app: the pages, the REST interface and the API of the Python client.

python -m attribution serve --port 8000
python -m attribution serve --host 0.0.0.0 --track "mlflow uri=http://127.0.0.1:5000"
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from attribution.commands.common import process
from attribution.errors import BusyError, quote
from attribution.pages import load_interface
from attribution.settings import DEFAULTS

LOGS = True
"""A server keeps its logs."""
ANALYTICS: Mapping[str, str] = {
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "500",
    "GRADIO_ANALYTICS_MAX_EVENTS": "1000",
}
"""Gradio summarises the last events of its queue after each event, which takes 13 ms for 10,000 events."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: the address to listen on, and permissions of visitors."""
    parser.add_argument(
        "--host",
        default=os.environ.get("GRADIO_SERVER_NAME"),
        help="address to listen on (default: this machine only)",
    )
    parser.add_argument(
        "--port", type=_port, help="port to listen on (default: the first free one from 7860)"
    )
    parser.add_argument(
        "--allow-any-model", action="store_true", help="let visitors load any model of the Hub"
    )
    parser.add_argument(
        "--mcp",
        action=argparse.BooleanOptionalAction,
        default=_has_tools_by_default(),
        help="offer tools to assistants at /gradio_api/mcp (default: ATTRIBUTION_MCP; on a Space, yes)",
    )
    parser.add_argument(
        "--track",
        default=os.environ.get("ATTRIBUTION_TRACK", ""),
        help="let visitors record results with a tracker, e.g. 'mlflow uri=http://127.0.0.1:5000' "
        "(default: ATTRIBUTION_TRACK, or none)",
    )


def _has_tools_by_default() -> bool:
    """What the environment says of ``--mcp``; Gradio's own variable counts, too."""
    setting = os.environ.get("ATTRIBUTION_MCP") or os.environ.get("GRADIO_MCP_SERVER")
    if setting is None:
        return os.environ.get("SYSTEM") == "spaces"
    return setting.strip().lower() in ("1", "true", "yes", "on")


def run(arguments: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """Serve until interrupted. Raises ``NotInstalled``, and the errors of ``--track``."""
    process.set_defaults({**process.PRIVATE, **ANALYTICS})  # before gradio is imported
    application = load_interface("application")
    demo, engine = application.build(
        replace(DEFAULTS, track=arguments.track), any_model=arguments.allow_any_model, mcp=arguments.mcp
    )
    process.resume_collection()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a redirected log shows the address at once
    try:
        application.serve(demo, engine, host=arguments.host, port=arguments.port)
    except OSError as error:
        place = "No port from 7860 is free" if arguments.port is None else f"Port {arguments.port} is taken"
        raise BusyError(f"{place} ({str(error)[:200]}).", "Name a free one with --port.") from error
    return 0


def _port(written: str) -> int:
    """A port. Raises ``ArgumentTypeError``, which the parser reports."""
    if not written.isdecimal() or not 1 <= int(written[:6]) <= 65535:
        raise argparse.ArgumentTypeError(f"{quote(written)} is no port: name one from 1 to 65535")
    return int(written)
