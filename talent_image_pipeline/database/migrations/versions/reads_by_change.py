"""How often an account was lately read because it changed: one that changes all the time does not use up the quotas."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "reads_by_change"
down_revision = "second_looks"

_TIMESTAMP = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")


def upgrade() -> None:
    """Add the count and the beginning of the hour that it counts."""
    op.add_column("platform_images", sa.Column("reads_by_change", sa.Integer, nullable=False, server_default="0"))
    op.add_column("platform_images", sa.Column("reads_by_change_since", _TIMESTAMP))


def downgrade() -> None:
    """Remove both."""
    with op.batch_alter_table("platform_images") as batch:
        batch.drop_column("reads_by_change_since")
        batch.drop_column("reads_by_change")
