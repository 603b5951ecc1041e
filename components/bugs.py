"""Unexpected errors: logged under a number that a visitor can report, and never shown as they are."""

import logging
import uuid

from attribution.errors import AttributionError

log = logging.getLogger("attribution")


def bug() -> AttributionError:
    """Log the exception being handled, without the visitor's text, and return what may be shown of it."""
    number = uuid.uuid4().hex[:8]
    log.exception("error %s", number)
    return AttributionError(
        "Something went wrong on our side.",
        f"If it happens again, please report it with the number {number}.",
    )
