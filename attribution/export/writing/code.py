"""Code that reproduces a request with the library, the Python client, REST or curl.

Arguments with default values are left out. Each text is quoted for its language; invisible characters
(controls, bidirectional marks) are escaped, so that copied code does what it looks like. This is not a file
type, since it has no extension.
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
"""Maximum number of columns of a call on one line."""
LONGEST_ARGUMENT = 100_000
"""Maximum number of bytes of a command line argument: Linux allows 131,072 (MAX_ARG_STRLEN)."""


def as_code(request: Request, server: str = SERVER) -> dict[str, str]:
    """The request as code: ``library``, ``client``, ``rest`` (Python's requests) and ``curl`` (POSIX shell).

    ``server`` is the address of an app. The revision is left out of requests to a server, which chooses it. A
    model that was passed as an object appears by its name: replace the name by the object.
    """
    arguments, options = request.to_dict(defaults=False), _changed_options(request)
    del arguments["text"]
    arguments.pop("options", None)
    revision = {"revision": arguments.pop("revision")} if "revision" in arguments else {}
    body = {"text": request.text, **arguments, **({"options": options} if options else {})}
    address = f"{server.rstrip('/')}/api/attribute"
    post_call = _call_code("requests.post", [address], {"json": body, "timeout": 120})
    return {
        "library": "from attribution import attribute\n\nresult = "
        f"{_call_code('attribute', [request.text], arguments | revision, options)}\n",
        "client": "from attribution import Client\n\n"
        f"client = {_call_code('Client', [server], {})}\nresult = "
        f"{_call_code('client.attribute', [request.text], arguments, options)}\n",
        "rest": "import requests\n\n"
        f"answer = {post_call}\nanswer.raise_for_status()\nresult = answer.json()\n",
        "curl": _curl_command(address, _json_line(body)),
    }


def _changed_options(request: Request) -> dict[str, Any]:
    """The options that differ from the method's defaults; all of them if the method is not installed here."""
    try:
        from attribution.methods import find

        defaults = {option.name: option.default for option in find(request.method).options}
    except (ImportError, UnknownMethod):  # a client without torch, or methods of another machine
        defaults = {}
    return {name: value for name, value in request.options if name not in defaults or defaults[name] != value}


def _call_code(
    function: str,
    positional: list[Any],
    keyword_arguments: dict[str, Any],
    options: dict[str, Any] | None = None,
) -> str:
    """Format a Python call, on one line if it fits."""
    keywords = keyword_arguments | (options or {})
    named_arguments = {
        name: value for name, value in keywords.items() if name.isidentifier() and not keyword.iskeyword(name)
    }
    unpacked = {name: value for name, value in keywords.items() if name not in named_arguments}
    parts = [
        *map(_literal, positional),
        *(f"{name}={_literal(value)}" for name, value in named_arguments.items()),
    ]
    parts += [f"**{_literal(unpacked)}"] if unpacked else []
    line = f"{function}({', '.join(parts)})"
    if len(line) <= WIDTH or len(parts) == 1:
        return line
    return f"{function}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def _literal(value: Any) -> str:
    """Format a Python literal, with double quotes unless ``repr`` must escape a quotation mark."""
    if isinstance(value, str) and '"' not in value and "'" not in value:
        return f'"{repr(value)[1:-1]}"'
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(name)}: {_literal(item)}' for name, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)


def _json_line(body: dict[str, Any]) -> str:
    """Encode one line of JSON; only invisible characters are escaped."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    return "".join(
        c if c.isprintable() else json.dumps(c)[1:-1] if ord(c) != 0x7F else "\\u007f" for c in text
    )


def _curl_command(address: str, body: str) -> str:
    command = f"curl -sS {shlex.quote(address)} \\\n  -H 'content-type: application/json'"
    if len(body.encode()) <= LONGEST_ARGUMENT:
        return f"{command} \\\n  --data-raw {shlex.quote(body)}\n"
    return f"printf '%s' {shlex.quote(body)} | {command} \\\n  --data-binary @-\n"
