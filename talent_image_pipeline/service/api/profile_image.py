"""One talent's picture: what it is, syncing it now, and the app's hook when an account changed.

What belongs here: the three routes, with the shapes of the API that they replace.
What does not: running a sync (``refreshing.py``) and who shows what (``sync/``).
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Body

from talent_image_pipeline.database.audit_queries import AuditAction
from talent_image_pipeline.database.records import INITIALS, MANUAL, Reason
from talent_image_pipeline.errors import UserError
from talent_image_pipeline.operations.profile_image import ProfileImageDescription, describe_profile_image
from talent_image_pipeline.platforms.registry import platform_named
from talent_image_pipeline.service.addresses import avatar_url
from talent_image_pipeline.service.api.models import (
    AccountFailure,
    Answer,
    ConnectedPlatform,
    ProfileImage,
    SyncedImage,
    SyncRequest,
)
from talent_image_pipeline.service.api.responses import error_answers
from talent_image_pipeline.service.api.talent_ids import TalentId, talent_not_found
from talent_image_pipeline.service.auditing import audited
from talent_image_pipeline.service.callers import Authenticated
from talent_image_pipeline.service.dependencies import Dependencies, ServiceDependencies
from talent_image_pipeline.service.errors import ApiError
from talent_image_pipeline.service.refreshing import EndedRun, InterruptedRefreshError, TooManyRefreshesError
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.planning.candidates import reason_to_sync

_SECONDS_UNTIL_LESS_IS_WAITING = 5

router = APIRouter(tags=["profile image"])


@router.get(
    "/talent/{talent_id}/profile-image",
    summary="What a talent shows, and where it can come from",
    responses=error_answers(400, 404),
)
async def get_profile_image(
    talent_id: TalentId, _caller: Authenticated, dependencies: Dependencies
) -> Answer[ProfileImage]:
    """Return a talent's picture, its connected accounts, and whether a sync would do anything."""
    description = await _describe(dependencies, talent_id)
    reason = await _reason_to_sync(dependencies, talent_id)
    talent = description.talent
    return Answer(
        data=ProfileImage(
            talent_id=talent_id,
            talent_name=talent.name,
            profile_image_url=talent.image_url,
            profile_image_source=talent.image_source,
            last_profile_image_sync_at=talent.last_sync_at,
            avatar_url=avatar_url(dependencies.settings, talent_id),
            connected_platforms=[
                ConnectedPlatform(
                    platform=account.platform, handle=account.handle, has_profile_image=account.has_picture
                )
                for account in description.connected
            ],
            can_auto_sync=description.can_sync,
            next_sync_recommended=reason is not None and description.can_sync,
        )
    )


@router.post(
    "/talent/{talent_id}/profile-image/sync",
    summary="Refresh Photo: sync one talent now",
    responses=error_answers(400, 403, 404, 429, 500),
)
async def sync_profile_image(
    talent_id: TalentId,
    caller: Authenticated,
    dependencies: Dependencies,
    request: Annotated[SyncRequest | None, Body()] = None,
) -> Answer[SyncedImage]:
    """Ask the talent's networks now, and answer when what they said is shown.

    Without ``forceRefresh``, a talent that was synced within 24 hours and whose accounts are as they were is answered
    without asking anybody. Whoever asks for a talent that is being synced waits for the same run.
    """
    description = await _describe(dependencies, talent_id)
    force = request is not None and request.force_refresh
    async with audited(dependencies, caller, AuditAction.REFRESH, talent_id=talent_id) as action:
        is_manual = description.talent.image_source == MANUAL
        if is_manual or (not force and await _reason_to_sync(dependencies, talent_id) is None):
            action.message = "set by hand" if is_manual else "synced within a day; nobody was asked"
            return _answer(dependencies.settings, description, run=None)
        run = await _run(lambda: dependencies.refreshing.refresh(talent_id))
        action.run_ids.append(run.run_id)
        answer = await _answer_after(dependencies, talent_id, run)
        action.message = answer.message
        return answer


@router.post(
    "/talent/{talent_id}/profile-image/changed",
    summary="The app's hook: an account was connected, changed or disconnected",
    responses=error_answers(400, 403, 404, 429, 500),
)
async def carry_through_change(
    talent_id: TalentId, caller: Authenticated, dependencies: Dependencies
) -> Answer[SyncedImage]:
    """Do at once what the sensor would do with its next look, and answer when it is shown."""
    description = await _describe(dependencies, talent_id)
    async with audited(dependencies, caller, AuditAction.CHANGED, talent_id=talent_id) as action:
        if await _reason_to_sync(dependencies, talent_id) not in {Reason.ACCOUNT_CHANGED, Reason.NEVER_SYNCED}:
            action.message = "no account differs from what was last seen"
            return _answer(dependencies.settings, description, run=None)
        run = await _run(lambda: dependencies.refreshing.carry_through_change(talent_id))
        action.run_ids.append(run.run_id)
        answer = await _answer_after(dependencies, talent_id, run)
        action.message = answer.message
        return answer


async def _describe(dependencies: ServiceDependencies, talent_id: str) -> ProfileImageDescription:
    rules = dependencies.publishing_rules
    description = await anyio.to_thread.run_sync(
        lambda: describe_profile_image(dependencies.engine, talent_id, rules=rules)
    )
    if description is None:
        raise talent_not_found()
    return description


async def _reason_to_sync(dependencies: ServiceDependencies, talent_id: str) -> Reason | None:
    return await anyio.to_thread.run_sync(
        lambda: reason_to_sync(
            dependencies.engine,
            talent_id,
            now=dependencies.clock(),
            verified_only=dependencies.settings.talent_image_verified_only,
        )
    )


async def _run(ask: Callable[[], Awaitable[EndedRun]]) -> EndedRun:
    try:
        return await ask()
    except TooManyRefreshesError:
        raise ApiError(
            429,
            "TOO_MANY_REQUESTS",
            "Too many refreshes are waiting; try again in some seconds.",
            headers={"Retry-After": str(_SECONDS_UNTIL_LESS_IS_WAITING)},
        ) from None
    except InterruptedRefreshError:
        raise ApiError(503, "INTERRUPTED", "The service is being stopped; try again in a moment.") from None
    except UserError as error:
        raise ApiError(500, "SYNC_FAILED", f"Failed to sync profile image: {error}") from None


async def _answer_after(dependencies: ServiceDependencies, talent_id: str, run: EndedRun) -> Answer[SyncedImage]:
    if run.failure is not None:
        raise _sync_failed(run.failure, run)
    description = await _describe(dependencies, talent_id)
    if description.failed and not description.was_any_read:
        raise _sync_failed(" ".join(_words(failure) for failure in _failures(description)), run)
    return _answer(dependencies.settings, description, run=run)


def _sync_failed(why: str, run: EndedRun) -> ApiError:
    message = f"Failed to sync profile image: {why}"
    return ApiError(500, "SYNC_FAILED", message, details={"runId": run.run_id})


def _answer(settings: Settings, description: ProfileImageDescription, *, run: EndedRun | None) -> Answer[SyncedImage]:
    talent = description.talent
    return Answer(
        message=_message(talent.image_source, was_asked=run is not None),
        data=SyncedImage(
            talent_id=talent.talent_id,
            source=talent.image_source,
            image_url=talent.image_url,
            avatar_url=avatar_url(settings, talent.talent_id),
            synced_at=talent.last_sync_at,
            run_id=None if run is None else run.run_id,
            failures=_failures(description),
        ),
    )


def _message(source: str, *, was_asked: bool) -> str:
    if source == MANUAL:
        return "The profile image was set by hand and stays"
    if source == INITIALS:
        return "No connected account has a picture; the initials are shown"
    return f"Profile image updated from {source}" if was_asked else f"Profile image is up to date, from {source}"


def _failures(description: ProfileImageDescription) -> list[AccountFailure]:
    return [
        AccountFailure(
            platform=failed.platform, handle=failed.handle[:100], outcome=failed.outcome, message=failed.message
        )
        for failed in description.failed
    ]


def _words(failure: AccountFailure) -> str:
    platform = platform_named(failure.platform)
    return f"{platform.label if platform is not None else failure.platform}: {failure.message}"
