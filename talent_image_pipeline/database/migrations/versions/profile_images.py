"""Our tables, and our three columns and two indexes on the app's ``"Talent"`` where it has none yet.

A migration is a record of what was done to live databases: it repeats what ``tables.py`` said at the time and imports
nothing from it.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "profile_images"
down_revision = None

_TIMESTAMP = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")
_ADDITIONS = "app_schema_additions"
_OUR_TABLES = (
    "candidate_talents",
    "platform_images",
    "pictures",
    "profile_image_versions",
    "profile_image_pins",
    "platform_quotas",
    _ADDITIONS,
)


def upgrade() -> None:
    """Create what is missing; leave alone what is there."""
    _create_our_tables()
    if context.config.attributes["with_app_tables"]:
        _create_missing_app_tables()
    _add_missing_columns()
    _add_missing_indexes()


def downgrade() -> None:
    """Drop our tables, and of the app's table only what :func:`upgrade` added to it."""
    additions = sa.table(_ADDITIONS, sa.column("kind"), sa.column("name"))
    rows = op.get_bind().execute(sa.select(additions.c.kind, additions.c.name)).all()
    for _, name in [row for row in rows if row.kind == "index"]:
        op.drop_index(name, table_name="Talent")
    for _, name in [row for row in rows if row.kind == "column"]:
        op.drop_column("Talent", name)
    for name in reversed(_OUR_TABLES):
        op.drop_table(name)


def _create_missing_app_tables() -> None:
    inspector = sa.inspect(op.get_bind())
    if not inspector.has_table("Talent"):
        _create_talent()
    if not inspector.has_table("SocialAccountConnection"):
        _create_social_account_connection()


def _create_talent() -> None:
    op.create_table(
        "Talent",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("userId", sa.Text, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("displayName", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("createdAt", _TIMESTAMP, nullable=False, server_default=sa.func.current_timestamp()),
        sa.Column("updatedAt", _TIMESTAMP, nullable=False, server_default=sa.func.current_timestamp()),
    )


def _create_social_account_connection() -> None:
    op.create_table(
        "SocialAccountConnection",
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
        sa.Column("expiresAt", _TIMESTAMP),
        sa.Column("lastSyncedAt", _TIMESTAMP),
        sa.Column("syncError", sa.Text),
        sa.Column("metadata", sa.JSON),
        sa.Column("createdAt", _TIMESTAMP, nullable=False, server_default=sa.func.current_timestamp()),
        sa.Column("updatedAt", _TIMESTAMP, nullable=False, server_default=sa.func.current_timestamp()),
        sa.UniqueConstraint("creatorId", "platform"),
    )


def _add_missing_columns() -> None:
    columns = (
        sa.Column("profileImageUrl", sa.Text),
        sa.Column("profileImageSource", sa.Text, nullable=False, server_default="initials"),
        sa.Column("lastProfileImageSyncAt", _TIMESTAMP),
    )
    existing = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("Talent")}
    for column in columns:
        if column.name not in existing:
            op.add_column("Talent", column)
            _remember(kind="column", name=column.name)


def _add_missing_indexes() -> None:
    indexes = sa.inspect(op.get_bind()).get_indexes("Talent")
    indexed = {index["column_names"][0] for index in indexes}
    for column in ("profileImageSource", "lastProfileImageSyncAt"):
        if column not in indexed:
            name = f"Talent_{column}_idx"
            op.create_index(name, "Talent", [column])
            _remember(kind="index", name=name)


def _remember(*, kind: str, name: str) -> None:
    additions = sa.table(_ADDITIONS, sa.column("kind"), sa.column("name"))
    op.get_bind().execute(sa.insert(additions).values(kind=kind, name=name))


def _create_our_tables() -> None:
    _create_hand_off_and_ledger()
    _create_pictures_and_history()
    op.create_table(
        "platform_quotas",
        sa.Column("quota", sa.Text, primary_key=True),
        sa.Column("blocked_until", _TIMESTAMP),
        sa.Column("blocked_because", sa.Text),
        sa.Column("units_day", sa.Text),
        sa.Column("units_used", sa.Integer, nullable=False, server_default="0"),
        sa.Column("usage_percent", sa.Float),
        sa.Column("updated_at", _TIMESTAMP, nullable=False),
    )
    op.create_table(
        _ADDITIONS,
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
    )


def _create_hand_off_and_ledger() -> None:
    op.create_table(
        "candidate_talents",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("talent_id", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("chosen_at", _TIMESTAMP, nullable=False),
    )
    op.create_index("candidate_talents_chosen_at_idx", "candidate_talents", ["chosen_at"])
    op.create_table(
        "platform_images",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("talent_id", sa.Text, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("content_id", sa.Text),
        sa.Column("picture_etag", sa.Text),
        sa.Column("picture_hash", sa.Text),
        sa.Column("upstream_id", sa.Text),
        sa.Column("read_at", _TIMESTAMP),
        sa.Column("changed_at", _TIMESTAMP),
        sa.Column("next_read_at", _TIMESTAMP),
        sa.Column("consecutive_failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failure", sa.Text),
        sa.Column("awaits_resolution", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("claimed_by", sa.Text),
        sa.Column("claimed_until", _TIMESTAMP),
        sa.Column("token_refreshed_at", _TIMESTAMP),
        sa.Column("token_refresh_started_at", _TIMESTAMP),
        sa.Column("consent_ends_at", _TIMESTAMP),
    )
    op.create_index("platform_images_talent_id_idx", "platform_images", ["talent_id"])
    op.create_index("platform_images_picture_hash_idx", "platform_images", ["picture_hash"])
    op.create_index("platform_images_claimed_until_idx", "platform_images", ["claimed_until"])


def _create_pictures_and_history() -> None:
    op.create_table(
        "pictures",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("focus_x", sa.Float, nullable=False),
        sa.Column("focus_y", sa.Float, nullable=False),
        sa.Column("perceptual_hash", sa.Text, nullable=False),
        sa.Column("damaged_at", _TIMESTAMP),
        sa.Column("created_at", _TIMESTAMP, nullable=False),
    )
    op.create_table(
        "profile_image_versions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("talent_id", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("picture_hash", sa.Text),
        sa.Column("valid_from", _TIMESTAMP, nullable=False),
        sa.Column("valid_to", _TIMESTAMP),
        sa.Column("run_id", sa.Text),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_index("profile_image_versions_talent_id_idx", "profile_image_versions", ["talent_id", "valid_from"])
    op.create_index(
        "profile_image_versions_current_idx",
        "profile_image_versions",
        ["talent_id"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
        sqlite_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "profile_image_pins",
        sa.Column("talent_id", sa.Text, primary_key=True),
        sa.Column("version_id", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("picture_hash", sa.Text),
        sa.Column("pinned_at", _TIMESTAMP, nullable=False),
    )
