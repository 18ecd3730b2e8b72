"""Rows of ours that refer to each other do so by foreign keys, and the ledger costs less to write.

Claims are found by their run; nothing looks for them by their end, and an index of it was written with every claim. On
PostgreSQL pages keep free space, so that a row's new version lies beside the old one (a HOT update) and is cleared away
without waiting for a vacuum.
"""

import sqlalchemy as sa
from alembic import op

revision = "ledger_upkeep"
down_revision = "reads_by_change"

_Number = sa.types.TypeEngine[int]
_BIG_NUMBER: _Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_REFERENCES = (
    ("platform_images", "picture_hash", "pictures", "hash"),
    ("profile_image_versions", "picture_hash", "pictures", "hash"),
    ("profile_image_pins", "picture_hash", "pictures", "hash"),
    ("profile_image_pins", "version_id", "profile_image_versions", "id"),
)
_IDS = (("profile_image_versions", "id"), ("profile_image_pins", "version_id"))
_FILLED_TO = {"platform_images": 75, "platform_quotas": 50, "platform_quota_calls": 50, "run_heartbeats": 50}
_CLAIMS = "platform_images_claimed_by_idx"


def upgrade() -> None:
    """Mend what refers to nothing, and hold it from now on."""
    _forget_what_refers_to_nothing()
    for table, column in _IDS:
        _alter_id(table, column, existing=sa.Integer(), type_=_BIG_NUMBER)
    for table, column, other, key in _REFERENCES:
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(f"{table}_{column}_fkey", other, [column], [key])
    op.drop_index("platform_images_claimed_until_idx", table_name="platform_images")
    is_claimed = sa.text("claimed_by IS NOT NULL")
    op.create_index(_CLAIMS, "platform_images", ["claimed_by"], postgresql_where=is_claimed, sqlite_where=is_claimed)
    if op.get_bind().dialect.name == "postgresql":
        for table, percent in _FILLED_TO.items():
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {percent}, autovacuum_vacuum_scale_factor = 0.05)")


def downgrade() -> None:
    """Take the keys, the index and the free space away again."""
    if op.get_bind().dialect.name == "postgresql":
        for table in _FILLED_TO:
            op.execute(f"ALTER TABLE {table} RESET (fillfactor, autovacuum_vacuum_scale_factor)")
    op.drop_index(_CLAIMS, table_name="platform_images")
    op.create_index("platform_images_claimed_until_idx", "platform_images", ["claimed_until"])
    for table, column, _, _ in _REFERENCES:
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"{table}_{column}_fkey", type_="foreignkey")
    for table, column in _IDS:
        _alter_id(table, column, existing=_BIG_NUMBER, type_=sa.Integer())


def _alter_id(table: str, column: str, *, existing: _Number, type_: _Number) -> None:
    """Change a number's width, where it has one: SQLite's numbers are wide already."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(table, column, existing_type=existing, type_=type_, existing_nullable=False)


def _forget_what_refers_to_nothing() -> None:
    """Nothing should refer to nothing, as pictures go only where nothing names them; where it does, a read is owed."""
    op.execute(
        "UPDATE platform_images SET picture_hash = NULL, content_id = NULL, picture_etag = NULL, fingerprint = NULL"
        " WHERE picture_hash IS NOT NULL AND picture_hash NOT IN (SELECT hash FROM pictures)"
    )
    op.execute(
        "UPDATE profile_image_versions SET picture_hash = NULL"
        " WHERE picture_hash IS NOT NULL AND picture_hash NOT IN (SELECT hash FROM pictures)"
    )
    op.execute(
        "DELETE FROM profile_image_pins WHERE version_id NOT IN (SELECT id FROM profile_image_versions)"
        " OR (picture_hash IS NOT NULL AND picture_hash NOT IN (SELECT hash FROM pictures))"
    )
