"""What the controls of the live page say, as the engine takes it; and the same in the browser, for files and links."""

import json
from dataclasses import dataclass
from typing import Any

from attribution.models.labels import EVERY

ITSELF = "the model's own prediction"
"""The choice in the target list that stands for no target."""

EVERYTHING = "every label"
NOTHING = "nothing else"
"""The choice in the contrast list that stands for no contrast."""
POSITION_HELP = "Which token: a number from 0, several with commas, or 'sequence' for the whole written text. Empty: all."
CONTINUATION_HELP = "Explain this text instead of what the model would write."


@dataclass(frozen=True)
class Asked:
    """What the controls say, as the engine takes it."""

    text: str
    model: str
    method: str
    arguments: dict[str, Any]

    @classmethod
    def of(cls, names: tuple[str, ...], values: tuple[Any, ...]) -> "Asked":
        """From the values of the controls; a position that cannot be read is left to the engine to refuse."""
        text, model, method, target, quantity, length, second, contrast, position, continuation, *rest = values
        options = {key.split(".")[1]: value for key, value in zip(names, rest, strict=True) if key.split(".")[0] == method}
        arguments = {
            "target": None if target in (None, "", ITSELF) else EVERY if target == EVERYTHING else target,
            "quantity": quantity,
            "max_new_tokens": int(length),
            "second": second or None,
            "contrast": None if contrast in (None, "", NOTHING) else contrast,
            "position": written_position(position or ""),
            "continuation": continuation or None,
            "options": options,
        }
        return cls(text, model, method, arguments)


def written_position(written: str) -> Any:
    """``3``, ``0, 2, 5`` or ``sequence`` as the engine takes it."""
    parts = [part.strip() for part in written.split(",") if part.strip()]
    if parts and all(part.isdecimal() for part in parts):
        numbers = [int(part[:9]) for part in parts]
        return numbers[0] if len(numbers) == 1 else numbers
    return written.strip() or None


# The browser asks for a file, or builds a link, from the same values that draw the picture.
_BODY = """
const names = %s;
const body = { text, model, method, quantity, max_new_tokens: length };
if (target && target !== %s) body.target = target === %s ? "*" : target;
if (contrast && contrast !== %s) body.contrast = contrast;
if (second) body.second = second;
if (continuation) body.continuation = continuation;
const places = (position || "").split(",").map((part) => part.trim()).filter(Boolean);
const numbers = places.every((part) => /^[0-9]+$/.test(part)) ? places.map(Number) : null;
if (places.length) body.position = numbers ? (numbers.length === 1 ? numbers[0] : numbers) : position.trim();
const options = {};
names.forEach((name, i) => { if (name.split(".")[0] === method) options[name.split(".")[1]] = values[i]; });
"""


def _body(names: tuple[str, ...]) -> str:
    return _BODY % tuple(json.dumps(value) for value in (names, ITSELF, EVERYTHING, NOTHING))


def download(kind: str, names: tuple[str, ...]) -> str:
    return f"""async (text, model, method, target, quantity, length, second, contrast, position, continuation, ...values) => {{
{_body(names)}
body.options = options;
const answer = await fetch(new URL("api/export/{kind}", document.baseURI), {{
  method: "POST", headers: {{ "content-type": "application/json" }}, body: JSON.stringify(body) }});
if (!answer.ok) {{ const error = await answer.json(); return error.message + " " + error.hint; }}
const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))[1];
const file = document.createElement("a");
file.href = URL.createObjectURL(await answer.blob());
file.download = name;
file.click();
setTimeout(() => URL.revokeObjectURL(file.href), 10000);
return "Saved " + name;
}}"""


def share(names: tuple[str, ...]) -> str:
    return f"""(text, model, method, target, quantity, length, second, contrast, position, continuation, ...values) => {{
{_body(names)}
const link = new URL(window.location.pathname, window.location.href);
Object.entries({{ ...body, ...options }}).forEach(([name, value]) => link.searchParams.set(name, value));
navigator.clipboard?.writeText(link.href).catch(() => {{}});
return link.href;
}}"""
