"""The complete app: one engine, the API, the pages and the server."""

from __future__ import annotations

import logging
import threading
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from transformers.utils import logging as transformers_logging

from attribution.engine import Engine
from attribution.errors import AttributionError
from attribution.models.sources import devices
from attribution.models.sources.store import Store
from attribution.settings import DEFAULTS, Settings

from . import languages
from .api import batch, endpoints, lists, quality, tools
from .api.batch import BATCH
from .api.comparison import COMPARE
from .api.endpoints import ATTRIBUTE, ESTIMATE
from .api.evaluation import ASSESS, EVALUATE
from .api.gateway.calls import Calls
from .api.gateway.embedding import PageConfigs
from .api.gateway.guard import Guard
from .api.lists import METHODS, METRICS, MODELS
from .api.reference import openapi
from .api.runs import runs_of
from .controls.recording import recorder_of
from .header import Header
from .pages import leave_out_broken, list_pages
from .preload import Preload
from .theme import STYLE, theme

TITLE = "Attribution Visualization Tool"
ENDPOINTS = (ASSESS, ATTRIBUTE, BATCH, COMPARE, ESTIMATE, EVALUATE, METHODS, METRICS, MODELS)


def build(
    settings: Settings = DEFAULTS, *, any_model: bool = False, mcp: bool = False
) -> tuple[gr.Blocks, Engine]:
    """Build the pages and their API, without serving them.

    Visitors cannot load models from folders. With ``mcp``, ``serve`` offers tools to assistants at
    ``/gradio_api/mcp``. Raises ``NotInstalled`` without the package for it, and the errors of
    ``settings.track``.
    """
    if mcp:
        tools.require_package()
    recorder_of(settings)
    engine = Engine(settings, Store(settings, any_model=any_model, folders=False))
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=False, delete_cache=(3600, 3600)) as demo:
        endpoints.declare(engine)
        batch.declare(engine)
        quality.declare(engine)
        lists.declare(settings)
        if mcp:
            tools.declare(engine)
    pages = leave_out_broken(engine)
    for page in pages:
        with demo.route(page.title, page.path) if page.path else demo:
            gr.Navbar(visible=False)  # replaced by the header, which is translated and carries the text along
            Header(page.path, pages)
            page.build(engine, demo)
    return demo, engine


def serve(
    demo: gr.Blocks,
    engine: Engine,
    *,
    host: str | None = None,
    port: int | None = None,
    block: bool = True,
    **launch: Any,
) -> tuple[Any, str, str]:
    """Serve until stopped, or return at once with ``block=False``; the default model loads meanwhile."""
    devices.set_threads()
    transformers_logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    # Not a daemon: a thread inside torch that the end of Python stops would abort the process.
    threading.Thread(target=_warm_up, args=(engine,)).start()
    if recorder := recorder_of(engine.settings):
        recorder.resend()
    has_tools = any(function.api_name in tools.NAMES for function in demo.fns.values())
    served: tuple[Any, str, str] = demo.queue(max_size=engine.settings.waiting_requests).launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        mcp_server=has_tools,
        theme=theme(),
        css=STYLE,
        i18n=languages.i18n(),
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size=engine.settings.upload_bytes,
        state_session_capacity=500,
        footer_links=["api", "settings"],
        app_kwargs={
            "routes": [
                *endpoints.routes(engine),
                *batch.routes(engine, runs_of(engine)),
                *quality.routes(engine),
                *lists.routes(),
                *openapi.routes(engine.settings),
            ],
            "openapi_url": None,
            "middleware": [
                Middleware(Guard, settings=engine.settings),
                Middleware(Calls, endpoints=ENDPOINTS, numbers=_names_by_number(demo)),
                Middleware(PageConfigs, paths=[page.path for page in list_pages()]),
                Middleware(Preload),
            ],
        },
        **launch,
    )
    if server := demo.mcp_server_obj:
        # Of the endpoints, only those that were made for assistants.
        offered = server.tool_to_endpoint.items()
        server.tool_to_endpoint = {
            tool: path for tool, path in offered if path.removeprefix("/") in tools.NAMES
        }
    if block:
        demo.block_thread()
    return served


def _names_by_number(demo: gr.Blocks) -> dict[int, str]:
    """The endpoints' names by the number of their function, under which Gradio's clients call them."""
    return {number: str(function.api_name) for number, function in demo.fns.items()}


def _warm_up(engine: Engine) -> None:
    """Load the default model, so that the first visitor need not wait for it."""
    try:
        engine.attribute("A first sentence.")
        engine.estimate("A first sentence.")  # measures the model, for later estimates
    except AttributionError as error:
        logging.getLogger("attribution").warning("the default model could not be loaded: %s", error)
