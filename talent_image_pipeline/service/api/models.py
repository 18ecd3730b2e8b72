"""What the HTTP API answers, as types: the OpenAPI document is made from them.

What belongs here: the shapes, with the names and the case of the API that the app knows.
What does not: where the values come from (the routes).
"""

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from talent_image_pipeline.database.gallery_queries import PictureState

_Data = TypeVar("_Data")

#: Text from a request: PostgreSQL knows no zero character.
SearchText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class ApiModel(BaseModel):
    """Attributes in Python's case, fields of the document in the app's."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ApiErrorBody(ApiModel):
    """What went wrong."""

    code: str = Field(description="For programs: NOT_FOUND, VALIDATION_ERROR, SYNC_FAILED, …")
    message: str = Field(description="For people: what is wrong and what to do.")
    details: dict[str, Any] | None = None


class ErrorAnswer(ApiModel):
    """The one shape of every error."""

    success: Literal[False] = False
    error: ApiErrorBody


class Answer(ApiModel, Generic[_Data]):
    """The shape of every success."""

    success: Literal[True] = True
    message: str | None = None
    data: _Data


class SyncRequest(ApiModel):
    """How to sync."""

    force_refresh: bool = Field(default=False, description="Ask the networks even if the last sync is recent.")


class AccountFailure(ApiModel):
    """An account that could not be read, and what to do."""

    platform: str
    handle: str
    outcome: str
    message: str


class SyncedImage(ApiModel):
    """What a talent shows after a sync."""

    talent_id: str
    source: str = Field(description="A network's name, manual or initials.")
    image_url: str | None = Field(description="The 256 px picture; null for initials.")
    avatar_url: str = Field(description="Always a picture: today's or the initials.")
    synced_at: datetime | None = Field(description="The talent's last sync, UTC.")
    run_id: str | None = Field(description="The Dagster run; null when nothing had to be asked.")
    failures: list[AccountFailure] = Field(description="Accounts that could not be read.")


class ConnectedPlatform(ApiModel):
    """A connected account, on any network."""

    platform: str = Field(description="As the app stores it.")
    handle: str
    has_profile_image: bool = Field(description="Whether we own a picture of this account.")


class ProfileImage(ApiModel):
    """A talent's picture and where it can come from."""

    talent_id: str
    talent_name: str
    profile_image_url: str | None
    profile_image_source: str
    last_profile_image_sync_at: datetime | None
    avatar_url: str
    connected_platforms: list[ConnectedPlatform]
    can_auto_sync: bool = Field(description="Whether any connected account can give a picture that may be shown.")
    next_sync_recommended: bool = Field(description="Whether the next run would take the talent.")


class BatchError(ApiModel):
    """A talent whose sync failed."""

    talent_id: str
    error: str


class BatchRun(ApiModel):
    """One Dagster run of a batch."""

    run_id: str
    status: str = Field(description="Dagster's own word, or WAITING before the run begins.")
    url: str = Field(description="The run in Dagster's UI.")


class Batch(ApiModel):
    """A sync of many talents: how far it is, and what came of it."""

    batch_id: str
    status: Literal["running", "succeeded", "failed", "interrupted"]
    url: str = Field(description="Where to ask how far it is.")
    runs: list[BatchRun]
    total: int
    successful: int
    failed: int
    errors: list[BatchError] = Field(description="At most 100 of the talents that failed.")


class TalentListItem(ApiModel):
    """A talent in the list."""

    talent_id: str
    name: str
    source: str
    image_url: str | None
    avatar_url: str
    last_sync_at: datetime | None
    pinned: bool
    state: PictureState
    message: str = Field(description="The state in one sentence, with what to do where somebody must.")


class TalentList(ApiModel):
    """A page of talents."""

    talents: list[TalentListItem]
    next_cursor: str | None = Field(description="Give it as ?cursor= for the next page; null on the last one.")


class AccountDetail(ApiModel):
    """One social account and the picture that we own of it."""

    account_id: str
    platform: str
    handle: str
    connected: bool
    connection: str = Field(description="How it is connected, in words.")
    is_read: bool = Field(description="Whether it is on a network that we read.")
    outcome: str | None = Field(description="How the last read ended.")
    read_at: datetime | None
    next_read: str | None = Field(description="When it is read next, in words.")
    consecutive_failures: int
    failure: str | None = Field(description="The last failure, with what to do.")
    picture_url: str | None = Field(description="512 px.")
    is_shown: bool = Field(description="Whether the talent shows this account's picture.")


class HistoryEntry(ApiModel):
    """A version of what the talent showed."""

    version_id: int
    source: str
    picture_url: str | None = Field(description="512 px; null for initials.")
    valid_from: datetime
    valid_to: datetime | None
    message: str
    run_id: str | None
    run_url: str | None
    not_restorable: str | None = Field(description="Why it cannot be pinned; null when it can.")


class PinDetail(ApiModel):
    """What a person pinned."""

    version_id: int
    source: str
    pinned_at: datetime


class AuditDetail(ApiModel):
    """Something that was asked for."""

    actor: str
    action: str
    started_at: datetime
    ended_at: datetime | None
    result: str
    message: str | None
    run_ids: list[str]


class TalentDetail(ApiModel):
    """Everything about one talent's picture."""

    talent_id: str
    name: str
    source: str
    image_url: str | None
    avatar_url: str
    last_sync_at: datetime | None
    reasons: list[str] = Field(description="Why this picture, one sentence for each network.")
    accounts: list[AccountDetail]
    pin: PinDetail | None
    history: list[HistoryEntry] = Field(description="The newest first.")
    last_failure: str | None = Field(description="In words, with what to do; null when all accounts can be read.")
    audit: list[AuditDetail]


class PinRequest(ApiModel):
    """Which picture to pin: exactly one of the two."""

    version_id: int | None = Field(default=None, ge=1, le=2**31 - 1, description="A version of the history.")
    account_id: str | None = Field(
        default=None, min_length=1, max_length=200, description="The picture that we own of this account."
    )


class PlatformDayFigures(ApiModel):
    """What went on with one network on one day, in UTC."""

    platform: str
    day: date
    calls: int
    reads: int
    failures: int
    downloads: int


class FreshnessFigures(ApiModel):
    """How many talents were synced within so many hours."""

    within_hours: int
    talents: int


class QuotaFigures(ApiModel):
    """What is known of a network's limit."""

    quota: str
    units_day: str | None
    units_used: int
    used_percent: float | None
    blocked_until: datetime | None


class TimeToLiveFigures(ApiModel):
    """From finding a changed account to its picture being live."""

    changes: int
    median_seconds: float | None
    p95_seconds: float | None


class StatisticsFigures(ApiModel):
    """Figures over everything."""

    at: datetime
    talents: int
    by_source: dict[str, int]
    by_state: dict[PictureState, int]
    freshness: list[FreshnessFigures]
    days: list[PlatformDayFigures]
    quotas: list[QuotaFigures]
    time_to_live: TimeToLiveFigures
    pictures: int
    stored_bytes: int
