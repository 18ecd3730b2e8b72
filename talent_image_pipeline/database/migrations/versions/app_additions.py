"""The list of what we added to the app's table moves to ``talent_image_app_additions``: a name that is plainly ours.

That table is made before any migration (``migrate.py``): it has to be there when the first column is added.
"""

import sqlalchemy as sa
from alembic import op

revision = "app_additions"
down_revision = "profile_images"

_FORMER = "app_schema_additions"
_NEW = "talent_image_app_additions"


def upgrade() -> None:
    """Move the rows and drop the old table."""
    op.execute(
        f"INSERT INTO {_NEW} (kind, name) SELECT kind, name FROM {_FORMER} AS former"  # noqa: S608 - two constants
        f" WHERE NOT EXISTS (SELECT 1 FROM {_NEW} AS new WHERE new.kind = former.kind AND new.name = former.name)"
    )
    op.drop_table(_FORMER)


def downgrade() -> None:
    """Make the old table again. On SQLite the first migration takes away what it lists; elsewhere ``migrate.py``."""
    op.create_table(
        _FORMER,
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"INSERT INTO {_FORMER} (kind, name) SELECT kind, name FROM {_NEW}")  # noqa: S608 - two constants
