"""Which errors a route may answer, for the OpenAPI document.

What belongs here: the list, by status.
What does not: the errors themselves (``errors.py``).
"""

from typing import Any

from talent_image_pipeline.service.api.models import ErrorAnswer

_MEANINGS = {
    400: "The request cannot be understood.",
    401: "Neither the API token nor a session.",
    403: "A session's request that does not come from its own page.",
    404: "No such talent, batch or address.",
    408: "The request did not come in time.",
    409: "Not possible as things are; the message says why.",
    413: "The body is too large.",
    422: "A field has a value that it cannot have.",
    429: "Too much at once; come again after Retry-After seconds.",
    431: "The request's line and headers are too large.",
    500: "It was tried and failed; the message says why.",
    503: "The database or the picture store does not answer, or the service is stopping.",
}
_ALWAYS = (401, 408, 413, 422, 431, 503)


def error_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of these errors, and of those that every route may answer."""
    return {
        status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in sorted({*_ALWAYS, *statuses})
    }
