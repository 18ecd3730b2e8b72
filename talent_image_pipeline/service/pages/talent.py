"""``/talents/{id}``: everything about one talent's picture, with the buttons to change it.

What belongs here: what the template needs, from the same description that the API answers with.
What does not: gathering it (``operations/explain.py``) and doing what the buttons ask for (``api/``).
"""

from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from talent_image_pipeline.pictures.initials.drawing import initials_of
from talent_image_pipeline.service.addresses import run_url
from talent_image_pipeline.service.api.models import AuditDetail, TalentDetail
from talent_image_pipeline.service.api.talent_ids import talent_in_path
from talent_image_pipeline.service.api.talents import load_detail
from talent_image_pipeline.service.dependencies import dependencies_of
from talent_image_pipeline.service.errors import ApiError
from talent_image_pipeline.service.pages.rendering import ago, for_people, page, source_label
from talent_image_pipeline.service.sessions import Session
from talent_image_pipeline.settings import Settings


@for_people
async def show_talent(request: Request, session: Session) -> Response:
    """Show one talent; a page that says so for an id that nobody has."""
    dependencies = dependencies_of(request)
    talent_id: str = request.path_params["talent_id"]
    try:
        detail = await load_detail(dependencies, talent_in_path(talent_id))
    except ApiError:
        nobody = {"title": "No such talent", "talent_id": talent_id}
        return page(request, "no_such_talent.html", nobody, session=session, status=404)
    context = {
        "title": detail.name or detail.talent_id,
        "talent": detail,
        "initials": initials_of(detail.name),
        "source": source_label(detail.source),
        "synced": ago(detail.last_sync_at, dependencies.clock()),
        "what_to_do": _what_to_do(detail),
        "pictures": [account for account in detail.accounts if account.picture_url],
        "own_picture": own_picture,
        "audit": [_audit_row(dependencies.settings, entry, dependencies.clock()) for entry in detail.audit],
    }
    return page(request, "talent.html", context, session=session)


def own_picture(address: str | None) -> str | None:
    """Return the part of a stored picture's public address that this service answers: ``/images/<hash>/<size>.webp``.

    The page loads pictures from its own origin, wherever the public address leads.
    """
    if address is None:
        return None
    parts = PurePosixPath(urlsplit(address).path).parts
    return "/" + "/".join(parts[-3:])


def _what_to_do(detail: TalentDetail) -> list[str]:
    """Return each connected account's failure, with the account that it is about."""
    return [
        f"{source_label(account.platform.strip().lower())}, {account.handle}: {account.failure}"
        for account in detail.accounts
        if account.connected and account.failure
    ]


def _audit_row(settings: Settings, entry: AuditDetail, now: datetime) -> dict[str, object]:
    return {
        "entry": entry,
        "when": ago(entry.started_at, now),
        "runs": [(run_id[:8], run_url(settings, run_id)) for run_id in entry.run_ids],
    }
