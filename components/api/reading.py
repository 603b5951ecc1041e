"""The body of a REST request."""

import json
from typing import Any

from fastapi import Request

from attribution.errors import InputError


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object in the body. Raises ``InputError``."""
    return parse_object(await request.body())


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that a body holds. Raises ``InputError``."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "The request body is not JSON.", 'Send {"text": "..."} with the content type application/json.'
        ) from error
    if not isinstance(body, dict):
        raise InputError("The request body is not a JSON object.", 'Send {"text": "..."}.')
    return body
