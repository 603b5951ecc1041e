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


def elements(script: str, style: str) -> str:
    """Script elements for a script and a style sheet.

    Gradio inserts equal script elements once, but a style element for each component, so a script adds the
    style.
    """
    sheet = f"Object.assign(document.createElement('style'), {{ textContent: {json.dumps(style)} }})"
    sources = (f"document.head.append({sheet});" if style else "", script)
    return "".join(f"<script>{source}</script>" for source in sources if source)
