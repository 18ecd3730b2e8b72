"""What people asked for through the HTTP service, and how many calls went to each platform on which day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "audit_log"
down_revision = "app_additions"

_TIMESTAMP = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "profile_image_audit",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("talent_id", sa.Text),
        sa.Column("talents", sa.Integer, nullable=False),
        sa.Column("started_at", _TIMESTAMP, nullable=False),
        sa.Column("ended_at", _TIMESTAMP),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("run_ids", sa.JSON, nullable=False),
    )
    op.create_index("profile_image_audit_started_at_idx", "profile_image_audit", ["started_at"])
    op.create_index("profile_image_audit_talent_id_idx", "profile_image_audit", ["talent_id", "started_at"])
    op.create_table(
        "platform_days",
        sa.Column("platform", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("reads", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("downloads", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("platform_days")
    op.drop_table("profile_image_audit")
