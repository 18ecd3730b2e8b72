"""Which accounts the data team is told to see to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from talent_image_pipeline.database import account_queries
from talent_image_pipeline.database.tables import platform_images, social_account_connection
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.sync.reporting.reconnects import accounts_waiting_for_their_talent
from talent_image_pipeline_tests.rows import insert_account, insert_talent

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
INSTAGRAM = PLATFORMS[0]


def read(engine: sa.Engine, talent_id: str, **ledger: Any) -> None:
    with engine.begin() as connection:
        insert_talent(connection, id=talent_id)
        insert_account(connection, id=talent_id, talent_id=talent_id, handle=talent_id, access_token="token")
        (record,) = account_queries.load_accounts(connection, [talent_id])
        values = {"platform": "instagram", "handle": talent_id, "fingerprint": record.fingerprint} | ledger
        connection.execute(sa.insert(platform_images).values(account_id=talent_id, talent_id=talent_id, **values))


def waiting(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        found = accounts_waiting_for_their_talent(connection, platform=INSTAGRAM, now=NOW)
    return {account.talent_id: account.what_to_do for account in found}


def test_a_dead_token_stays_on_the_list_with_what_the_talent_must_do_until_the_account_changes(
    migrated_engine: sa.Engine,
) -> None:
    read(migrated_engine, "healthy", outcome="picture")
    read(migrated_engine, "dead", outcome="needs_reconnect", failure="connect Instagram again", read_at=NOW)
    assert waiting(migrated_engine) == {"dead": "connect Instagram again"}
    with migrated_engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(accessToken="a new token"))
    assert waiting(migrated_engine) == {}


def test_a_disconnected_account_waits_for_nobody(migrated_engine: sa.Engine) -> None:
    read(migrated_engine, "dead", outcome="needs_reconnect", failure="connect Instagram again")
    with migrated_engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(connected=False))
    assert waiting(migrated_engine) == {}


def test_a_consent_is_on_the_list_from_a_fortnight_before_it_ends(migrated_engine: sa.Engine) -> None:
    read(migrated_engine, "soon", outcome="picture", consent_ends_at=NOW + timedelta(days=13))
    read(migrated_engine, "later", outcome="picture", consent_ends_at=NOW + timedelta(days=15))
    found = waiting(migrated_engine)
    assert list(found) == ["soon"]
    assert "consent ends on 2026-12-04" in found["soon"]
