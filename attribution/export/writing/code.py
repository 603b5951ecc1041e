"""A request as code that makes it again: with the library, the Python client, REST and curl.

Only what is not the default is written.

This is no file type: it has no extension. Every text is quoted for the language that it stands in; what
cannot be seen (controls, marks of direction) is written as an escape, so that code which was copied does what
it looks like.
"""

from __future__ import annotations

import json
import keyword
import shlex
from typing import TYPE_CHECKING, Any

from attribution.errors import UnknownMethod

if TYPE_CHECKING:
    from attribution.request import Request

SERVER = "http://127.0.0.1:7860"
WIDTH = 100
"""Columns up to which a call stands on one line."""
LONGEST_ARGUMENT = 100_000
"""Bytes of one argument of a command: Linux takes 131,072 (MAX_ARG_STRLEN)."""


def as_code(request: Request, server: str = SERVER) -> dict[str, str]:
    """The same request as code, by ``library``, ``client``, ``rest`` (Python's requests) and ``curl`` (a POSIX shell).

    ``server`` is the address of an app. Servers decide on the revision themselves. A model that was handed
    over as an object stands there by its name: put the object in its place.
    """
    asked, options = request.to_dict(defaults=False), _options(request)
    del asked["text"]
    asked.pop("options", None)
    revision = {"revision": asked.pop("revision")} if "revision" in asked else {}
    body = {"text": request.text, **asked, **({"options": options} if options else {})}
    address = f"{server.rstrip('/')}/api/attribute"
    posted = _call("requests.post", [address], {"json": body, "timeout": 120})
    return {
        "library": "from attribution import attribute\n\nresult = "
        f"{_call('attribute', [request.text], asked | revision, options)}\n",
        "client": "from attribution import Client\n\n"
        f"client = {_call('Client', [server], {})}\nresult = "
        f"{_call('client.attribute', [request.text], asked, options)}\n",
        "rest": f"import requests\n\nanswer = {posted}\nanswer.raise_for_status()\nresult = answer.json()\n",
        "curl": _curl(address, _json(body)),
    }


def _options(request: Request) -> dict[str, Any]:
    """The method's options that differ from its defaults; all of them where the method is not known here."""
    try:
        from attribution.methods import find

        defaults = {option.name: option.default for option in find(request.method).options}
    except (ImportError, UnknownMethod):  # the light client has no torch, and another machine other methods
        defaults = {}
    return {name: value for name, value in request.options if name not in defaults or defaults[name] != value}


def _call(
    function: str, positional: list[Any], named: dict[str, Any], options: dict[str, Any] | None = None
) -> str:
    """A Python call, on one line if it fits."""
    given = named | (options or {})
    plain = {
        name: value for name, value in given.items() if name.isidentifier() and not keyword.iskeyword(name)
    }
    rest = {name: value for name, value in given.items() if name not in plain}
    parts = [*map(_python, positional), *(f"{name}={_python(value)}" for name, value in plain.items())]
    parts += [f"**{_python(rest)}"] if rest else []
    line = f"{function}({', '.join(parts)})"
    if len(line) <= WIDTH or len(parts) == 1:
        return line
    return f"{function}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def _python(value: Any) -> str:
    """A literal. ``repr`` escapes quotes and all that cannot be seen, but prefers single quotes."""
    if isinstance(value, str) and '"' not in value and "'" not in value:
        return f'"{repr(value)[1:-1]}"'
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_python(name)}: {_python(item)}' for name, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    return repr(value)


def _json(body: dict[str, Any]) -> str:
    """One line of JSON, readable in any script; what cannot be seen is escaped."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    return "".join(
        c if c.isprintable() else json.dumps(c)[1:-1] if ord(c) != 0x7F else "\\u007f" for c in text
    )


def _curl(address: str, body: str) -> str:
    head = f"curl -sS {shlex.quote(address)} \\\n  -H 'content-type: application/json'"
    if len(body.encode()) <= LONGEST_ARGUMENT:
        return f"{head} \\\n  --data-raw {shlex.quote(body)}\n"
    return f"printf '%s' {shlex.quote(body)} | {head} \\\n  --data-binary @-\n"
