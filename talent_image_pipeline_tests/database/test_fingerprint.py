"""A fingerprint changes exactly when the account's state does, on both kinds of database."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.fingerprint import account_fingerprint
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline_tests.rows import insert_account, insert_talent


def fingerprint_after(connection: sa.Connection, **changes: Any) -> str:
    """Write the changes into the one account that there is, and read its fingerprint."""
    if changes:
        connection.execute(sa.update(social_account_connection).values(**changes))
    return connection.execute(sa.select(account_fingerprint(social_account_connection))).scalar_one()


def insert_one_account(connection: sa.Connection) -> None:
    insert_talent(connection, id="t1")
    insert_talent(connection, id="t2")
    insert_account(connection, id="a1", talent_id="t1", access_token="first", profile_url="https://example.com/ada")


@pytest.mark.parametrize(
    "change",
    [
        {"creatorId": "t2"},
        {"platform": "TIKTOK"},
        {"handle": "@Ada"},
        {"profileUrl": "https://example.com/grace"},
        {"profileUrl": None},
        {"connected": False},
        {"connectionType": "MANUAL"},
        {"accessToken": "second"},
        {"accessToken": None},
        {"refreshToken": "a"},
        {"refreshToken": ""},
        {"expiresAt": datetime(2030, 1, 1, tzinfo=UTC)},
    ],
    ids=str,
)
def test_every_part_of_the_state_counts(migrated_engine: sa.Engine, change: dict[str, Any]) -> None:
    with migrated_engine.begin() as connection:
        insert_one_account(connection)
        before = fingerprint_after(connection)
        row = connection.execute(sa.select(social_account_connection)).mappings().one()
        assert fingerprint_after(connection, **change) != before
        assert fingerprint_after(connection, **{name: row[name] for name in change}) == before


@pytest.mark.parametrize(
    "change",
    [
        {"platform": "Instagram"},
        {"updatedAt": datetime(2030, 1, 1, tzinfo=UTC)},
        {"syncStatus": "OK", "syncError": "none", "metadata": {"followers": 3}},
    ],
    ids=str,
)
def test_nothing_else_counts(migrated_engine: sa.Engine, change: dict[str, Any]) -> None:
    with migrated_engine.begin() as connection:
        insert_one_account(connection)
        assert fingerprint_after(connection) == fingerprint_after(connection, **change)


def test_no_value_can_imitate_another_state(migrated_engine: sa.Engine) -> None:
    """Quotes, commas, backslashes, nulls and the words for them, moved from one column into its neighbour."""
    pieces = ["", "a", "','", "a','b", "'", "''", "\\", "\\'", "NULL", ",NULL", "'a',NULL", "é", "🙂", None]
    states = [(access, refresh) for access in pieces for refresh in pieces]
    with migrated_engine.begin() as connection:
        insert_one_account(connection)
        found = {fingerprint_after(connection, accessToken=one, refreshToken=other) for one, other in states}
    assert len(found) == len(states)


def test_a_fingerprint_can_be_compared_with_a_stored_one_inside_a_query(migrated_engine: sa.Engine) -> None:
    accounts = social_account_connection.alias("accounts")
    with migrated_engine.begin() as connection:
        insert_one_account(connection)
        stored = fingerprint_after(connection)
        unchanged = sa.select(accounts.c.id).where(account_fingerprint(accounts) == stored)
        assert connection.scalars(unchanged).all() == ["a1"]
        connection.execute(sa.update(social_account_connection).values(handle="@grace"))
        assert connection.scalars(unchanged).all() == []


def test_two_accounts_in_one_query_keep_their_own_fingerprints(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        insert_one_account(connection)
        insert_account(connection, id="a2", talent_id="t2")
        query = (
            sa.select(talent.c.id, account_fingerprint(social_account_connection))
            .join(social_account_connection, social_account_connection.c.creatorId == talent.c.id)
            .order_by(talent.c.id)
        )
        first, second = connection.execute(query).all()
    assert first[1] != second[1]
