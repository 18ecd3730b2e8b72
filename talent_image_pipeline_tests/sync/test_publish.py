"""What talents show after a run, and the history of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def url_of(account_id: str) -> str:
    return f"http://pictures.example/images/{sim.picture_of(account_id).content_hash}/256.webp"


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        for platform in ("INSTAGRAM", "TIKTOK", "YOUTUBE"):
            account_id = f"ada-{platform.lower()}"
            insert_account(connection, id=account_id, talent_id="ada", platform=platform, access_token="token")
    return migrated_engine


def resolve(engine: sa.Engine, *, now: datetime, run_id: str = "resolving") -> None:
    """Publish what a run would that reads nothing."""
    sim.choose(engine, now=now, run_id=run_id, talent_ids=("ada",))
    sim.publish_batch(engine, run_id=run_id, now=now)


def assert_history_has_no_gap(engine: sa.Engine, talent_id: str = "ada") -> list[sa.RowMapping]:
    versions = sim.history_of(engine, talent_id)
    assert [version["valid_to"] for version in versions[:-1]] == [version["valid_from"] for version in versions[1:]]
    assert versions[-1]["valid_to"] is None
    assert all(version["valid_to"] >= version["valid_from"] for version in versions[:-1])
    return versions


def test_the_first_run_shows_the_preferred_network_and_stamps_the_talent(engine: sa.Engine) -> None:
    assert sim.run(engine, now=NOON) == ["ada-instagram", "ada-tiktok", "ada-youtube"]
    assert sim.columns_of(engine, "ada") == (url_of("ada-instagram"), "instagram", NOON)
    (version,) = assert_history_has_no_gap(engine)
    assert (version["source"], version["run_id"], version["why"]) == ("instagram", "run", "the first picture")


def test_disconnecting_shows_the_next_network_at_once_without_reading_any(engine: sa.Engine) -> None:
    sim.run(engine, now=NOON)
    shown = []
    for number, platform in enumerate(("instagram", "tiktok", "youtube"), start=1):
        sim.change_account(engine, f"ada-{platform}", connected=False)
        now = NOON + number * HOUR
        assert sim.run(engine, now=now, talent_ids=("ada",), run_id=f"run-{number}") == []
        shown.append(sim.columns_of(engine, "ada")[:2])
    assert shown == [(url_of("ada-tiktok"), "tiktok"), (url_of("ada-youtube"), "youtube"), (None, "initials")]
    versions = assert_history_has_no_gap(engine)
    assert [version["source"] for version in versions] == ["instagram", "tiktok", "youtube", "initials"]


def test_deleting_an_account_shows_the_next_network_and_forgets_it(engine: sa.Engine) -> None:
    sim.run(engine, now=NOON)
    sim.delete_account(engine, "ada-instagram")
    resolve(engine, now=NOON + HOUR)
    assert sim.columns_of(engine, "ada")[:2] == (url_of("ada-tiktok"), "tiktok")
    assert sim.ledger_of(engine, "ada-instagram") is None
    assert assert_history_has_no_gap(engine)[-1]["why"] == "the instagram account was removed; tiktok is next"


@pytest.mark.parametrize("outcome", [Outcome.UNAVAILABLE, Outcome.RATE_LIMITED])
def test_an_outage_of_every_network_changes_nothing_not_even_the_stamp(engine: sa.Engine, outcome: Outcome) -> None:
    sim.run(engine, now=NOON)
    before = sim.columns_of(engine, "ada")
    assert sim.run(engine, now=NOON + 25 * HOUR, outcome=outcome) != []
    assert sim.columns_of(engine, "ada") == before
    assert len(sim.history_of(engine, "ada")) == 1


@pytest.mark.parametrize("outcome", [Outcome.NEEDS_RECONNECT, Outcome.REFUSED, Outcome.MISCONFIGURED])
def test_a_read_that_failed_for_good_keeps_the_picture_and_ends_the_sync(engine: sa.Engine, outcome: Outcome) -> None:
    sim.run(engine, now=NOON)
    tomorrow = NOON + 25 * HOUR
    sim.run(engine, now=tomorrow, outcome=outcome)
    assert sim.columns_of(engine, "ada") == (url_of("ada-instagram"), "instagram", tomorrow)
    assert len(sim.history_of(engine, "ada")) == 1


@pytest.mark.parametrize("scope", [{}, {"talent_ids": ("ada",)}, {"talent_ids": ("ada",), "force": True}])
def test_a_manual_picture_its_stamp_and_its_dates_are_never_touched(engine: sa.Engine, scope: dict[str, Any]) -> None:
    own = {"profileImageUrl": "https://cdn.example/own.jpg", "profileImageSource": "manual"}
    with engine.begin() as connection:
        connection.execute(sa.update(talent).values(own))
        before = connection.execute(sa.select(talent)).one()
    assert sim.run(engine, now=NOON, **scope) == []
    with engine.begin() as connection:
        assert connection.execute(sa.select(talent)).one() == before
    assert sim.history_of(engine, "ada") == []


def test_a_picture_that_becomes_manual_during_the_read_is_not_touched(engine: sa.Engine) -> None:
    sim.choose(engine, now=NOON)
    own = {"profileImageUrl": "https://cdn.example/own.jpg", "profileImageSource": "manual"}
    with engine.begin() as connection:
        connection.execute(sa.update(talent).values(own))
    accounts = sim.load(engine, "ada-instagram")
    sim.claim(engine, accounts, run_id="run", now=NOON)
    sim.write(engine, [sim.reading_of(accounts[0], Outcome.PICTURE, now=NOON)], run_id="run", now=NOON)
    sim.publish_batch(engine, run_id="run", now=NOON)
    assert sim.columns_of(engine, "ada") == ("https://cdn.example/own.jpg", "manual", None)
    assert sim.history_of(engine, "ada") == []


def test_what_a_killed_run_read_and_did_not_publish_the_next_run_carries_on(engine: sa.Engine) -> None:
    sim.choose(engine, now=NOON, run_id="killed")
    accounts = sim.load(engine, "ada-instagram", "ada-tiktok", "ada-youtube")
    sim.claim(engine, accounts, run_id="killed", now=NOON)
    rows = [sim.reading_of(account, Outcome.PICTURE, now=NOON) for account in accounts]
    sim.write(engine, rows, run_id="killed", now=NOON)
    found = {finding.talent_id for finding in sim.found_by_sensor(engine, now=NOON)}
    assert found == {"ada"}
    assert sim.run(engine, now=NOON + HOUR, run_id="next", talent_ids=("ada",)) == []
    assert sim.columns_of(engine, "ada")[:2] == (url_of("ada-instagram"), "instagram")
    assert sim.found_by_sensor(engine, now=NOON + HOUR) == []


def test_a_disconnect_between_reading_and_publishing_counts(engine: sa.Engine) -> None:
    sim.run(engine, now=NOON)
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(connected=False))
    sim.publish_batch(engine, run_id="run", now=NOON + HOUR)
    assert sim.columns_of(engine, "ada")[:2] == (None, "initials")


def test_publishing_again_what_is_shown_writes_no_version(engine: sa.Engine) -> None:
    sim.run(engine, now=NOON)
    sim.run(engine, now=NOON + HOUR, run_id="again", talent_ids=("ada",), force=True)
    assert len(assert_history_has_no_gap(engine)) == 1


def test_the_history_never_runs_backwards_whatever_the_clocks_of_two_machines_say(engine: sa.Engine) -> None:
    sim.run(engine, now=NOON)
    sim.change_account(engine, "ada-instagram", connected=False)
    resolve(engine, now=NOON - HOUR)
    versions = assert_history_has_no_gap(engine)
    assert [version["source"] for version in versions] == ["instagram", "tiktok"]


def test_a_deleted_talents_history_ends_even_when_it_began_by_a_faster_clock(engine: sa.Engine) -> None:
    sim.run(engine, now=NOON)
    with engine.begin() as connection:
        connection.execute(sa.delete(talent))
    resolve(engine, now=NOON - HOUR)
    (version,) = sim.history_of(engine, "ada")
    assert version["valid_to"] == version["valid_from"] == NOON


def test_two_runs_that_publish_the_same_talents_at_once_leave_one_history(
    engine: sa.Engine, migrated_database_url: str, opened: Callable[[str], sa.Engine]
) -> None:
    sim.run(engine, now=NOON)
    sim.change_account(engine, "ada-instagram", connected=False)
    engines = [opened(migrated_database_url) for _ in range(4)]
    with ThreadPoolExecutor(len(engines)) as threads:
        list(threads.map(lambda number: resolve(engines[number], now=NOON + HOUR, run_id=f"run-{number}"), range(4)))
    assert [version["source"] for version in assert_history_has_no_gap(engine)] == ["instagram", "tiktok"]


def test_a_transaction_of_the_app_that_locks_in_another_order_is_waited_for_and_never_ended(
    engine: sa.Engine, migrated_database_url: str, opened: Callable[[str], sa.Engine]
) -> None:
    sim.run(engine, now=NOON)
    app, holds_the_account = opened(migrated_database_url), Event()
    publishing = Event()

    def disconnect_as_the_app() -> None:
        with app.begin() as connection:
            connection.execute(sa.update(social_account_connection).values(connected=False))
            holds_the_account.set()
            publishing.wait(timeout=10)
            # By now the run holds the talent, or steps aside again and again; on SQLite it waits for its turn.
            Event().wait(0.3)
            connection.execute(sa.update(talent).values(status="INACTIVE"))

    with ThreadPoolExecutor(2) as threads:
        disconnecting = threads.submit(disconnect_as_the_app)
        holds_the_account.wait(timeout=10)
        publishing.set()
        resolving = threads.submit(sim.publish_batch, engine, run_id="run", now=NOON + HOUR)
        disconnecting.result(timeout=30)
        resolving.result(timeout=30)
    assert sim.columns_of(engine, "ada")[:2] == (None, "initials")


@pytest.mark.parametrize("migrated_database_url", ["postgresql"], indirect=True)
def test_the_app_may_connect_an_account_while_its_talent_is_published(
    engine: sa.Engine, migrated_database_url: str, opened: Callable[[str], sa.Engine]
) -> None:
    with engine.begin() as publishing, opened(migrated_database_url).begin() as app:
        sim.lock_as_publishing_does(publishing, "ada")
        app.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
        insert_account(app, id="new", talent_id="ada", platform="LINKEDIN")
