"""The app as a whole: one engine, the API, the pages, the server around them."""

from __future__ import annotations

import logging
import threading
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from transformers.utils import logging as transformers_logging

from attribution.engine import Engine
from attribution.errors import AttributionError
from attribution.models import devices
from attribution.models.store import Store
from attribution.settings import DEFAULTS, Settings
from components import api
from components.guard import Guard
from components.pages.explain import explain
from components.theme import STYLE, theme

TITLE = "Attribution Visualization Tool"
LEAD = "Type, and see at once which tokens drive a language model's prediction."
ENDPOINTS = ("attribute", "methods", "models")


def build(settings: Settings = DEFAULTS, *, any_model: bool = False) -> tuple[gr.Blocks, Engine]:
    """The page with its API, not yet served. A visitor never names a folder."""
    engine = Engine(settings, Store(settings, any_model=any_model, folders=False))
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=False, delete_cache=(3600, 3600)) as demo:
        api.declare(engine)
        gr.HTML(html_template=f"<header><h1>{TITLE}</h1><p>{LEAD}</p></header>", elem_id="head", apply_default_css=False)
        explain(engine, demo)
    return demo, engine


def serve(
    demo: gr.Blocks, engine: Engine, *, host: str | None = None, port: int | None = None, block: bool = True, **launch: Any
) -> tuple[Any, str, str]:
    """Serve until stopped, or return at once with ``block=False``. The default model loads meanwhile."""
    devices.set_threads()
    transformers_logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    threading.Thread(target=_warm_up, args=(engine,), daemon=True).start()
    return demo.queue(max_size=engine.settings.waiting_requests).launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=not block,
        theme=theme(),
        css=STYLE,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size=engine.settings.max_body_bytes,
        state_session_capacity=500,
        footer_links=["api", "settings"],
        app_kwargs={
            "routes": api.routes(engine),
            "docs_url": "/docs",
            "middleware": [Middleware(Guard, settings=engine.settings, endpoints=ENDPOINTS)],
        },
        **launch,
    )


def _warm_up(engine: Engine) -> None:
    """Load the default model before the first visitor waits for it."""
    try:
        engine.attribute("A first sentence.")
        engine.estimate("A first sentence.")  # times the model, so that later estimates are at hand
    except AttributionError as error:
        logging.getLogger("attribution").warning("the default model could not be loaded: %s", error)
