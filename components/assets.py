"""Scripts and style sheets, made safe to stand inside the elements of an HTML page."""

import json
from functools import cache
from pathlib import Path

STATIC = Path(__file__).with_name("static")


@cache
def asset(path: Path) -> str:
    """The text of a script or style sheet."""
    return inline(path.read_text(encoding="utf-8"))


def inline(source: str) -> str:
    """A script that can stand in a script element, which a browser ends at "</script" wherever it stands."""
    return source.replace("</script", "<\\/script")


def as_json(value: object) -> str:
    """A value as JSON that can stand in a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


SHARED = (
    "<script>globalThis.attributionShared ??= (() => {"
    "let open; const ready = new Promise((done) => (open = done)); return Object.assign(ready, { open });"
    "})();</script>"
)
"""The script element that defines a promise: the scripts that all pictures share have run."""
OPEN_SHARED = "<script>attributionShared.open();</script>"
"""The script element that keeps the promise."""


def elements(script: str, style: str) -> str:
    """Script elements for a script and a style sheet.

    Gradio inserts equal script elements once, but a style element for each component, so a script adds the
    style.
    """
    sources = (_append_style(style), script)
    return "".join(f"<script>{source}</script>" for source in sources if source)


def elements_after_shared(script: str, style: str) -> str:
    """The same, for what stands on the shared scripts: Gradio mounts components in any order."""
    source = f"{_append_style(style)}\n{script}"
    return f"{SHARED}<script>attributionShared.then(() => {{{source}\n}});</script>"


def _append_style(style: str) -> str:
    sheet = f"Object.assign(document.createElement('style'), {{ textContent: {json.dumps(style)} }})"
    return f"document.head.append({sheet});" if style else ""
