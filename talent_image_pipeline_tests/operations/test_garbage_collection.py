"""Garbage goes, everything that is or may come into use stays, also beside running syncs."""

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import anyio
import anyio.to_thread
import pytest
import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import account_queries, history_queries, ledger_queries
from talent_image_pipeline.database.history_queries import NewVersion
from talent_image_pipeline.database.records import PictureRecord, PinRecord
from talent_image_pipeline.database.tables import pictures as pictures_table
from talent_image_pipeline.database.tables import platform_images, profile_image_versions
from talent_image_pipeline.operations.store_maintenance import GarbageReport, Progress, collect_garbage
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.contract import Outcome, Reading
from talent_image_pipeline.sync.reading.outcome_rules import StoredReference, ledger_after
from talent_image_pipeline_tests.conftest import PostgresServer
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync.stored_pictures import put_picture, read_picture

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(directory: Path) -> PictureStore:
    return PictureStore.from_url(str(directory))


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        insert_account(connection, id="ada-instagram", talent_id="ada")
    return migrated_engine


@pytest.fixture
def old_picture(engine: sa.Engine, store: PictureStore, directory: Path) -> Callable[[int], PictureRecord]:
    """Store and record a picture as it would be after months, with nothing that refers to it."""

    def make(seed: int) -> PictureRecord:
        picture = put_picture(store, seed)
        with engine.begin() as connection:
            ledger_queries.save_pictures(connection, [picture], now=LONG_AGO)
        make_old(directory / picture.content_hash)
        return picture

    return make


def make_old(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))


def collect(
    engine: sa.Engine,
    store: PictureStore,
    *,
    grace: timedelta = DAY,
    dry_run: bool = False,
    longest_wait: timedelta = timedelta(0),
    on_progress: Progress | None = None,
) -> GarbageReport:
    async def run() -> GarbageReport:
        return await collect_garbage(
            engine,
            store,
            grace=grace,
            clock=utc_now,
            dry_run=dry_run,
            longest_wait=longest_wait,
            on_progress=on_progress,
        )

    return anyio.run(run)


def is_whole(engine: sa.Engine, store: PictureStore, picture: PictureRecord) -> bool:
    """Whether both the row and the objects are there; exactly one of them would be a failure of its own."""

    async def has() -> bool:
        return await store.has(picture.content_hash)

    with engine.connect() as connection:
        is_recorded = bool(ledger_queries.load_pictures(connection, [picture.content_hash]))
    is_stored = anyio.run(has)
    assert is_recorded == is_stored
    return is_stored


def refer_from_ledger(engine: sa.Engine, picture: PictureRecord) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.insert(platform_images).values(
                account_id=f"account of {picture.content_hash}",
                talent_id="ada",
                platform="tiktok",
                handle="@ada",
                picture_hash=picture.content_hash,
            )
        )


def refer_from_ended_version(engine: sa.Engine, picture: PictureRecord) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.insert(profile_image_versions).values(
                talent_id="ada",
                source="tiktok",
                picture_hash=picture.content_hash,
                valid_from=LONG_AGO,
                valid_to=LONG_AGO + DAY,
                why="the first picture",
            )
        )


def refer_from_pin(engine: sa.Engine, picture: PictureRecord) -> None:
    with engine.begin() as connection:
        initials = NewVersion(talent_id="ada", source="initials", picture_hash=None, why="a pin names a version")
        history_queries.write_versions(connection, [initials], run_id="run", now=LONG_AGO)
        history_queries.save_pin(
            connection,
            PinRecord(
                talent_id="ada",
                version_id=history_queries.current_versions(connection, ["ada"])["ada"].version_id,
                source="tiktok",
                picture_hash=picture.content_hash,
                pinned_at=LONG_AGO,
            ),
        )


def test_an_old_picture_that_nothing_refers_to_is_removed_from_both_sides(
    engine: sa.Engine, store: PictureStore, old_picture: Callable[[int], PictureRecord]
) -> None:
    garbage = old_picture(1)

    report = collect(engine, store)

    assert report == GarbageReport(removed=[garbage.content_hash], bytes=garbage.bytes)
    assert not is_whole(engine, store, garbage)


@pytest.mark.parametrize("refer", [refer_from_ledger, refer_from_ended_version, refer_from_pin])
def test_whatever_is_referred_to_stays(
    engine: sa.Engine,
    store: PictureStore,
    old_picture: Callable[[int], PictureRecord],
    refer: Callable[[sa.Engine, PictureRecord], None],
) -> None:
    used, garbage = old_picture(1), old_picture(2)
    refer(engine, used)

    assert collect(engine, store).removed == [garbage.content_hash]
    assert is_whole(engine, store, used)


def test_a_dry_run_names_what_would_go_and_removes_nothing(
    engine: sa.Engine, store: PictureStore, old_picture: Callable[[int], PictureRecord]
) -> None:
    garbage = old_picture(1)

    report = collect(engine, store, dry_run=True)

    assert report == GarbageReport(removed=[garbage.content_hash], bytes=garbage.bytes)
    assert is_whole(engine, store, garbage)


def test_what_was_stored_within_the_grace_period_stays(
    engine: sa.Engine, store: PictureStore, old_picture: Callable[[int], PictureRecord], directory: Path
) -> None:
    objects_are_new = old_picture(1)
    (directory / objects_are_new.content_hash / "512.webp").touch()
    row_is_new = old_picture(2)
    with engine.begin() as connection:
        ledger_queries.save_pictures(connection, [row_is_new], now=utc_now())

    assert collect(engine, store).removed == []
    assert is_whole(engine, store, objects_are_new)
    assert is_whole(engine, store, row_is_new)


def test_objects_without_a_row_and_rows_without_objects_go_when_they_are_old(
    engine: sa.Engine, store: PictureStore, directory: Path, old_picture: Callable[[int], PictureRecord]
) -> None:
    without_row, half_written, without_objects = put_picture(store, 1), put_picture(store, 2), old_picture(3)
    (directory / half_written.content_hash / "512.webp").unlink()
    for picture in (without_row, half_written):
        make_old(directory / picture.content_hash)
    for path in (directory / without_objects.content_hash).iterdir():
        path.unlink()
    just_stored = put_picture(store, 4)

    report = collect(engine, store)

    gone = sorted(picture.content_hash for picture in (without_row, half_written, without_objects))
    assert report.removed == gone
    assert [path.parent.name for path in directory.glob("*/512.webp")] == [just_stored.content_hash]
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(pictures_table)) == 0


@pytest.mark.parametrize("refer", [refer_from_ledger, refer_from_ended_version, refer_from_pin])
def test_a_picture_that_comes_into_use_after_the_search_stays(
    engine: sa.Engine,
    store: PictureStore,
    old_picture: Callable[[int], PictureRecord],
    refer: Callable[[sa.Engine, PictureRecord], None],
) -> None:
    first, second = sorted([old_picture(1), old_picture(2)], key=lambda picture: picture.content_hash)

    report = collect(engine, store, on_progress=lambda done, _: refer(engine, second) if done == 1 else None)

    assert (report.removed, report.kept) == ([first.content_hash], 1)
    assert is_whole(engine, store, second)


def test_a_picture_whose_objects_are_stored_anew_after_the_search_keeps_its_row(
    engine: sa.Engine, store: PictureStore, directory: Path, old_picture: Callable[[int], PictureRecord]
) -> None:
    first, second = sorted([old_picture(1), old_picture(2)], key=lambda picture: picture.content_hash)
    largest = directory / second.content_hash / "512.webp"

    report = collect(engine, store, on_progress=lambda done, _: largest.touch() if done == 1 else None)

    assert (report.removed, report.kept) == ([first.content_hash], 1)
    assert is_whole(engine, store, second)


def claim(engine: sa.Engine, run_id: str, *, until: datetime) -> None:
    with engine.begin() as connection:
        accounts = account_queries.load_accounts(connection, ["ada-instagram"])
        assert ledger_queries.claim_accounts(connection, accounts, run_id=run_id, until=until, now=utc_now())


def test_nothing_is_removed_while_a_run_reads(
    engine: sa.Engine, store: PictureStore, old_picture: Callable[[int], PictureRecord]
) -> None:
    garbage = old_picture(1)
    claim(engine, "run-1", until=utc_now() + DAY)

    report = collect(engine, store)

    assert (report.removed, report.not_reached) == ([], 1)
    assert is_whole(engine, store, garbage)


def test_the_claims_of_a_killed_run_hold_nothing_up_once_they_lapsed(
    engine: sa.Engine, store: PictureStore, old_picture: Callable[[int], PictureRecord]
) -> None:
    garbage = old_picture(1)
    claim(engine, "run-1", until=utc_now() - timedelta(seconds=1))

    assert collect(engine, store).removed == [garbage.content_hash]


def test_a_removal_waits_for_the_run_that_reads(
    engine: sa.Engine, store: PictureStore, old_picture: Callable[[int], PictureRecord]
) -> None:
    garbage = old_picture(1)
    claim(engine, "run-1", until=utc_now() + DAY)
    reports: list[GarbageReport] = []
    removal = Thread(target=lambda: reports.append(collect(engine, store, longest_wait=DAY)))
    removal.start()

    with engine.begin() as connection:
        ledger_queries.release_claims(connection, run_id="run-1", platform="instagram")
    removal.join()

    assert reports == [GarbageReport(removed=[garbage.content_hash], bytes=garbage.bytes)]


def sync_once(engine: sa.Engine, store: PictureStore, seed: int, *, run_id: str) -> PictureRecord:
    """Read the account as a run does: claim, store the objects, and then row, reference and release at once."""
    claim(engine, run_id, until=utc_now() + DAY)
    with engine.begin() as connection:
        (account,) = account_queries.load_accounts(connection, ["ada-instagram"])
    picture = put_picture(store, seed)
    row = ledger_after(
        account,
        Reading(outcome=Outcome.PICTURE, message="It has one."),
        picture=StoredReference(content_hash=picture.content_hash, content_id=str(seed)),
        now=utc_now(),
        rng=random.Random(1),
    )
    with engine.begin() as connection:
        written = ledger_queries.write_readings(connection, [row], new_pictures=[picture], run_id=run_id, now=utc_now())
    assert written == {"ada-instagram"}
    return picture


def test_a_sync_that_stores_garbage_anew_while_it_is_removed_never_ends_with_a_row_without_objects(
    engine: sa.Engine, store: PictureStore
) -> None:
    # A grace period that ends in the future: neither age nor time of change protects anything.
    no_grace = timedelta(hours=-1)
    is_done = Event()
    removed: list[str] = []

    def remove_all_the_time() -> None:
        while not is_done.is_set():
            removed.extend(collect(engine, store, grace=no_grace).removed)

    removal = Thread(target=remove_all_the_time)
    removal.start()
    try:
        # The account goes to and fro between two pictures: the one that it leaves is garbage at once.
        for number in range(60):
            assert is_whole(engine, store, sync_once(engine, store, number % 2, run_id=f"run-{number}"))
    finally:
        is_done.set()
        removal.join()
    removed.extend(collect(engine, store, grace=no_grace).removed)
    assert removed


class StoreThatLetsSomebodyIn(PictureStore):
    """Gives a run its chance in the middle of every deletion."""

    meanwhile: Callable[[], None]

    async def delete_unless_touched(self, content_hash: str, *, since: datetime) -> bool:
        """Delete as ever, after the chance was given."""
        await anyio.to_thread.run_sync(self.meanwhile)
        return await super().delete_unless_touched(content_hash, since=since)


def test_no_account_can_be_claimed_while_a_picture_is_being_removed(
    engine: sa.Engine, directory: Path, old_picture: Callable[[int], PictureRecord]
) -> None:
    garbage = old_picture(1)
    store = StoreThatLetsSomebodyIn.from_url(str(directory))
    assert isinstance(store, StoreThatLetsSomebodyIn)
    is_claimed = Event()
    was_claimed_meanwhile: list[bool] = []

    def claim_now() -> None:
        claim(engine, "run-1", until=utc_now() + DAY)
        is_claimed.set()

    run = Thread(target=claim_now)

    def meanwhile() -> None:
        run.start()
        was_claimed_meanwhile.append(is_claimed.wait(0.5))

    store.meanwhile = meanwhile
    report = collect(engine, store)
    run.join()

    assert report.removed == [garbage.content_hash]
    assert was_claimed_meanwhile == [False]
    assert is_claimed.is_set()


def test_a_session_that_writes_to_the_ledger_for_long_only_postpones_the_removal(
    postgres_server: PostgresServer, opened: Callable[[str], sa.Engine], store: PictureStore, directory: Path
) -> None:
    database = postgres_server.create_migrated_database()
    engine = opened(postgres_server.url(database))
    garbage = put_picture(store, 1)
    make_old(directory / garbage.content_hash)

    with engine.begin() as connection:
        connection.execute(sa.update(platform_images).values(failure=None))
        assert collect(engine, store).not_reached == 1

    assert collect(engine, store).removed == [garbage.content_hash]
    engine.dispose()
    postgres_server.drop_database(database)


def test_a_picture_of_the_history_stays_restorable_after_the_account_left_it(
    engine: sa.Engine, store: PictureStore, directory: Path
) -> None:
    first, second = put_picture(store, 1), put_picture(store, 2)
    read_picture(engine, "ada-instagram", first, now=LONG_AGO)
    read_picture(engine, "ada-instagram", second, now=LONG_AGO + DAY)
    make_old(directory / first.content_hash)

    assert collect(engine, store).removed == []
    assert is_whole(engine, store, first)


def test_what_a_killed_writer_left_half_written_is_cleared_away_and_what_a_living_one_writes_is_not(
    engine: sa.Engine, store: PictureStore, directory: Path
) -> None:
    leftover, being_written = directory / ".incoming" / "killed", directory / ".incoming" / "living"
    leftover.mkdir(parents=True)
    being_written.mkdir()
    os.utime(leftover, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))

    assert collect(engine, store, grace=timedelta(0)).leftovers == 1
    assert not leftover.exists()
    assert being_written.exists()
