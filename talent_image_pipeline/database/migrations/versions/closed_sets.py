"""The database holds what our columns may say, and the quotas' coded keys become columns and tables of their own.

Calls that were counted in slices are not carried over: they speak of the last hour, and a tenth of every limit is left.
"""

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "closed_sets"
down_revision = "audit_log"

_TIMESTAMP = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")
_REASONS = ("asked_for", "never_synced", "stale", "account_changed", "wait_is_over")
_OUTCOMES = (
    "picture",
    "unchanged",
    "no_picture",
    "unconfirmed",
    "gone",
    "needs_reconnect",
    "rate_limited",
    "unavailable",
    "hidden",
    "refused",
    "misconfigured",
)


def _one_of(column: str, words: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{word}'" for word in words)
    return f"{column} IN ({listed})"


def _lower_case_word(column: str) -> str:
    return f"{column} <> '' AND {column} = lower(trim({column}))"


_CHECKS: Mapping[str, Mapping[str, str]] = {
    "candidate_talents": {"candidate_talents_reason_check": _one_of("reason", _REASONS)},
    "platform_images": {
        "platform_images_outcome_check": _one_of("outcome", _OUTCOMES),
        "platform_images_platform_check": _lower_case_word("platform"),
    },
    "profile_image_versions": {"profile_image_versions_source_check": _lower_case_word("source")},
    "profile_image_pins": {"profile_image_pins_source_check": _lower_case_word("source")},
}


def upgrade() -> None:
    """Add the conditions and the tables, and move the blocks of quotas and of single accounts."""
    for table, checks in _CHECKS.items():
        with op.batch_alter_table(table) as batch:
            for name, condition in checks.items():
                batch.create_check_constraint(name, sa.text(condition))
    op.create_table(
        "platform_quota_calls",
        sa.Column("quota", sa.Text, primary_key=True),
        sa.Column("period", _TIMESTAMP, primary_key=True),
        sa.Column("calls", sa.Integer, nullable=False),
    )
    op.create_table(
        "platform_blocks",
        sa.Column("quota", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("blocked_until", _TIMESTAMP, nullable=False),
        sa.Column("blocked_because", sa.Text, nullable=False),
    )
    _move_blocks()
    op.execute("DELETE FROM platform_quotas WHERE quota LIKE '%@%' OR quota LIKE '%/%'")
    with op.batch_alter_table("platform_quotas") as batch:
        batch.drop_column("blocked_until")
        batch.drop_column("blocked_because")


def downgrade() -> None:
    """Take the conditions and the tables away again; what quotas were told is learned again."""
    with op.batch_alter_table("platform_quotas") as batch:
        batch.add_column(sa.Column("blocked_until", _TIMESTAMP))
        batch.add_column(sa.Column("blocked_because", sa.Text))
    op.drop_table("platform_blocks")
    op.drop_table("platform_quota_calls")
    for table, checks in _CHECKS.items():
        with op.batch_alter_table(table) as batch:
            for name in checks:
                batch.drop_constraint(name, type_="check")


def _move_blocks() -> None:
    old = sa.table(
        "platform_quotas", sa.column("quota"), sa.column("blocked_until", _TIMESTAMP), sa.column("blocked_because")
    )
    new = sa.table(
        "platform_blocks",
        sa.column("quota"),
        sa.column("account_id"),
        sa.column("blocked_until", _TIMESTAMP),
        sa.column("blocked_because"),
    )
    rows = op.get_bind().execute(sa.select(old).where(old.c.blocked_until.is_not(None))).all()
    blocks = [
        {
            "quota": quota.partition("/")[0],
            "account_id": quota.partition("/")[2],
            "blocked_until": until,
            "blocked_because": because or "the platform said stop",
        }
        for quota, until, because in rows
        if "@" not in quota
    ]
    if blocks:
        op.bulk_insert(new, blocks)
