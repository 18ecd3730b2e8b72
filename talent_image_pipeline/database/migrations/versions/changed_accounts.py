"""The queue of the change feed: which accounts the app touched. It stays empty where the feed is not turned on."""

import sqlalchemy as sa
from alembic import op

revision = "changed_accounts"
down_revision = "ledger_upkeep"


def upgrade() -> None:
    """Create the queue; ``talent-images migrate --with-change-feed`` makes the triggers that fill it."""
    op.create_table(
        "changed_accounts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("account_id", sa.Text, nullable=False),
    )
    op.create_index("changed_accounts_account_id_idx", "changed_accounts", ["account_id"])


def downgrade() -> None:
    """Drop it; the triggers were removed before (``migrate.py``)."""
    op.drop_table("changed_accounts")
