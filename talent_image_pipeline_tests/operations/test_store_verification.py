"""Damage in the store is found, shown to nobody as a change, and repaired by the next sync through the network."""

import json
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import Thread

import anyio
import pytest
import sqlalchemy as sa
from PIL import Image

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import account_queries, candidate_queries, history_queries, ledger_queries
from talent_image_pipeline.database.records import LedgerRecord, PictureRecord
from talent_image_pipeline.database.tables import social_account_connection
from talent_image_pipeline.operations.store_maintenance import Progress, VerificationReport, verify_store
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.contract import Outcome, Reading
from talent_image_pipeline.platforms.instagram import API_VERSION, INSTAGRAM
from talent_image_pipeline.settings import settings_with
from talent_image_pipeline.sync.planning.candidates import reading_rules
from talent_image_pipeline.sync.reading.outcome_rules import ledger_after
from talent_image_pipeline.sync.reading.session import open_reading_session
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline.sync.reporting.reports import PlatformReport
from talent_image_pipeline_tests.pictures.loopback import Answer, LoopbackServer, answer
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync.stored_pictures import make_renditions, put_picture, read_picture

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


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
        insert_account(connection, id="ada-instagram", talent_id="ada", access_token="token-of-ada")
    return migrated_engine


@pytest.fixture
def picture(engine: sa.Engine, store: PictureStore) -> PictureRecord:
    """A picture that Ada's account gave long ago and that she shows."""
    found = put_picture(store, 1)
    read_picture(engine, "ada-instagram", found, now=LONG_AGO)
    return found


def verify(engine: sa.Engine, store: PictureStore, on_progress: Progress | None = None) -> VerificationReport:
    return anyio.run(partial(verify_store, engine, store, clock=utc_now, on_progress=on_progress))


def spoil(directory: Path, picture: PictureRecord) -> None:
    largest = directory / picture.content_hash / "512.webp"
    content = largest.read_bytes()
    largest.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def ledger_of(engine: sa.Engine, account_id: str = "ada-instagram") -> LedgerRecord:
    with engine.begin() as connection:
        (account,) = account_queries.load_accounts(connection, [account_id])
    assert account.ledger is not None
    return account.ledger


def is_marked(engine: sa.Engine, picture: PictureRecord) -> bool:
    with engine.begin() as connection:
        return ledger_queries.load_pictures(connection, [picture.content_hash])[picture.content_hash].is_damaged


def changed_accounts(engine: sa.Engine) -> list[str]:
    with engine.begin() as connection:
        rules = reading_rules(verified_only=False)
        findings = candidate_queries.find_changed_accounts(connection, rules=rules, now=utc_now(), limit=100)
    return [finding.account_id for finding in findings]


def test_sound_pictures_are_counted_and_nothing_is_touched(
    engine: sa.Engine, store: PictureStore, picture: PictureRecord
) -> None:
    before = ledger_of(engine)
    progress: list[tuple[int, int]] = []

    report = verify(engine, store, on_progress=lambda done, total: progress.append((done, total)))

    assert report == VerificationReport(checked=1, damaged=(), recovered=0)
    assert progress == [(1, 1)]
    assert ledger_of(engine) == before
    assert changed_accounts(engine) == []


def test_a_damaged_picture_is_marked_and_its_account_owes_a_read_but_still_shows_it(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    spoil(directory, picture)

    report = verify(engine, store)

    (damaged,) = report.damaged
    assert (damaged.content_hash, damaged.accounts, damaged.is_recorded) == (picture.content_hash, 1, True)
    assert [damage.size for damage in damaged.damages] == [512]
    assert is_marked(engine, picture)
    ledger = ledger_of(engine)
    assert (ledger.content_id, ledger.picture_etag, ledger.fingerprint) == (None, None, None)
    assert ledger.picture_hash == picture.content_hash
    assert changed_accounts(engine) == ["ada-instagram"]
    with engine.begin() as connection:
        (talent,) = history_queries.load_talents(connection, ["ada"])
    assert picture.content_hash in (talent.image_url or "")


def test_a_missing_picture_counts_as_damaged(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    for path in (directory / picture.content_hash).iterdir():
        path.unlink()

    assert len(verify(engine, store).damaged[0].damages) == 4
    assert changed_accounts(engine) == ["ada-instagram"]


def test_other_accounts_are_left_alone(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    with engine.begin() as connection:
        insert_account(connection, id="ada-youtube", talent_id="ada", platform="YOUTUBE")
    read_picture(engine, "ada-youtube", put_picture(store, 2), now=LONG_AGO)
    before = ledger_of(engine, "ada-youtube")
    spoil(directory, picture)

    verify(engine, store)

    assert ledger_of(engine, "ada-youtube") == before


def test_a_picture_that_is_sound_again_loses_its_mark(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    largest = directory / picture.content_hash / "512.webp"
    content = largest.read_bytes()
    largest.unlink()
    verify(engine, store)
    largest.write_bytes(content)

    assert verify(engine, store) == VerificationReport(checked=1, damaged=(), recovered=1)
    assert not is_marked(engine, picture)


def test_a_picture_that_a_sync_stores_anew_while_everything_is_read_is_not_marked(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    spoil(directory, picture)

    def store_anew(_done: int, _total: int) -> None:
        (directory / picture.content_hash / "512.webp").write_bytes(make_renditions(1)[512])
        with engine.begin() as connection:
            ledger_queries.save_pictures(connection, [picture], now=utc_now() + timedelta(seconds=1))

    assert verify(engine, store, on_progress=store_anew).damaged == ()
    assert not is_marked(engine, picture)
    assert changed_accounts(engine) == []


def test_a_damaged_picture_of_the_history_alone_is_said_to_be_lost(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    read_picture(engine, "ada-instagram", put_picture(store, 2), now=LONG_AGO + timedelta(days=1))
    spoil(directory, picture)

    (damaged,) = verify(engine, store).damaged

    assert (damaged.accounts, damaged.is_recorded) == (0, True)
    assert changed_accounts(engine) == []


def test_damage_without_a_row_is_reported_once_no_writer_can_be_behind_it(
    engine: sa.Engine, store: PictureStore, directory: Path
) -> None:
    half_written = put_picture(store, 3)
    largest = directory / half_written.content_hash / "512.webp"
    largest.unlink()
    assert verify(engine, store).damaged == ()

    for path in largest.parent.iterdir():
        os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))

    (damaged,) = verify(engine, store).damaged
    assert (damaged.content_hash, damaged.is_recorded) == (half_written.content_hash, False)


def portrait() -> bytes:
    image = Image.merge("RGB", [Image.radial_gradient("L"), Image.linear_gradient("L"), Image.radial_gradient("L")])
    encoded = BytesIO()
    image.resize((400, 400)).save(encoded, "JPEG")
    return encoded.getvalue()


def sync(engine: sa.Engine, store: PictureStore, origin: str) -> PlatformReport:
    """Read Ada's account as a run of the sensor does, through the real client, downloader and workers."""
    settings = settings_with(instagram_api_url=origin, talent_image_trusted_origins=origin)
    settings = settings.model_copy(update={"talent_database_url": None})

    async def run() -> PlatformReport:
        with engine.begin() as connection:
            accounts = account_queries.load_accounts(connection, ["ada-instagram"])
        limits = ReadingLimits(api_concurrency=1, picture_concurrency=1)
        async with open_reading_session(settings=settings, engine=engine, store=store, limits=limits) as session:
            return await session.read(INSTAGRAM, accounts, run_id="run-1", force=False, minimum_hours=24)

    return anyio.run(run)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("size", [64, 512])
@pytest.mark.parametrize("damage", [cut_short, Path.unlink])
def test_the_next_sync_downloads_a_damaged_picture_again_and_overwrites_it(
    engine: sa.Engine, store: PictureStore, directory: Path, size: int, damage: Callable[[Path], None]
) -> None:
    answers: dict[str, Answer] = {}
    with LoopbackServer(answers) as platform:
        user = {"user_id": "1", "username": "ada", "profile_picture_url": f"{platform.origin}/1_n.jpg"}
        answers[f"/{API_VERSION}/me"] = answer(body=json.dumps(user).encode())
        answers["/1_n.jpg"] = answer(body=portrait())
        first = sync(engine, store, platform.origin)
        assert first.outcomes[Outcome.PICTURE] == 1, first
        content_hash = ledger_of(engine).picture_hash
        assert content_hash is not None
        rendition = directory / content_hash / f"{size}.webp"
        sound = rendition.read_bytes()
        damage(rendition)

        assert len(verify(engine, store).damaged) == 1
        report = sync(engine, store, platform.origin)

    assert (report.outcomes[Outcome.PICTURE], report.downloads) == (1, 1)
    assert rendition.read_bytes() == sound
    assert verify(engine, store) == VerificationReport(checked=1, damaged=(), recovered=0)
    assert ledger_of(engine).picture_hash == content_hash


def test_a_disconnected_account_with_a_damaged_picture_is_fetched_again_when_it_comes_back(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(connected=False))
    spoil(directory, picture)

    (damaged,) = verify(engine, store).damaged

    assert damaged.accounts == 0
    assert ledger_of(engine).content_id is None


def test_a_run_that_is_reading_while_damage_is_noted_does_not_make_it_forgotten(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    spoil(directory, picture)
    now = utc_now()
    with engine.begin() as connection:
        (account,) = account_queries.load_accounts(connection, ["ada-instagram"])
        until = now + timedelta(days=1)
        assert ledger_queries.claim_accounts(connection, [account], run_id="run-2", until=until, now=now)
    reports: list[VerificationReport] = []
    verification = Thread(target=lambda: reports.append(verify(engine, store)))
    verification.start()
    verification.join(1.0)

    # What the run knows of the account is from before the damage was found.
    unchanged = Reading(outcome=Outcome.UNCHANGED, message="The picture is the one that we own.")
    row = ledger_after(account, unchanged, picture=None, now=now, rng=random.Random(1))
    with engine.begin() as connection:
        assert ledger_queries.write_readings(connection, [row], new_pictures=[], run_id="run-2", now=now)
    verification.join()

    assert len(reports[0].damaged) == 1
    assert ledger_of(engine).content_id is None
    assert changed_accounts(engine) == ["ada-instagram"]


def test_damage_is_noted_in_the_end_even_if_syncs_read_all_the_time(
    engine: sa.Engine, store: PictureStore, directory: Path, picture: PictureRecord
) -> None:
    spoil(directory, picture)
    with engine.begin() as connection:
        accounts = account_queries.load_accounts(connection, ["ada-instagram"])
        until = utc_now() + timedelta(days=1)
        assert ledger_queries.claim_accounts(connection, accounts, run_id="run-2", until=until, now=utc_now())

    verify_now = partial(verify_store, engine, store, clock=utc_now, longest_wait=timedelta(0))

    assert len(anyio.run(verify_now).damaged) == 1
    assert is_marked(engine, picture)
