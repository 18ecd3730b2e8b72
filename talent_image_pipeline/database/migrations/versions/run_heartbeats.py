"""Signs of life of runs, so that one whose process or machine is gone is noticed by others."""

import sqlalchemy as sa
from alembic import op

revision = "run_heartbeats"
down_revision = "closed_sets"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "run_heartbeats",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("beats", sa.BigInteger, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("process_id", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("run_heartbeats")
