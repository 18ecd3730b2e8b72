"""A run of the pipeline's own functions over a real database, in which a test says what every network answers.

What belongs here: choosing, claiming, writing and publishing in the order of a run.
What does not: sockets and pictures (``test_reading.py``).
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from talent_image_pipeline.database import account_queries, candidate_queries, ledger_queries
from talent_image_pipeline.database.candidate_queries import AccountFinding, FailedRead
from talent_image_pipeline.database.records import AccountRecord, LedgerRecord, PictureRecord
from talent_image_pipeline.database.tables import platform_images, profile_image_versions, social_account_connection
from talent_image_pipeline.database.tables import talent as talent_table
from talent_image_pipeline.platforms.contract import Outcome, Reading
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.sync.planning.candidates import choose_candidates, reading_rules
from talent_image_pipeline.sync.planning.due import is_owed_a_read
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.publishing.publish import PublishingRules, load_states, publish
from talent_image_pipeline.sync.reading.outcome_rules import StoredReference, ledger_after
from talent_image_pipeline.sync.reporting.reports import ResolutionReport

CLAIM = timedelta(seconds=90)
RULES = PublishingRules(public_url="http://pictures.example", verified_only=False)


def found_by_sensor(
    engine: sa.Engine, *, now: datetime, verified_only: bool = False
) -> list[AccountFinding | FailedRead]:
    """Look for changes and failed reads as a tick of the sensor does."""
    with engine.begin() as connection:
        rules = reading_rules(verified_only=verified_only)
        changed = candidate_queries.find_changed_accounts(connection, rules=rules, now=now, limit=1000)
        return [*changed, *candidate_queries.find_failed_reads(connection, rules=rules, now=now, limit=1000)]


def run(
    engine: sa.Engine,
    *,
    now: datetime,
    outcome: Outcome = Outcome.PICTURE,
    run_id: str = "run",
    verified_only: bool = False,
    **scope: Any,
) -> list[str]:
    """Do what a run does, with every read ending the same way; returns the accounts that were read."""
    wanted = choose(engine, now=now, run_id=run_id, verified_only=verified_only, **scope)
    read = []
    for platform in PLATFORMS:
        for account in batch_of(engine, run_id, platform=platform.name, verified_only=verified_only):
            if is_owed_a_read(account, now=now, minimum_age=wanted.minimum_age, force=wanted.force):
                assert claim(engine, [account], run_id=run_id, now=now)
                assert write(engine, [reading_of(account, outcome, now=now)], run_id=run_id, now=now)
                read.append(account.account_id)
    publish_batch(engine, run_id=run_id, now=now, verified_only=verified_only)
    return read


def choose(
    engine: sa.Engine, *, now: datetime, run_id: str = "run", verified_only: bool = False, **scope: Any
) -> SyncScope:
    """Choose a run's candidates."""
    wanted = SyncScope(**scope)
    choose_candidates(engine, scope=wanted, run_id=run_id, now=now, verified_only=verified_only, must_exist=False)
    return wanted


def batch_of(
    engine: sa.Engine, run_id: str, *, platform: str = "instagram", verified_only: bool = False
) -> list[AccountRecord]:
    with engine.begin() as connection:
        return account_queries.load_batch_accounts(
            connection, run_id=run_id, platform=platform, verified_only=verified_only
        )


def load(engine: sa.Engine, *account_ids: str) -> list[AccountRecord]:
    with engine.begin() as connection:
        return account_queries.load_accounts(connection, account_ids)


def claim(
    engine: sa.Engine, accounts: Sequence[AccountRecord], *, run_id: str, now: datetime, lasts: timedelta = CLAIM
) -> set[str]:
    with engine.begin() as connection:
        return ledger_queries.claim_accounts(connection, accounts, run_id=run_id, until=now + lasts, now=now)


def picture_of(account_id: str, *, version: int = 1) -> PictureRecord:
    return PictureRecord(
        content_hash=sha256(f"{account_id} {version}".encode()).hexdigest(),
        width=320,
        height=320,
        bytes=1000,
        focus_x=0.5,
        focus_y=0.5,
        perceptual_hash="0" * 16,
    )


def reading_of(account: AccountRecord, outcome: Outcome, *, now: datetime, version: int = 1) -> LedgerRecord:
    """Return the ledger row after a read that ended so; a picture is the account's own."""
    owned = None
    if outcome is Outcome.PICTURE:
        owned = StoredReference(
            content_hash=picture_of(account.account_id, version=version).content_hash, content_id="1"
        )
    reading = Reading(outcome=outcome, message=f"it is {outcome}")
    return ledger_after(account, reading, picture=owned, now=now, rng=random.Random(1))


def write(engine: sa.Engine, rows: Sequence[LedgerRecord], *, run_id: str, now: datetime) -> set[str]:
    pictures = [
        replace(picture_of(row.account_id), content_hash=row.picture_hash)
        for row in rows
        if row.picture_hash is not None
    ]
    with engine.begin() as connection:
        return ledger_queries.write_readings(connection, rows, new_pictures=pictures, run_id=run_id, now=now)


def publish_batch(engine: sa.Engine, *, run_id: str, now: datetime, verified_only: bool = False) -> ResolutionReport:
    with engine.begin() as connection:
        candidates = candidate_queries.load_candidates(connection, run_id)
    rules = replace(RULES, verified_only=verified_only)
    return publish(engine, candidates, rules=rules, run_id=run_id, now=now)


def change_account(engine: sa.Engine, account_id: str, **values: Any) -> None:
    with engine.begin() as connection:
        table = social_account_connection
        connection.execute(sa.update(table).where(table.c.id == account_id).values(**values))


def delete_account(engine: sa.Engine, account_id: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(social_account_connection).where(social_account_connection.c.id == account_id))


def columns_of(engine: sa.Engine, talent_id: str) -> tuple[str | None, str, datetime | None]:
    """Return address, source and stamp, as the app reads them."""
    columns = ("profileImageUrl", "profileImageSource", "lastProfileImageSyncAt")
    with engine.begin() as connection:
        statement = sa.select(*(talent_table.c[name] for name in columns)).where(talent_table.c.id == talent_id)
        row = connection.execute(statement).one()
        return row[0], row[1], row[2]


def history_of(engine: sa.Engine, talent_id: str) -> list[sa.RowMapping]:
    """Return a talent's versions, the oldest first."""
    versions = profile_image_versions
    with engine.begin() as connection:
        statement = sa.select(versions).where(versions.c.talent_id == talent_id).order_by(versions.c.id)
        return list(connection.execute(statement).mappings())


def ledger_of(engine: sa.Engine, account_id: str) -> sa.RowMapping | None:
    with engine.begin() as connection:
        statement = sa.select(platform_images).where(platform_images.c.account_id == account_id)
        return connection.execute(statement).mappings().one_or_none()


def lock_as_publishing_does(connection: sa.Connection, talent_id: str) -> None:
    """Hold the locks under which a talent's picture is chosen."""
    load_states(connection, [talent_id], platforms=RULES.priority)
