"""Every table as SQLAlchemy Core sees it: the app's two and our own.

What belongs here: names, types, keys and a sentence for each column (the Dagster UI shows them).
What does not: queries (beside this file) and changes to a live schema (``migrations/``).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator

from talent_image_pipeline.database.records import INITIALS, Reason
from talent_image_pipeline.platforms.contract import Outcome

_Member = TypeVar("_Member", bound=StrEnum)


class UtcTimestamp(TypeDecorator[datetime]):
    """``timestamp(3)`` without zone, in UTC, as Prisma makes it; aware datetimes on the Python side."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Use PostgreSQL's millisecond precision where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=False, precision=3))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Drop the zone after moving to UTC, and what is finer than a millisecond."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; pass an aware datetime")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None, microsecond=value.microsecond // 1000 * 1000)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Say what the column leaves out: it is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class EnumText(TypeDecorator[_Member]):
    """One of a closed set of words: text in the database, where a CHECK holds it, and a member on the Python side."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, members: type[_Member]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Refuse what is not in the set, before the database does."""
        return None if value is None else self.members(value).value

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> _Member | None:
        """Return the member."""
        return None if value is None else self.members(value)


def one_of(column: str, words: Iterable[str]) -> str:
    """Return the condition under which a column holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return f"{column} IN ({listed})"


def lower_case_word(column: str) -> str:
    """Return the condition under which a column holds a name in lower case, without blanks around it."""
    return f"{column} <> '' AND {column} = lower(trim({column}))"


#: SQLite numbers rows by itself only where the type is plainly INTEGER, which is wide there.
BIG_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

app_metadata = sa.MetaData()
metadata = sa.MetaData()

talent = sa.Table(
    "Talent",
    app_metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("userId", sa.Text, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("displayName", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("profileImageUrl", sa.Text, comment="Address of the 256 px picture; null means initials."),
    sa.Column(
        "profileImageSource",
        sa.Text,
        nullable=False,
        server_default=INITIALS,
        comment="The platform whose picture is shown, by its name in lower case, or manual, or initials.",
    ),
    sa.Column("lastProfileImageSyncAt", UtcTimestamp, comment="When the talent's read last came to an end."),
    sa.Column("createdAt", UtcTimestamp, nullable=False, server_default=sa.func.current_timestamp()),
    sa.Column("updatedAt", UtcTimestamp, nullable=False, server_default=sa.func.current_timestamp()),
    sa.Index("Talent_profileImageSource_idx", "profileImageSource"),
    sa.Index("Talent_lastProfileImageSyncAt_idx", "lastProfileImageSyncAt", postgresql_using="brin"),
)

social_account_connection = sa.Table(
    "SocialAccountConnection",
    app_metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("creatorId", sa.Text, sa.ForeignKey("Talent.id", ondelete="CASCADE"), nullable=False),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("handle", sa.Text, nullable=False),
    sa.Column("profileUrl", sa.Text),
    sa.Column("connected", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("connectionType", sa.Text, nullable=False, server_default="MANUAL"),
    sa.Column("syncStatus", sa.Text, nullable=False, server_default="PENDING"),
    sa.Column("accessToken", sa.Text),
    sa.Column("refreshToken", sa.Text),
    sa.Column("expiresAt", UtcTimestamp),
    sa.Column("lastSyncedAt", UtcTimestamp),
    sa.Column("syncError", sa.Text),
    sa.Column("metadata", sa.JSON),
    sa.Column("createdAt", UtcTimestamp, nullable=False, server_default=sa.func.current_timestamp()),
    sa.Column("updatedAt", UtcTimestamp, nullable=False, server_default=sa.func.current_timestamp()),
    sa.UniqueConstraint("creatorId", "platform"),
)

candidate_talents = sa.Table(
    "candidate_talents",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True, comment="The Dagster run that chose the talent."),
    sa.Column("talent_id", sa.Text, primary_key=True, comment="The app's id of the talent."),
    sa.Column("reason", EnumText(Reason), nullable=False, comment=f"{', '.join(Reason)}: the first that holds."),
    sa.Column("chosen_at", UtcTimestamp, nullable=False, comment="When the talent was chosen, UTC."),
    sa.Index("candidate_talents_chosen_at_idx", "chosen_at"),
    sa.CheckConstraint(one_of("reason", Reason), name="candidate_talents_reason_check"),
    comment="Who is due in which run, and why: the hand-off between the assets of a run.",
)

platform_images = sa.Table(
    "platform_images",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True, comment="The app's id of the social account."),
    sa.Column("talent_id", sa.Text, nullable=False, comment="The talent that the account belongs to."),
    sa.Column("platform", sa.Text, nullable=False, comment="The network, in lower case."),
    sa.Column("handle", sa.Text, nullable=False, comment="The handle under which the account was last read."),
    sa.Column(
        "fingerprint", sa.Text, comment="Hash of the account's state when it was last read; null when a read is owed."
    ),
    sa.Column("outcome", EnumText(Outcome), comment="How the last read ended: one of the closed outcomes."),
    sa.Column("content_id", sa.Text, comment="The network's id of the picture that we own."),
    sa.Column("picture_etag", sa.Text, comment="The CDN's ETag, where the network gives no content id."),
    sa.Column(
        "picture_hash",
        sa.Text,
        sa.ForeignKey("pictures.hash", name="platform_images_picture_hash_fkey"),
        comment="Content hash of the picture that we own of this account.",
    ),
    sa.Column("upstream_id", sa.Text, comment="The network's own id of the account, resolved once."),
    sa.Column("read_at", UtcTimestamp, comment="When the last read ended, UTC."),
    sa.Column("changed_at", UtcTimestamp, comment="When the picture last changed, UTC."),
    sa.Column("next_read_at", UtcTimestamp, comment="Not read before, unless it changes or a person asks."),
    sa.Column("consecutive_failures", sa.Integer, nullable=False, server_default="0", comment="Failed reads in a row."),
    sa.Column("failure", sa.Text, comment="The last failure in words, and what to do about it."),
    sa.Column(
        "awaits_resolution",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="Whether what was read has not reached the talent's columns yet.",
    ),
    sa.Column("claimed_by", sa.Text, comment="The run that reads the account now."),
    sa.Column("claimed_until", UtcTimestamp, comment="When that claim lapses, UTC."),
    sa.Column("token_refreshed_at", UtcTimestamp, comment="When we last refreshed the account's token, UTC."),
    sa.Column("token_refresh_started_at", UtcTimestamp, comment="A refresh whose answer is not stored yet, UTC."),
    sa.Column(
        "reads_by_change",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="How often it was read because it changed, within the hour since reads_by_change_since.",
    ),
    sa.Column("reads_by_change_since", UtcTimestamp, comment="When that hour began, UTC."),
    sa.Column("consent_ends_at", UtcTimestamp, comment="When the talent must consent anew, UTC."),
    sa.Column("token_digest", sa.Text, comment="Hash of the access token of the last read: knows a renamed account."),
    sa.Column(
        "same_outcome_reads", sa.Integer, nullable=False, server_default="0", comment="Reads in a row that ended so."
    ),
    sa.Column(
        "suggested_outcome",
        EnumText(Outcome),
        comment="What the answers amount to and is not believed yet: no_picture, gone or needs_reconnect.",
    ),
    sa.Column("suggested_since", UtcTimestamp, comment="When the platform first answered so, UTC."),
    sa.Column(
        "held_since",
        UtcTimestamp,
        comment="Since when it is held back because too many accounts would lose their picture or connection, UTC.",
    ),
    sa.Column("picture_lost_at", UtcTimestamp, comment="When the platform's word took the picture away, UTC."),
    sa.Column("lost_picture_hash", sa.Text, comment="Content hash of that picture, in case too many are lost at once."),
    sa.Column("connection_lost_at", UtcTimestamp, comment="When the account turned needs_reconnect, UTC."),
    sa.Column("refused_host", sa.Text, comment="Host of the picture that was refused last."),
    sa.Column("refused_content_id", sa.Text, comment="The network's id of a picture whose bytes were refused."),
    sa.Column("refused_at", UtcTimestamp, comment="When those bytes were refused, UTC."),
    sa.Index("platform_images_talent_id_idx", "talent_id"),
    sa.Index("platform_images_picture_hash_idx", "picture_hash"),
    sa.Index("platform_images_platform_idx", "platform", "outcome"),
    sa.Index(
        "platform_images_claimed_by_idx",
        "claimed_by",
        postgresql_where=sa.text("claimed_by IS NOT NULL"),
        sqlite_where=sa.text("claimed_by IS NOT NULL"),
    ),
    sa.CheckConstraint(one_of("outcome", Outcome), name="platform_images_outcome_check"),
    sa.CheckConstraint(one_of("suggested_outcome", Outcome), name="platform_images_suggested_outcome_check"),
    sa.CheckConstraint(lower_case_word("platform"), name="platform_images_platform_check"),
    comment="The ledger: one row per social account, with what was last seen and the picture that we own of it.",
)

pictures = sa.Table(
    "pictures",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True, comment="SHA-256 of the largest rendition, in hex."),
    sa.Column("width", sa.Integer, nullable=False, comment="Width of the source after orientation, in pixels."),
    sa.Column("height", sa.Integer, nullable=False, comment="Height of the source after orientation, in pixels."),
    sa.Column("bytes", sa.Integer, nullable=False, comment="Bytes of all renditions together."),
    sa.Column("focus_x", sa.Float, nullable=False, comment="Centre of the crop, 0 at the left to 1 at the right."),
    sa.Column("focus_y", sa.Float, nullable=False, comment="Centre of the crop, 0 at the top to 1 at the bottom."),
    sa.Column("perceptual_hash", sa.Text, nullable=False, comment="What the picture looks like, in hex."),
    sa.Column("damaged_at", UtcTimestamp, comment="When a check found it damaged in the store; null when sound."),
    sa.Column(
        "created_at",
        UtcTimestamp,
        nullable=False,
        comment="When it was last stored: again, too. UTC.",
    ),
    comment="The pictures that we own, by the hash of their content.",
)

profile_image_versions = sa.Table(
    "profile_image_versions",
    metadata,
    sa.Column("id", BIG_NUMBER, primary_key=True, autoincrement=True, comment="Number of the version."),
    sa.Column("talent_id", sa.Text, nullable=False, comment="The app's id of the talent."),
    sa.Column("source", sa.Text, nullable=False, comment="The platform, by its name in lower case, or initials."),
    sa.Column(
        "picture_hash",
        sa.Text,
        sa.ForeignKey("pictures.hash", name="profile_image_versions_picture_hash_fkey"),
        comment="Content hash of the picture shown; null for initials.",
    ),
    sa.Column("valid_from", UtcTimestamp, nullable=False, comment="Shown from then, UTC."),
    sa.Column("valid_to", UtcTimestamp, comment="Shown until then, UTC; null: shown now."),
    sa.Column("run_id", sa.Text, comment="The run that decided it; null when a person did."),
    sa.Column("why", sa.Text, nullable=False, comment="Why it changed, in words."),
    sa.CheckConstraint(lower_case_word("source"), name="profile_image_versions_source_check"),
    sa.Index("profile_image_versions_talent_id_idx", "talent_id", "valid_from"),
    sa.Index(
        "profile_image_versions_current_idx",
        "talent_id",
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
        sqlite_where=sa.text("valid_to IS NULL"),
    ),
    comment="The history: which picture was shown from when to when, from where, and why it changed.",
)

profile_image_pins = sa.Table(
    "profile_image_pins",
    metadata,
    sa.Column("talent_id", sa.Text, primary_key=True, comment="The talent whose picture is pinned."),
    sa.Column(
        "version_id",
        BIG_NUMBER,
        sa.ForeignKey("profile_image_versions.id", name="profile_image_pins_version_id_fkey"),
        nullable=False,
        comment="The version that was pinned.",
    ),
    sa.Column("source", sa.Text, nullable=False, comment="Where the pinned picture came from."),
    sa.Column(
        "picture_hash",
        sa.Text,
        sa.ForeignKey("pictures.hash", name="profile_image_pins_picture_hash_fkey"),
        comment="Content hash of the pinned picture; null pins the initials.",
    ),
    sa.Column("pinned_at", UtcTimestamp, nullable=False, comment="When it was pinned, UTC."),
    sa.CheckConstraint(lower_case_word("source"), name="profile_image_pins_source_check"),
    comment="Pictures that a person pinned: shown until unpinned, whatever the networks say.",
)

platform_quotas = sa.Table(
    "platform_quotas",
    metadata,
    sa.Column("quota", sa.Text, primary_key=True, comment="The quota, as the platform's file names it."),
    sa.Column("units_day", sa.Text, comment="The day that the units belong to, in the quota's own time zone."),
    sa.Column("units_used", sa.Integer, nullable=False, server_default="0", comment="Units used on that day."),
    sa.Column("usage_percent", sa.Float, comment="What the platform last reported, in per cent."),
    sa.Column("updated_at", UtcTimestamp, nullable=False, comment="When the usage was last reported, UTC."),
    comment="Daily budgets and reported usage of the platforms' quotas, shared by all runs.",
)

platform_quota_calls = sa.Table(
    "platform_quota_calls",
    metadata,
    sa.Column("quota", sa.Text, primary_key=True, comment="The quota that the calls count against."),
    sa.Column("period", UtcTimestamp, primary_key=True, comment="When the counted period began, UTC."),
    sa.Column("calls", sa.Integer, nullable=False, comment="Calls admitted in that period, over all runs."),
    comment="How many calls all runs made of late: what keeps them together within a quota's window.",
)

platform_blocks = sa.Table(
    "platform_blocks",
    metadata,
    sa.Column("quota", sa.Text, primary_key=True, comment="The quota that is to be left alone."),
    sa.Column("account_id", sa.Text, primary_key=True, comment="The one account that this is about; empty: everybody."),
    sa.Column("blocked_until", UtcTimestamp, nullable=False, comment="The platform said stop until then, UTC."),
    sa.Column("blocked_because", sa.Text, nullable=False, comment="Why, in words."),
    comment="Where a platform said stop, and until when: heeded by all runs.",
)

profile_image_audit = sa.Table(
    "profile_image_audit",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="Random; also names a batch that was asked for."),
    sa.Column("actor", sa.Text, nullable=False, comment="Who asked: the API token or a page's session, and for whom."),
    sa.Column("action", sa.Text, nullable=False, comment="refresh, changed, sync_all, pin or unpin."),
    sa.Column("talent_id", sa.Text, comment="The talent it was about; null: many."),
    sa.Column("talents", sa.Integer, nullable=False, comment="How many talents it was about."),
    sa.Column("started_at", UtcTimestamp, nullable=False, comment="When it was asked for, UTC."),
    sa.Column("ended_at", UtcTimestamp, comment="When it was done, UTC; null: not yet, or the service was killed."),
    sa.Column("result", sa.Text, nullable=False, comment="started, succeeded, failed, refused or interrupted."),
    sa.Column("message", sa.Text, comment="What came of it, in words."),
    sa.Column("run_ids", sa.JSON, nullable=False, comment="The Dagster runs that it led to."),
    sa.Index("profile_image_audit_started_at_idx", "started_at"),
    sa.Index("profile_image_audit_talent_id_idx", "talent_id", "started_at"),
    comment="What people asked for through the HTTP service: who, what, when, with which result, in which run.",
)

platform_days = sa.Table(
    "platform_days",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True, comment="The network, in lower case."),
    sa.Column("day", sa.Date, primary_key=True, comment="The day, in UTC, on which the reads ended."),
    sa.Column("calls", sa.Integer, nullable=False, comment="Calls to the network's API."),
    sa.Column("reads", sa.Integer, nullable=False, comment="Accounts whose read came to an end."),
    sa.Column("failures", sa.Integer, nullable=False, comment="Of them, those that failed."),
    sa.Column("downloads", sa.Integer, nullable=False, comment="Pictures that were downloaded."),
    comment="Calls, reads and failures by platform and day, for the statistics.",
)

run_heartbeats = sa.Table(
    "run_heartbeats",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True, comment="A Dagster run that goes on."),
    sa.Column("beats", sa.BigInteger, nullable=False, comment="Counted up every few seconds while its process lives."),
    sa.Column("host", sa.Text, nullable=False, comment="The machine that the run is on."),
    sa.Column("process_id", sa.BigInteger, nullable=False, comment="Its process there."),
    comment="Signs of life: a run whose count stands still is ended, and its talents go on.",
)

changed_accounts = sa.Table(
    "changed_accounts",
    metadata,
    sa.Column("id", BIG_NUMBER, primary_key=True, autoincrement=True, comment="Number of the entry."),
    sa.Column("account_id", sa.Text, nullable=False, comment="An account that the app inserted, changed or deleted."),
    sa.Index("changed_accounts_account_id_idx", "account_id"),
    comment="The change feed's queue: filled by triggers on the app's accounts, emptied by the sensor.",
)

talent_image_app_additions = sa.Table(
    "talent_image_app_additions",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True, comment="column, index or storage."),
    sa.Column("name", sa.Text, primary_key=True, comment='Its name, on the app\'s "Talent".'),
    comment="What our migration added to the app's tables: what the way back takes away again, and nothing else.",
)
