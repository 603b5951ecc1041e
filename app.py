"""Start the app: ``python app.py [--port 8000] [--host 0.0.0.0] [--allow-any-model] [--track "mlflow uri=..."]``."""

from __future__ import annotations

import argparse
import os

# Before gradio and the hub are imported: nothing leaves this machine unasked, and nothing a visitor types is recorded.
for name, value in {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "500",
    "GRADIO_ANALYTICS_MAX_EVENTS": "1000",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ.setdefault(name, value)

from dataclasses import replace  # noqa: E402 - after the environment is set

from attribution.errors import AttributionError  # noqa: E402
from attribution.settings import DEFAULTS  # noqa: E402
from components.application import build, serve  # noqa: E402

parser = argparse.ArgumentParser(description="Attribution Visualization Tool")
parser.add_argument(
    "--host",
    default=os.environ.get("GRADIO_SERVER_NAME"),
    help="address to listen on (default: this machine only)",
)
parser.add_argument(
    "--port", type=int, default=None, help="port to listen on (default: the first free one from 7860)"
)
parser.add_argument(
    "--allow-any-model", action="store_true", help="load any model of the Hub that a visitor names"
)
parser.add_argument(
    "--track",
    default=os.environ.get("ATTRIBUTION_TRACK", ""),
    help="let visitors record what they see with a tracker, e.g. 'mlflow uri=http://127.0.0.1:5000' (default: ATTRIBUTION_TRACK, or none)",
)

if __name__ == "__main__":
    options = parser.parse_args()
    try:
        demo, engine = build(replace(DEFAULTS, track=options.track), any_model=options.allow_any_model)
    except AttributionError as error:
        parser.error(str(error))
    serve(demo, engine, host=options.host, port=options.port)
