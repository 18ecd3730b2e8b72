"""Token refreshes: one at a time, stored before anything uses them, and never at the cost of the app's newer ones."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.to_thread
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from talent_image_pipeline.database.account_queries import load_accounts
from talent_image_pipeline.database.ledger_queries import claim_accounts
from talent_image_pipeline.database.tables import platform_images, social_account_connection
from talent_image_pipeline.database.token_queries import SeenTokens, claim_refresh
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.platforms.credentials import PlatformCredentials
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline.sync.tokens import (
    REFRESH_LEASE,
    RefreshReport,
    consent_warning,
    is_readable_without_refresh,
    refresh_account_token,
)
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync.rotating_tokens import RotatingTokens, serving

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
ACCOUNT = "account-1"
SEEN = SeenTokens(access_token=SecretStr("act.0"), refresh_token=SecretStr("rft.0"))


@pytest.fixture
def tokens() -> RotatingTokens:
    """The platform's side: the account's first refresh token is living."""
    return RotatingTokens("rft.0")


@pytest.fixture
def tiktok_url(tokens: RotatingTokens) -> Iterator[str]:
    """Where the token endpoint is."""
    with serving(tokens) as url:
        yield url


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    """A database with one TikTok account that a run has claimed, and whose state the ledger has seen."""
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="talent-1")
        insert_account(
            connection,
            id=ACCOUNT,
            talent_id="talent-1",
            platform="TIKTOK",
            access_token="act.0",
            refresh_token="rft.0",
            expires_at=NOON,
        )
        records = load_accounts(connection, [ACCOUNT])
        claim_accounts(connection, records, run_id="run", until=NOON + timedelta(hours=1), now=NOON)
        connection.execute(sa.update(platform_images).values(fingerprint=records[0].fingerprint))
    return migrated_engine


def refresh(engine: sa.Engine, url: str, *, seen: SeenTokens = SEEN, now: datetime = NOON) -> RefreshReport:
    """Refresh the account's token as the keeper does."""
    credentials = PlatformCredentials(
        instagram_api_url=url,
        facebook_api_url=url,
        tiktok_api_url=url,
        youtube_api_url=url,
        tiktok_client_key=SecretStr("key"),
        tiktok_client_secret=SecretStr("secret"),
    )

    async def scenario() -> RefreshReport:
        async with open_api_client() as api:
            client = TIKTOK.build_client(credentials, ApiTransport(api), lambda: now)
            return await refresh_account_token(
                account_id=ACCOUNT, seen=seen, label="TikTok", engine=engine, client=client, clock=lambda: now
            )

    return anyio.run(scenario)


def while_held_back(
    tokens: RotatingTokens, action: Callable[[], object], begin: Callable[[], RefreshReport]
) -> RefreshReport:
    """Do something between the platform's spending the old token and its answer."""
    tokens.may_answer.clear()

    def act() -> None:
        assert tokens.has_rotated.wait(30)
        action()
        tokens.may_answer.set()

    meanwhile = threading.Thread(target=act)
    meanwhile.start()
    report = begin()
    meanwhile.join()
    return report


def app_row(engine: sa.Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        return dict(connection.execute(sa.select(social_account_connection)).mappings().one())


def ledger_row(engine: sa.Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        return dict(connection.execute(sa.select(platform_images)).mappings().one())


def is_seen_as_changed(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        [record] = load_accounts(connection, [ACCOUNT])
    return record.ledger is not None and record.ledger.fingerprint != record.fingerprint


def change_app_row(engine: sa.Engine, **values: object) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(values))


def test_the_new_pair_is_stored_in_the_apps_row_and_nothing_else_there_changes(
    engine: sa.Engine, tiktok_url: str
) -> None:
    before = app_row(engine)
    assert refresh(engine, tiktok_url) == RefreshReport(calls=1)
    after = app_row(engine)
    changed = {name: value for name, value in after.items() if value != before[name]}
    assert changed == {
        "accessToken": "act.1",
        "refreshToken": "rft.1",
        "expiresAt": NOON + timedelta(seconds=7200),
    }


def test_the_ledger_remembers_the_refresh_and_does_not_take_it_for_a_change_of_the_account(
    engine: sa.Engine, tiktok_url: str
) -> None:
    refresh(engine, tiktok_url)
    row = ledger_row(engine)
    assert row["token_refreshed_at"] == NOON
    assert row["token_refresh_started_at"] is None
    assert row["consent_ends_at"] == NOON + timedelta(seconds=864000)
    assert not is_seen_as_changed(engine)


def test_a_change_that_nobody_has_read_yet_is_still_found_after_a_refresh(engine: sa.Engine, tiktok_url: str) -> None:
    change_app_row(engine, handle="@other")
    assert refresh(engine, tiktok_url).failure is None
    assert app_row(engine)["refreshToken"] == "rft.1"
    assert is_seen_as_changed(engine)


def test_tokens_that_the_app_stored_during_a_refresh_win(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    report = while_held_back(
        tokens,
        lambda: change_app_row(engine, accessToken="act.new", refreshToken="rft.new"),
        lambda: refresh(engine, tiktok_url),
    )
    assert report.failure is None
    assert app_row(engine)["accessToken"] == "act.new"
    assert app_row(engine)["refreshToken"] == "rft.new"
    assert ledger_row(engine)["token_refresh_started_at"] is None
    assert is_seen_as_changed(engine)


def test_a_disconnect_that_keeps_the_tokens_does_not_lose_the_new_pair(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    while_held_back(tokens, lambda: change_app_row(engine, connected=False), lambda: refresh(engine, tiktok_url))
    assert tokens.is_living(app_row(engine)["refreshToken"])
    assert app_row(engine)["connected"] is False
    assert is_seen_as_changed(engine)


def test_an_account_that_the_app_deletes_during_a_refresh_is_no_error(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    def delete() -> None:
        with engine.begin() as connection:
            connection.execute(sa.delete(social_account_connection))

    assert while_held_back(tokens, delete, lambda: refresh(engine, tiktok_url)).failure is None


def test_nothing_is_asked_for_when_the_app_has_newer_tokens_than_the_run_saw(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    stale = replace(SEEN, refresh_token=SecretStr("rft.older"))
    assert refresh(engine, tiktok_url, seen=stale) == RefreshReport()
    assert tokens.requests == 0


def test_two_refreshes_at_once_of_one_account_rotate_once(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    others: list[RefreshReport] = []
    other = threading.Thread(target=lambda: others.append(refresh(engine, tiktok_url)))

    def let_the_other_try() -> None:
        other.start()
        # It has all the time to ask the platform too, if nothing keeps it from doing so.
        other.join(timeout=1.0)

    report = while_held_back(tokens, let_the_other_try, lambda: refresh(engine, tiktok_url))
    other.join()
    assert [report.failure, others[0].failure] == [None, None]
    assert tokens.requests == 1
    assert tokens.is_living(app_row(engine)["refreshToken"])


def test_an_answer_that_got_lost_after_the_token_was_spent_ends_in_needs_reconnect(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    tokens.answers = ["lose"]
    report = refresh(engine, tiktok_url)
    assert report.failure is not None
    assert report.failure.outcome is Outcome.NEEDS_RECONNECT
    assert report.failure.explanation == "The answer to a token refresh was lost; reconnect TikTok in the app."
    assert report.calls == tokens.requests == 2
    assert app_row(engine)["refreshToken"] == "rft.0"


def test_a_request_that_got_lost_before_the_token_was_spent_costs_a_second_request_and_nothing_else(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    tokens.answers = ["drop"]
    assert refresh(engine, tiktok_url) == RefreshReport(calls=2)
    assert tokens.is_living(app_row(engine)["refreshToken"])


@pytest.mark.parametrize("trouble", [("drop", "drop"), ("fail", "fail"), ("drop", "fail")])
def test_a_platform_that_is_down_does_not_cost_the_connection(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens, trouble: tuple[str, str]
) -> None:
    tokens.answers = list(trouble)
    report = refresh(engine, tiktok_url)
    assert report.failure is not None
    assert report.failure.outcome is Outcome.UNAVAILABLE
    assert refresh(engine, tiktok_url).failure is None
    assert tokens.is_living(app_row(engine)["refreshToken"])


def test_an_answer_lost_in_an_outage_is_told_from_a_consent_that_ended_when_the_platform_is_back(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    tokens.answers = ["lose", "fail"]
    first = refresh(engine, tiktok_url)
    assert first.failure is not None
    assert first.failure.outcome is Outcome.UNAVAILABLE
    second = refresh(engine, tiktok_url)
    assert second.failure is not None
    assert second.failure.outcome is Outcome.NEEDS_RECONNECT
    assert "answer to a token refresh was lost" in second.failure.explanation
    assert ledger_row(engine)["token_refresh_started_at"] is None


def test_a_consent_that_ended_is_reported_as_the_platform_says_it(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    tokens.take("rft.0")
    report = refresh(engine, tiktok_url)
    assert report.failure is not None
    assert report.failure.outcome is Outcome.NEEDS_RECONNECT
    assert "lost" not in report.failure.explanation
    assert report.calls == 1
    assert ledger_row(engine)["token_refresh_started_at"] is None


def test_a_refresh_that_a_dead_machine_left_unfinished_is_taken_over_after_its_lease(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    with engine.begin() as connection:
        claim_refresh(connection, account_id=ACCOUNT, seen=SEEN, lease=REFRESH_LEASE, now=NOON)
    assert refresh(engine, tiktok_url, now=NOON + REFRESH_LEASE).failure is None
    assert tokens.is_living(app_row(engine)["refreshToken"])


def test_a_pair_that_cannot_be_stored_at_once_is_stored_when_the_database_is_back(
    engine: sa.Engine, tiktok_url: str, tokens: RotatingTokens
) -> None:
    def rename(before: str, after: str) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {before} RENAME TO {after}"))

    back_later = threading.Timer(1.0, rename, ("out_of_reach", "platform_images"))

    def take_away() -> None:
        rename("platform_images", "out_of_reach")
        back_later.start()

    assert while_held_back(tokens, take_away, lambda: refresh(engine, tiktok_url)).failure is None
    back_later.join()
    assert tokens.is_living(app_row(engine)["refreshToken"])
    assert not is_seen_as_changed(engine)


@given(st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_a_consent_that_ends_within_14_days_is_reported_and_no_other(left: timedelta) -> None:
    warning = consent_warning(NOON + left, NOON)
    assert (warning is not None) == (left <= timedelta(days=14))
    if warning is not None:
        assert (NOON + left).date().isoformat() in warning
        assert ("ended" in warning) == (left <= timedelta(0))


def test_a_consent_without_a_known_end_is_not_reported() -> None:
    assert consent_warning(None, NOON) is None


def test_an_account_whose_refresh_failed_is_read_with_its_old_token_while_that_lives() -> None:
    assert is_readable_without_refresh(NOON + timedelta(days=3), NOON)
    assert not is_readable_without_refresh(NOON, NOON)
    assert not is_readable_without_refresh(None, NOON)
