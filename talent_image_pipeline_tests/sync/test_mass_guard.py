"""The guard against mass losses: over all runs, also those at once, on both databases."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import fact_queries, transactions
from talent_image_pipeline.database.tables import platform_images
from talent_image_pipeline.operations.holds import release_held
from talent_image_pipeline.platforms.contract import Outcome, Reading
from talent_image_pipeline.sync.reading.guarded_writes import write_readings
from talent_image_pipeline.sync.reading.mass_guard import Loss, WrittenReading, are_too_many
from talent_image_pipeline.sync.reading.outcome_rules import StoredReference, ledger_after
from talent_image_pipeline.sync.reading.probes import split_off_probes
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NONE = Reading(outcome=Outcome.NO_PICTURE, message="has_profile_pic is false")
SHOWN = Reading(outcome=Outcome.UNCHANGED, message="")
LEFT_OUT = Reading(outcome=Outcome.UNCONFIRMED, suggests=Outcome.GONE, message="not in the answer")
BLOCKED = Reading(outcome=Outcome.NEEDS_RECONNECT, message="API access blocked")


def agency(engine: sa.Engine, number: int) -> list[str]:
    """Connect so many accounts, each with a picture that we own since yesterday."""
    handles = [f"handle.{index:03}" for index in range(number)]
    with engine.begin() as connection:
        for handle in handles:
            insert_talent(connection, id=f"talent of {handle}")
            insert_account(
                connection,
                id=handle,
                talent_id=f"talent of {handle}",
                handle=handle,
                access_token=f"token-of-{handle}",
            )
    read(engine, handles, Reading(outcome=Outcome.PICTURE, message=""), now=NOW - DAY)
    return handles


def read(engine: sa.Engine, handles: Sequence[str], reading: Reading, *, now: datetime, run_id: str = "run") -> None:
    """Read accounts in one run, with every read ending the same way."""
    accounts = sim.load(engine, *handles)
    assert sim.claim(engine, accounts, run_id=run_id, now=now) == set(handles)
    pictures = [sim.picture_of(handle) for handle in handles if reading.outcome is Outcome.PICTURE]
    stored = {
        picture.content_hash: StoredReference(content_hash=picture.content_hash, content_id="1") for picture in pictures
    }
    rows = [
        WrittenReading(
            before=account.ledger,
            after=ledger_after(
                account,
                reading,
                picture=stored.get(sim.picture_of(account.account_id).content_hash),
                now=now,
                rng=random.Random(1),
            ),
        )
        for account in accounts
    ]
    written = transactions.write(
        engine, write_readings, rows, platform="instagram", new_pictures=pictures, run_id=run_id, now=now
    )
    assert set(written.rows) == set(handles)


def column(engine: sa.Engine, name: str) -> dict[str, object]:
    with engine.begin() as connection:
        statement = sa.select(platform_images.c.account_id, platform_images.c[name])
        return {row[0]: row[1] for row in connection.execute(statement)}


def owned(engine: sa.Engine) -> set[str]:
    return {account_id for account_id, hash_ in column(engine, "picture_hash").items() if hash_ is not None}


def outcomes(engine: sa.Engine) -> set[object]:
    return set(column(engine, "outcome").values())


def held(engine: sa.Engine) -> set[str]:
    return {account_id for account_id, since in column(engine, "held_since").items() if since is not None}


@pytest.mark.parametrize(
    ("losses", "total", "loss", "expected"),
    [
        (5, 5, Loss.PICTURE, False),
        (6, 20, Loss.PICTURE, True),
        (6, 120, Loss.PICTURE, False),
        (7, 120, Loss.PICTURE, True),
        (12, 120, Loss.CONNECTION, False),
        (13, 120, Loss.CONNECTION, True),
    ],
)
def test_more_than_five_and_more_than_the_share_are_too_many(
    losses: int, total: int, loss: Loss, expected: bool
) -> None:
    assert are_too_many(losses, total=total, loss=loss) is expected


def test_a_few_pictures_that_go_are_the_talents_doing(migrated_engine: sa.Engine) -> None:
    handles = agency(migrated_engine, 20)
    read(migrated_engine, handles[:5], NONE, now=NOW)
    assert owned(migrated_engine) == set(handles[5:])
    assert held(migrated_engine) == set()


def test_of_too_many_pictures_none_is_dropped_and_the_ledger_says_what_the_platform_said(
    migrated_engine: sa.Engine,
) -> None:
    handles = agency(migrated_engine, 20)
    read(migrated_engine, handles, NONE, now=NOW)
    assert owned(migrated_engine) == held(migrated_engine) == set(handles)
    row = sim.ledger_of(migrated_engine, handles[0])
    assert row is not None
    assert (row["outcome"], row["suggested_outcome"], row["failure"]) == ("unconfirmed", "no_picture", NONE.message)
    facts = transactions.read(migrated_engine, fact_queries.platform_facts, platform="instagram", since=NOW - DAY)
    assert facts.held == {Outcome.NO_PICTURE: 20}
    assert facts.held_messages == [NONE.message]


def test_what_earlier_runs_dropped_within_the_day_comes_back_when_it_becomes_too_many(
    migrated_engine: sa.Engine,
) -> None:
    handles = agency(migrated_engine, 20)
    read(migrated_engine, handles[:4], NONE, now=NOW, run_id="one")
    assert owned(migrated_engine) == set(handles[4:])
    read(migrated_engine, handles[4:8], NONE, now=NOW + HOUR, run_id="two")
    assert owned(migrated_engine) == set(handles)
    assert held(migrated_engine) == set(handles[:8])
    assert column(migrated_engine, "awaits_resolution")[handles[0]]


def test_a_picture_comes_back_to_an_account_whose_token_died_since(migrated_engine: sa.Engine) -> None:
    handles = agency(migrated_engine, 20)
    read(migrated_engine, handles[:4], NONE, now=NOW, run_id="one")
    read(migrated_engine, handles[:1], BLOCKED, now=NOW + HOUR, run_id="two")
    read(migrated_engine, handles[4:8], NONE, now=NOW + 2 * HOUR, run_id="three")
    assert owned(migrated_engine) == set(handles)
    assert column(migrated_engine, "outcome")[handles[0]] == "needs_reconnect"


def test_losses_of_another_day_do_not_count(migrated_engine: sa.Engine) -> None:
    handles = agency(migrated_engine, 20)
    read(migrated_engine, handles[:4], NONE, now=NOW)
    read(migrated_engine, handles[4:8], NONE, now=NOW + DAY + HOUR)
    assert owned(migrated_engine) == set(handles[8:])


def test_the_guard_holds_over_runs_at_once(migrated_engine: sa.Engine) -> None:
    handles = agency(migrated_engine, 40)
    parts = [handles[start : start + 4] for start in range(0, 40, 4)]
    with ThreadPoolExecutor(max_workers=5) as runs:
        list(runs.map(lambda part: read(migrated_engine, part, NONE, now=NOW, run_id=f"run {part[0]}"), parts))
    assert owned(migrated_engine) == held(migrated_engine) == set(handles)


def test_what_a_later_read_contradicts_is_released_and_the_few_that_stay_so_are_believed(
    migrated_engine: sa.Engine,
) -> None:
    handles = agency(migrated_engine, 20)
    read(migrated_engine, handles, LEFT_OUT, now=NOW)
    assert held(migrated_engine) == set()
    read(migrated_engine, handles, LEFT_OUT, now=NOW + DAY)
    assert owned(migrated_engine) == held(migrated_engine) == set(handles)
    read(migrated_engine, handles[3:], SHOWN, now=NOW + 2 * DAY)
    assert held(migrated_engine) == set(handles[:3])
    read(migrated_engine, handles[:3], LEFT_OUT, now=NOW + 2 * DAY + HOUR)
    assert owned(migrated_engine) == set(handles[3:])
    assert held(migrated_engine) == set()


def test_a_person_releases_what_is_held_and_it_does_not_count_any_more(migrated_engine: sa.Engine) -> None:
    handles = agency(migrated_engine, 20)
    read(migrated_engine, handles[:10], NONE, now=NOW)
    done = release_held(migrated_engine, "instagram", now=NOW + HOUR)
    assert (done.pictures, done.connections) == (10, 0)
    assert owned(migrated_engine) == set(handles[10:])
    assert held(migrated_engine) == set()
    read(migrated_engine, handles[:14], NONE, now=NOW + 2 * HOUR)
    assert owned(migrated_engine) == set(handles[14:])
    assert release_held(migrated_engine, "instagram", now=NOW + 3 * HOUR).pictures == 0


def test_too_many_dead_tokens_are_our_fault_and_no_account_is_written_off(migrated_engine: sa.Engine) -> None:
    handles = agency(migrated_engine, 12)
    read(migrated_engine, handles[:5], BLOCKED, now=NOW, run_id="one")
    assert outcomes(migrated_engine) == {"needs_reconnect", "picture"}
    read(migrated_engine, handles[5:], BLOCKED, now=NOW + HOUR, run_id="two")
    assert outcomes(migrated_engine) == {"misconfigured"}
    assert held(migrated_engine) == owned(migrated_engine) == set(handles)
    now = NOW + 3 * HOUR
    owed = sim.load(migrated_engine, *handles)
    asked_first = split_off_probes(owed, force=False)
    assert len(asked_first.now) == len(asked_first.probes) == 3
    assert len(asked_first.suspended) == 9
    assert split_off_probes(owed, force=True).suspended == ()
    read(migrated_engine, handles[:10], SHOWN, now=now)
    read(migrated_engine, handles[10:], BLOCKED, now=now + HOUR)
    assert outcomes(migrated_engine) == {"unchanged", "needs_reconnect"}
    assert held(migrated_engine) == set()


def test_accounts_without_a_token_do_not_count_among_the_dead_tokens(migrated_engine: sa.Engine) -> None:
    handles = agency(migrated_engine, 12)
    for handle in handles:
        sim.change_account(migrated_engine, handle, accessToken=None)
    read(migrated_engine, handles, BLOCKED, now=NOW)
    assert outcomes(migrated_engine) == {"needs_reconnect"}
