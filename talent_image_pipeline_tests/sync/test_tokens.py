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
from talent_image_pipeline.database.tables import platform_images, social_account_connection
from talent_image_pipeline.database.token_queries import SeenTokens, claim_refresh
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline.sandbox.situations import Network, Situation
from talent_image_pipeline.sandbox.world import account_id_of, connected_credentials
from talent_image_pipeline.settings import load_settings
from talent_image_pipeline.sync.tokens.refresh import (
    REFRESH_LEASE,
    RefreshReport,
    consent_warning,
    is_readable_without_refresh,
    refresh_account_token,
)
from talent_image_pipeline_tests.sync.rotating_account import (
    ACCOUNT,
    AGE_OF_FIRST_PAIR,
    HANDLE,
    RotatingAccount,
    serving,
    store_first_pair,
    stored_pair_works,
)

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FIRST_PAIR = connected_credentials(
    Network.TIKTOK, account_id_of(Network.TIKTOK, HANDLE), consented_at=NOON - AGE_OF_FIRST_PAIR
)
SEEN = SeenTokens(
    access_token=SecretStr(FIRST_PAIR.access_token), refresh_token=SecretStr(FIRST_PAIR.refresh_token or "")
)
LOST = Situation.REFRESH_REQUEST_LOST
DOWN = Situation.REFRESH_OUTAGE


@pytest.fixture
def tiktok(monkeypatch: pytest.MonkeyPatch) -> Iterator[RotatingAccount]:
    """The platform's side: the account's first refresh token is living."""
    account = RotatingAccount(clock=lambda: NOON)
    with serving(account, monkeypatch):
        yield account


@pytest.fixture
def engine(migrated_engine: sa.Engine, tiktok: RotatingAccount) -> sa.Engine:
    """A database with that account, which a run has claimed, and whose state the ledger has seen."""
    store_first_pair(migrated_engine, tiktok)
    return migrated_engine


def refresh(engine: sa.Engine, *, seen: SeenTokens = SEEN, now: datetime = NOON) -> RefreshReport:
    """Refresh the account's token as the keeper does."""
    credentials = load_settings().platform_values

    async def scenario() -> RefreshReport:
        async with open_api_client() as api:
            client = TIKTOK.open_client(credentials, ApiTransport(api), lambda: now)
            return await refresh_account_token(
                account_id=ACCOUNT, seen=seen, label="TikTok", engine=engine, client=client, clock=lambda: now
            )

    return anyio.run(scenario)


def while_held_back(
    tiktok: RotatingAccount, action: Callable[[], object], begin: Callable[[], RefreshReport]
) -> RefreshReport:
    """Do something between the platform's spending the old token and its answer."""
    tiktok.hold_answers_back()

    def act() -> None:
        assert tiktok.has_rotated()
        action()
        tiktok.let_answers_go()

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
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    before = app_row(engine)
    assert refresh(engine) == RefreshReport(calls=1)
    after = app_row(engine)
    changed = {name for name, value in after.items() if value != before[name]}
    assert changed == {"accessToken", "refreshToken", "expiresAt"}
    assert after["expiresAt"] == NOON + timedelta(seconds=7_200)
    assert stored_pair_works(engine, tiktok)


def test_the_ledger_remembers_the_refresh_and_does_not_take_it_for_a_change_of_the_account(engine: sa.Engine) -> None:
    refresh(engine)
    row = ledger_row(engine)
    assert row["token_refreshed_at"] == NOON
    assert row["token_refresh_started_at"] is None
    assert row["consent_ends_at"] == NOON - AGE_OF_FIRST_PAIR + timedelta(seconds=15_552_000)
    assert not is_seen_as_changed(engine)


def test_a_change_that_nobody_has_read_yet_is_still_found_after_a_refresh(engine: sa.Engine) -> None:
    change_app_row(engine, handle="@other")
    assert refresh(engine).failure is None
    assert app_row(engine)["refreshToken"] != FIRST_PAIR.refresh_token
    assert is_seen_as_changed(engine)


def test_tokens_that_the_app_stored_during_a_refresh_win(engine: sa.Engine, tiktok: RotatingAccount) -> None:
    report = while_held_back(
        tiktok,
        lambda: change_app_row(engine, accessToken="act.new", refreshToken="rft.new"),
        lambda: refresh(engine),
    )
    assert report.failure is None
    assert app_row(engine)["accessToken"] == "act.new"
    assert app_row(engine)["refreshToken"] == "rft.new"
    assert ledger_row(engine)["token_refresh_started_at"] is None
    assert is_seen_as_changed(engine)


def test_a_disconnect_that_keeps_the_tokens_does_not_lose_the_new_pair(
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    while_held_back(tiktok, lambda: change_app_row(engine, connected=False), lambda: refresh(engine))
    assert stored_pair_works(engine, tiktok)
    assert app_row(engine)["connected"] is False
    assert is_seen_as_changed(engine)


def test_an_account_that_the_app_deletes_during_a_refresh_is_no_error(
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    def delete() -> None:
        with engine.begin() as connection:
            connection.execute(sa.delete(social_account_connection))

    assert while_held_back(tiktok, delete, lambda: refresh(engine)).failure is None


def test_nothing_is_asked_for_when_the_app_has_newer_tokens_than_the_run_saw(
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    stale = replace(SEEN, refresh_token=SecretStr("rft.older"))
    assert refresh(engine, seen=stale) == RefreshReport()
    assert tiktok.requests == 0


def test_two_refreshes_at_once_of_one_account_rotate_once(engine: sa.Engine, tiktok: RotatingAccount) -> None:
    others: list[RefreshReport] = []
    other = threading.Thread(target=lambda: others.append(refresh(engine)))

    def let_the_other_try() -> None:
        other.start()
        # It has all the time to ask the platform too, if nothing keeps it from doing so.
        other.join(timeout=1.0)

    report = while_held_back(tiktok, let_the_other_try, lambda: refresh(engine))
    other.join()
    assert [report.failure, others[0].failure] == [None, None]
    assert tiktok.requests == 1
    assert stored_pair_works(engine, tiktok)


def test_an_answer_that_got_lost_after_the_token_was_spent_ends_in_needs_reconnect(
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    tiktok.next_situations = [Situation.REFRESH_ANSWER_LOST]
    report = refresh(engine)
    assert report.failure is not None
    assert report.failure.outcome is Outcome.NEEDS_RECONNECT
    assert report.failure.message == "The answer to a token refresh was lost; reconnect TikTok in the app."
    assert report.calls == tiktok.requests == 2
    assert app_row(engine)["refreshToken"] == FIRST_PAIR.refresh_token


def test_a_request_that_got_lost_before_the_token_was_spent_costs_a_second_request_and_nothing_else(
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    tiktok.next_situations = [Situation.REFRESH_REQUEST_LOST]
    assert refresh(engine) == RefreshReport(calls=2)
    assert stored_pair_works(engine, tiktok)


@pytest.mark.parametrize("trouble", [(LOST, LOST), (DOWN, DOWN), (LOST, DOWN)])
def test_a_platform_that_is_down_does_not_cost_the_connection(
    engine: sa.Engine, tiktok: RotatingAccount, trouble: tuple[Situation, Situation]
) -> None:
    tiktok.next_situations = list(trouble)
    report = refresh(engine)
    assert report.failure is not None
    assert report.failure.outcome is Outcome.UNAVAILABLE
    assert refresh(engine).failure is None
    assert stored_pair_works(engine, tiktok)


def test_an_answer_lost_in_an_outage_is_told_from_a_consent_that_ended_when_the_platform_is_back(
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    tiktok.next_situations = [Situation.REFRESH_ANSWER_LOST, Situation.REFRESH_OUTAGE]
    first = refresh(engine)
    assert first.failure is not None
    assert first.failure.outcome is Outcome.UNAVAILABLE
    second = refresh(engine)
    assert second.failure is not None
    assert second.failure.outcome is Outcome.NEEDS_RECONNECT
    assert "answer to a token refresh was lost" in second.failure.message
    assert ledger_row(engine)["token_refresh_started_at"] is None


def test_a_consent_that_ended_is_reported_as_the_platform_says_it(engine: sa.Engine, tiktok: RotatingAccount) -> None:
    tiktok.set_situation(Network.TIKTOK, HANDLE, Situation.REFRESH_REFUSED)
    report = refresh(engine)
    assert report.failure is not None
    assert report.failure.outcome is Outcome.NEEDS_RECONNECT
    assert "lost" not in report.failure.message
    assert report.calls == 1
    assert ledger_row(engine)["token_refresh_started_at"] is None


def test_a_refresh_that_a_dead_machine_left_unfinished_is_taken_over_after_its_lease(
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    with engine.begin() as connection:
        claim_refresh(connection, account_id=ACCOUNT, seen=SEEN, lease=REFRESH_LEASE, now=NOON)
    assert refresh(engine, now=NOON + REFRESH_LEASE).failure is None
    assert stored_pair_works(engine, tiktok)


def test_a_pair_that_cannot_be_stored_at_once_is_stored_when_the_database_is_back(
    engine: sa.Engine, tiktok: RotatingAccount
) -> None:
    def rename(before: str, after: str) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {before} RENAME TO {after}"))

    back_later = threading.Timer(1.0, rename, ("out_of_reach", "platform_images"))

    def take_away() -> None:
        rename("platform_images", "out_of_reach")
        back_later.start()

    assert while_held_back(tiktok, take_away, lambda: refresh(engine)).failure is None
    back_later.join()
    assert stored_pair_works(engine, tiktok)
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
    assert is_readable_without_refresh(None, NOON)
