"""The talents: the list, one in full, its pin, and the figures over all of them.

What belongs here: the routes that the pages are built on.
What does not: the queries and words behind them (``operations/``).
"""

import base64
import json
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Body, Query

from talent_image_pipeline.database.audit_queries import AuditAction, AuditEntry, latest_entries
from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.gallery_queries import PictureState
from talent_image_pipeline.database.records import VersionRecord
from talent_image_pipeline.operations.explain import AccountDescription, TalentDescription, describe_talent
from talent_image_pipeline.operations.overview import MOST_PER_PAGE, TalentSummary, count_states, list_talents
from talent_image_pipeline.operations.statistics import Statistics, gather_statistics
from talent_image_pipeline.pictures.store.keys import LARGEST_SIZE
from talent_image_pipeline.service.addresses import avatar_url, picture_url, run_url
from talent_image_pipeline.service.api.models import (
    AccountDetail,
    Answer,
    AuditDetail,
    FreshnessFigures,
    HistoryEntry,
    PinDetail,
    PinRequest,
    PlatformDayFigures,
    QuotaFigures,
    SearchText,
    StatisticsFigures,
    TalentDetail,
    TalentList,
    TalentListItem,
    TimeToLiveFigures,
)
from talent_image_pipeline.service.api.responses import error_answers
from talent_image_pipeline.service.api.talent_ids import TalentId, talent_not_found
from talent_image_pipeline.service.auditing import audited
from talent_image_pipeline.service.callers import Authenticated
from talent_image_pipeline.service.dependencies import Dependencies, ServiceDependencies
from talent_image_pipeline.service.errors import ApiError
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.planning.candidates import UnknownTalentError
from talent_image_pipeline.sync.publishing.pins import (
    PinningRefusedError,
    pin_account_picture,
    roll_back,
    unpin,
)

_AUDIT_SHOWN = 20
_LONGEST_CURSOR = 2000

router = APIRouter(tags=["talents"])


@router.get("/talents", summary="The talents, a page at a time", responses=error_answers(400))
async def get_talents(
    _caller: Authenticated,
    dependencies: Dependencies,
    search: Annotated[SearchText, Query(description="Part of a name or a handle, or a whole id.")] = "",
    source: Annotated[
        list[SearchText] | None, Query(description="Only with a picture from one of these sources.", max_length=20)
    ] = None,
    state: Annotated[
        list[PictureState] | None, Query(description="Only in one of these states.", max_length=20)
    ] = None,
    cursor: Annotated[
        str | None, Query(description="The nextCursor of the page before.", max_length=_LONGEST_CURSOR)
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 50,
) -> Answer[TalentList]:
    """Return talents by name, with the state of each one's picture in words."""
    after = None if cursor is None else parse_cursor(cursor)
    page = await anyio.to_thread.run_sync(
        lambda: list_talents(
            dependencies.engine,
            search=search,
            sources=source or (),
            states=state or (),
            after=after,
            limit=limit,
            settings=dependencies.settings,
            now=dependencies.clock(),
        )
    )
    return Answer(
        data=TalentList(
            talents=[_item(dependencies.settings, talent) for talent in page.talents],
            next_cursor=None if page.next_after is None else make_cursor(page.next_after),
        )
    )


@router.get("/talent/{talent_id}", summary="Everything about one talent's picture", responses=error_answers(400, 404))
async def get_talent(talent_id: TalentId, _caller: Authenticated, dependencies: Dependencies) -> Answer[TalentDetail]:
    """Return a talent's accounts, the picture of every network, the history, and the last failure with what to do."""
    return Answer(data=await load_detail(dependencies, talent_id))


@router.put("/talent/{talent_id}/pin", summary="Pin a picture of a talent", responses=error_answers(400, 403, 404, 409))
async def put_pin(
    talent_id: TalentId, caller: Authenticated, dependencies: Dependencies, request: Annotated[PinRequest, Body()]
) -> Answer[TalentDetail]:
    """Show a version of the history, or the picture of an account, until it is unpinned; at once."""
    version_id, account_id = request.version_id, request.account_id
    if (version_id is None) == (account_id is None):
        raise ApiError(422, "VALIDATION_ERROR", "Give either versionId or accountId.")
    engine, store, rules = dependencies.engine, dependencies.store, dependencies.publishing_rules
    async with audited(dependencies, caller, AuditAction.PIN, talent_id=talent_id) as action:
        try:
            if account_id is not None:
                version = await pin_account_picture(
                    engine, store, talent_id, account_id, rules=rules, now=dependencies.clock()
                )
            else:
                version = await roll_back(
                    engine, store, talent_id, version_id=version_id, rules=rules, now=dependencies.clock()
                )
        except UnknownTalentError:
            raise talent_not_found() from None
        except PinningRefusedError as error:
            raise ApiError(409, "CANNOT_PIN", str(error)) from None
        action.message = f"pinned version {version.version_id}, from {version.source}"
    return Answer(message="Profile image pinned", data=await load_detail(dependencies, talent_id))


@router.delete("/talent/{talent_id}/pin", summary="Free a pinned picture", responses=error_answers(400, 403, 404, 409))
async def delete_pin(talent_id: TalentId, caller: Authenticated, dependencies: Dependencies) -> Answer[TalentDetail]:
    """Show at once what wins among the pictures that we own."""
    rules = dependencies.publishing_rules
    async with audited(dependencies, caller, AuditAction.UNPIN, talent_id=talent_id) as action:
        try:
            resolution = await anyio.to_thread.run_sync(
                lambda: unpin(dependencies.engine, talent_id, rules=rules, now=dependencies.clock())
            )
        except UnknownTalentError:
            raise talent_not_found() from None
        except PinningRefusedError as error:
            raise ApiError(409, "CANNOT_UNPIN", str(error)) from None
        action.message = f"now from {resolution.source}" if resolution is not None else "a manual picture stays"
    return Answer(message="Profile image unpinned", data=await load_detail(dependencies, talent_id))


@router.get("/stats", summary="Figures over everything", responses=error_answers())
async def get_statistics(_caller: Authenticated, dependencies: Dependencies) -> Answer[StatisticsFigures]:
    """Return coverage, freshness, calls and failures by day, quotas, time to live and storage."""
    now = dependencies.clock()
    statistics = await anyio.to_thread.run_sync(lambda: gather_statistics(dependencies.engine, now=now))
    states = await anyio.to_thread.run_sync(
        lambda: count_states(dependencies.engine, settings=dependencies.settings, now=now)
    )
    return Answer(data=_figures(statistics, states))


def make_cursor(after: tuple[str, str]) -> str:
    """Return the text that names the place in the list after which the next page begins."""
    return base64.urlsafe_b64encode(json.dumps(after, ensure_ascii=False).encode()).decode().rstrip("=")


def parse_cursor(cursor: str) -> tuple[str, str]:
    """Return the place that a cursor names.

    Raises:
        ApiError: 400 for a text that is no cursor of ours.
    """
    try:
        decoded = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        sort_key, talent_id = decoded
        is_ours = isinstance(sort_key, str) and isinstance(talent_id, str) and "\0" not in sort_key + talent_id
        (sort_key + talent_id).encode()
    except (ValueError, TypeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise ApiError(400, "VALIDATION_ERROR", "cursor: not a nextCursor of this API; start from the first page")
    return sort_key, talent_id


def talent_detail(settings: Settings, description: TalentDescription, *, audit: list[AuditEntry]) -> TalentDetail:
    """Return what the API and the talent's page say of a talent."""
    talent = description.talent
    failures = [account.ledger.failure for account in description.accounts if account.ledger and account.connected]
    return TalentDetail(
        talent_id=talent.talent_id,
        name=talent.name,
        source=talent.image_source,
        image_url=talent.image_url,
        avatar_url=avatar_url(settings, talent.talent_id),
        last_sync_at=talent.last_sync_at,
        reasons=list(description.decision.reasons),
        accounts=[_account(settings, description, account) for account in description.accounts],
        pin=None
        if description.pin is None
        else PinDetail(
            version_id=description.pin.version_id,
            source=description.pin.source,
            pinned_at=description.pin.pinned_at,
        ),
        history=[
            _history_entry(settings, version, not_restorable=description.not_restorable.get(version.version_id))
            for version in description.history
        ],
        last_failure=next((failure for failure in failures if failure), None),
        audit=[_audit(entry) for entry in audit],
    )


async def load_detail(dependencies: ServiceDependencies, talent_id: str) -> TalentDetail:
    """Load everything about one talent, for the API and the talent's page.

    Raises:
        ApiError: 404 for an id that nobody has.
    """

    def load() -> TalentDetail:
        description = describe_talent(
            dependencies.engine, talent_id, settings=dependencies.settings, now=dependencies.clock()
        )
        with read_only(dependencies.engine).begin() as connection:
            audit = latest_entries(connection, talent_id=talent_id, limit=_AUDIT_SHOWN)
        return talent_detail(dependencies.settings, description, audit=audit)

    try:
        return await anyio.to_thread.run_sync(load)
    except UnknownTalentError:
        raise talent_not_found() from None


def _item(settings: Settings, talent: TalentSummary) -> TalentListItem:
    return TalentListItem(
        talent_id=talent.talent_id,
        name=talent.name,
        source=talent.source,
        image_url=talent.image_url,
        avatar_url=avatar_url(settings, talent.talent_id),
        last_sync_at=talent.last_sync_at,
        pinned=talent.is_pinned,
        state=talent.state,
        message=talent.message,
    )


def _account(settings: Settings, description: TalentDescription, account: AccountDescription) -> AccountDetail:
    ledger = account.ledger
    owned = ledger.picture_hash if ledger is not None and ledger.is_of_this_handle else None
    address = picture_url(settings, owned)
    is_of_source = account.platform == description.talent.image_source
    return AccountDetail(
        account_id=account.account_id,
        platform=account.platform,
        handle=account.handle,
        connected=account.connected,
        connection=account.how,
        is_read=account.is_known,
        outcome=ledger.outcome if ledger is not None else None,
        read_at=ledger.read_at if ledger is not None else None,
        next_read=ledger.next_read if ledger is not None else None,
        consecutive_failures=ledger.consecutive_failures if ledger is not None else 0,
        failure=ledger.failure if ledger is not None else None,
        picture_url=picture_url(settings, owned, LARGEST_SIZE),
        is_shown=is_of_source and address is not None and address == description.talent.image_url,
    )


def _history_entry(settings: Settings, version: VersionRecord, *, not_restorable: str | None) -> HistoryEntry:
    return HistoryEntry(
        version_id=version.version_id,
        source=version.source,
        picture_url=picture_url(settings, version.picture_hash, LARGEST_SIZE),
        valid_from=version.valid_from,
        valid_to=version.valid_to,
        message=version.why,
        run_id=version.run_id,
        run_url=None if version.run_id is None else run_url(settings, version.run_id),
        not_restorable=not_restorable,
    )


def _audit(entry: AuditEntry) -> AuditDetail:
    return AuditDetail(
        actor=entry.actor,
        action=entry.action,
        started_at=entry.started_at,
        ended_at=entry.ended_at,
        result=entry.result,
        message=entry.message,
        run_ids=list(entry.run_ids),
    )


def _figures(statistics: Statistics, states: dict[PictureState, int]) -> StatisticsFigures:
    days, quotas = statistics.days, statistics.quotas
    return StatisticsFigures(
        at=statistics.at,
        talents=statistics.talents,
        by_source=dict(statistics.by_source),
        by_state=states,
        freshness=[
            FreshnessFigures(within_hours=one.within_hours, talents=one.talents) for one in statistics.freshness
        ],
        days=[PlatformDayFigures.model_validate(day, from_attributes=True) for day in days],
        quotas=[QuotaFigures.model_validate(quota, from_attributes=True) for quota in quotas],
        time_to_live=TimeToLiveFigures.model_validate(statistics.time_to_live, from_attributes=True),
        pictures=statistics.pictures,
        stored_bytes=statistics.stored_bytes,
    )
