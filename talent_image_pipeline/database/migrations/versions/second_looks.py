"""The ledger remembers what is not believed yet, what is held back, what was lost lately and what was refused.

The token's date of expiry counts as the account's state from now on. The fingerprints of accounts that were as the
ledger last saw them follow, so that not every account looks changed.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "second_looks"
down_revision = "run_heartbeats"

_TIMESTAMP = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")
_TABLE = "platform_images"
_STATE = ("creatorId", "platform", "handle", "profileUrl", "connected", "connectionType", "accessToken", "refreshToken")
_TIMESTAMPS = ("suggested_since", "held_since", "picture_lost_at", "connection_lost_at", "refused_at")
_TEXTS = ("token_digest", "suggested_outcome", "lost_picture_hash", "refused_host", "refused_content_id")
_NUMBER = "same_outcome_reads"
_CHECK = "platform_images_suggested_outcome_check"
_OUTCOMES = (
    "'picture', 'unchanged', 'no_picture', 'unconfirmed', 'gone', 'needs_reconnect', 'rate_limited', 'unavailable', "
    "'hidden', 'refused', 'misconfigured'"
)


def upgrade() -> None:
    """Add the columns and let the fingerprints follow."""
    with op.batch_alter_table(_TABLE) as batch:
        for name in _TEXTS:
            batch.add_column(sa.Column(name, sa.Text))
        for name in _TIMESTAMPS:
            batch.add_column(sa.Column(name, _TIMESTAMP))
        batch.add_column(sa.Column(_NUMBER, sa.Integer, nullable=False, server_default="0"))
        batch.create_check_constraint(_CHECK, sa.text(f"suggested_outcome IN ({_OUTCOMES})"))
    op.create_index("platform_images_platform_idx", _TABLE, ["platform", "outcome"])
    _move_fingerprints(old=_fingerprint(_STATE), new=_fingerprint((*_STATE, "expiresAt")))


def downgrade() -> None:
    """Take the columns away again and the token's date out of the fingerprints."""
    _move_fingerprints(old=_fingerprint((*_STATE, "expiresAt")), new=_fingerprint(_STATE))
    op.drop_index("platform_images_platform_idx", table_name=_TABLE)
    with op.batch_alter_table(_TABLE) as batch:
        batch.drop_constraint(_CHECK, type_="check")
        for name in (*_TEXTS, *_TIMESTAMPS, _NUMBER):
            batch.drop_column(name)


def _fingerprint(columns: tuple[str, ...]) -> str:
    values = [f'lower(a."{name}")' if name == "platform" else f'a."{name}"' for name in columns]
    if op.get_bind().dialect.name == "postgresql":
        return f"md5(concat_ws(',', {', '.join(f'quote_nullable({value})' for value in values)}))"
    return "talent_image_md5({})".format(" || ',' || ".join(f"quote({value})" for value in values))


def _move_fingerprints(*, old: str, new: str) -> None:
    accounts = f'"SocialAccountConnection" AS a WHERE a.id = {_TABLE}.account_id AND {_TABLE}.fingerprint = {old}'
    op.execute(
        f"UPDATE {_TABLE} SET fingerprint = (SELECT {new} FROM {accounts}) WHERE EXISTS (SELECT 1 FROM {accounts})"  # noqa: S608 - no value comes from outside
    )
