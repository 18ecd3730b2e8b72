"""Everything that can go wrong with a request, in one shape: ``{"success": false, "error": {"code", "message"}}``.

What belongs here: the error that routes raise, and turning every other exception into an answer without its insides.
What does not: when to raise which.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from talent_image_pipeline.pictures.store.picture_store import PictureStoreUnavailableError
from talent_image_pipeline.service.caching import RETRY_AFTER_SECONDS
from talent_image_pipeline.service.safe_headers import SAFE_HEADERS

_log = logging.getLogger(__name__)

_CODES = {404: ("NOT_FOUND", "There is nothing at this address."), 405: ("METHOD_NOT_ALLOWED", "Not that method.")}
_NO_STORE = {"Cache-Control": "no-store"}


class ApiError(Exception):
    """A request that cannot be answered as asked.

    Attributes:
        status: The HTTP status.
        code: For programs.
        message: For people: what is wrong and what to do.
        details: More for programs, free of secrets.
        headers: To send along.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers or {}


def add_error_handlers(app: FastAPI) -> None:
    """Answer every exception that a route lets through in the one shape."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        ApiError: _answer_api_error,
        RequestValidationError: _answer_invalid_request,
        HTTPException: _answer_http_exception,
        sa.exc.SQLAlchemyError: _answer_database_error,
        PictureStoreUnavailableError: _answer_store_error,
        Exception: _answer_defect,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def error_response(error: ApiError) -> Response:
    """Return the answer for an error."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.details is not None:
        body["details"] = dict(error.details)
    headers = {**_NO_STORE, **error.headers}
    return JSONResponse({"success": False, "error": body}, status_code=error.status, headers=headers)


async def _answer_api_error(_request: Request, error: ApiError) -> Response:
    return error_response(error)


async def _answer_invalid_request(_request: Request, error: RequestValidationError) -> Response:
    """Say which fields are wrong. What was sent is not repeated: it may be anything, of any size."""
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return error_response(ApiError(400, "INVALID_JSON", "The body is not JSON."))
    fields = [
        {"field": ".".join(_printable(part) for part in problem["loc"]), "message": str(problem["msg"])[:200]}
        for problem in problems[:20]
    ]
    message = "; ".join(f"{field['field']}: {field['message']}" for field in fields[:3])
    return error_response(ApiError(422, "VALIDATION_ERROR", message, details={"fields": fields}))


async def _answer_http_exception(_request: Request, error: HTTPException) -> Response:
    code, message = _CODES.get(error.status_code, ("BAD_REQUEST", "The request cannot be understood."))
    return error_response(ApiError(error.status_code, code, message, headers=error.headers))


async def _answer_database_error(_request: Request, error: sa.exc.SQLAlchemyError) -> Response:
    _log.error("[TALENT_IMAGE] the database does not answer: %s", type(error).__name__)
    return error_response(_unavailable("The database does not answer; try again in a moment."))


async def _answer_store_error(_request: Request, error: PictureStoreUnavailableError) -> Response:
    _log.error("[TALENT_IMAGE] %s", error)
    return error_response(_unavailable("The picture store does not answer; try again in a moment."))


async def _answer_defect(_request: Request, _defect: Exception) -> Response:
    """Answer 500 after a defect of ours, outside of all middleware; the web server logs it."""
    response = error_response(
        ApiError(500, "INTERNAL_ERROR", "Something went wrong here; the service's log says what.")
    )
    response.headers.update(SAFE_HEADERS)
    return response


def _unavailable(message: str) -> ApiError:
    return ApiError(503, "UNAVAILABLE", message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _printable(part: object) -> str:
    return "".join(character if character.isprintable() else "?" for character in str(part))[:80]
