"""The list of talents: who is in it, and who needs attention."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.listing_queries import ListedAccount
from talent_image_pipeline.database.tables import platform_images, talent
from talent_image_pipeline.operations.listing import FAILURES_BEFORE_ATTENTION, attention_reasons, list_talents
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline_tests.rows import insert_account, insert_talent

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def account(outcome: Outcome | None, *, failures: int = 0) -> ListedAccount:
    return ListedAccount(
        platform="tiktok", handle="@ada", outcome=outcome, consecutive_failures=failures, message="Reconnect it."
    )


@pytest.fixture
def engine(migrated_database_url: str, opened: Callable[[str], sa.Engine]) -> sa.Engine:
    """Ada, whose one account waits for her and whose other one is disconnected; Bea, whose account is well; Cleo."""
    engine = opened(migrated_database_url)
    with engine.begin() as connection:
        for talent_id in ("ada", "bea", "cleo"):
            insert_talent(connection, id=talent_id)
        insert_account(connection, id="ada-tiktok", talent_id="ada", platform="TIKTOK")
        insert_account(connection, id="ada-instagram", talent_id="ada", connected=False)
        insert_account(connection, id="bea-instagram", talent_id="bea")
        connection.execute(sa.update(talent).where(talent.c.id == "bea").values(profileImageSource="instagram"))
        for account_id, outcome in (
            ("ada-tiktok", "needs_reconnect"),
            ("ada-instagram", "needs_reconnect"),
            ("bea-instagram", "picture"),
        ):
            talent_id, platform = account_id.split("-")
            connection.execute(
                sa.insert(platform_images).values(
                    account_id=account_id,
                    talent_id=talent_id,
                    platform=platform,
                    handle="@x",
                    outcome=outcome,
                    failure="Reconnect it." if outcome == "needs_reconnect" else None,
                )
            )
    return engine


def test_every_talent_is_listed_once_by_id(engine: sa.Engine) -> None:
    listing = list_talents(engine)

    assert [listed.talent_id for listed in listing.talents] == ["ada", "bea", "cleo"]
    assert listing.total == 3
    assert [len(listed.accounts) for listed in listing.talents] == [1, 1, 0]


def test_the_list_can_be_narrowed_by_source_and_to_those_who_need_attention(engine: sa.Engine) -> None:
    assert [listed.talent_id for listed in list_talents(engine, source="instagram").talents] == ["bea"]
    needing = list_talents(engine, only_needing_attention=True)
    assert [listed.talent_id for listed in needing.talents] == ["ada"]
    assert needing.attention == {"ada": ("tiktok: Reconnect it.",)}


def test_a_limit_leaves_the_total_as_it_is(engine: sa.Engine) -> None:
    listing = list_talents(engine, limit=1)

    assert ([listed.talent_id for listed in listing.talents], listing.total) == (["ada"], 3)


@pytest.mark.parametrize("outcome", [*Outcome, None])
def test_only_what_lasts_until_a_person_acts_needs_attention(outcome: Outcome | None) -> None:
    waits = outcome in {Outcome.NEEDS_RECONNECT, Outcome.HIDDEN, Outcome.REFUSED, Outcome.MISCONFIGURED}

    assert bool(attention_reasons((account(outcome),))) is waits
    assert attention_reasons((account(outcome, failures=FAILURES_BEFORE_ATTENTION),))
