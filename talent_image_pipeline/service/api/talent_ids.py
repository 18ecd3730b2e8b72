"""The talent that an address names.

What belongs here: refusing blank and impossible ids.
What does not: whether the app knows the talent (the routes ask).
"""

from typing import Annotated

from fastapi import Depends, Path

from talent_image_pipeline.service.errors import ApiError


def talent_in_path(talent_id: Annotated[str, Path(description="The talent's id in the app.")]) -> str:
    """Return the id that an address names.

    Raises:
        ApiError: 400 for a blank one; 404 for one that no database can hold.
    """
    if not talent_id.strip():
        raise ApiError(400, "VALIDATION_ERROR", "Talent ID is required")
    if "\0" in talent_id or not _is_encodable(talent_id):
        raise talent_not_found()
    return talent_id


def talent_not_found() -> ApiError:
    """Return the error for an id that nobody has."""
    return ApiError(404, "NOT_FOUND", "Talent not found")


TalentId = Annotated[str, Depends(talent_in_path)]


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
