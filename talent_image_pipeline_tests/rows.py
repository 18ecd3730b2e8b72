"""Rows of the app's tables, as tests need them: every value has a default, and each test says what matters to it.

What belongs here: inserting what the app would have written.
What does not: rows of our own tables, which the code under test writes.
"""

from datetime import UTC, datetime

import sqlalchemy as sa

from talent_image_pipeline.database.tables import pictures, social_account_connection, talent

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def insert_talent(
    connection: sa.Connection,
    *,
    id: str,  # noqa: A002 - the column's own name
    name: str = "Ada Lovelace",
    display_name: str | None = None,
    status: str | None = "ACTIVE",
    profile_image_url: str | None = None,
    profile_image_source: str = "initials",
    last_profile_image_sync_at: datetime | None = None,
) -> str:
    """Insert a talent and return its id."""
    connection.execute(
        sa.insert(talent).values(
            id=id,
            userId=f"user-{id}",
            name=name,
            displayName=display_name,
            status=status,
            profileImageUrl=profile_image_url,
            profileImageSource=profile_image_source,
            lastProfileImageSyncAt=last_profile_image_sync_at,
            createdAt=CREATED_AT,
            updatedAt=CREATED_AT,
        )
    )
    return id


def insert_picture(connection: sa.Connection, *, hash: str) -> str:  # noqa: A002 - the column's own name
    """Insert the row of a picture that needs no bytes, and return its hash."""
    connection.execute(
        sa.insert(pictures).values(
            hash=hash,
            width=320,
            height=320,
            bytes=1000,
            focus_x=0.5,
            focus_y=0.5,
            perceptual_hash="0" * 16,
            created_at=CREATED_AT,
        )
    )
    return hash


def insert_account(
    connection: sa.Connection,
    *,
    id: str,  # noqa: A002 - the column's own name
    talent_id: str,
    platform: str = "INSTAGRAM",
    handle: str = "@ada",
    profile_url: str | None = None,
    connected: bool = True,
    connection_type: str | None = None,
    access_token: str | None = None,
    refresh_token: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Insert a social account of a talent and return its id; with a token it counts as connected by OAuth."""
    connection.execute(
        sa.insert(social_account_connection).values(
            id=id,
            creatorId=talent_id,
            platform=platform,
            handle=handle,
            profileUrl=profile_url,
            connected=connected,
            connectionType=connection_type or ("MANUAL" if access_token is None else "OAUTH"),
            syncStatus="PENDING",
            accessToken=access_token,
            refreshToken=refresh_token,
            expiresAt=expires_at,
            createdAt=CREATED_AT,
            updatedAt=CREATED_AT,
        )
    )
    return id
