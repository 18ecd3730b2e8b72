"""Days of an agency at the level of planning: real schedules and sensor, and runs that leave rows as real ones do.

What belongs here: an agency under a clock, what a network answers, and runs without sockets and pictures. What does
not: what has to be true of the days (the tests). The whole reader over real sockets has its days in ``soak/``.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dagster as dg
import sqlalchemy as sa

from talent_image_pipeline.database import ledger_queries, transactions
from talent_image_pipeline.database.records import AccountRecord, LedgerRecord
from talent_image_pipeline.database.tables import platform_images, social_account_connection, talent
from talent_image_pipeline.platforms.contract import Outcome, Reading
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.sync.planning.candidates import choose_candidates
from talent_image_pipeline.sync.planning.due import is_owed_a_read
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.reading.outcome_rules import StoredReference, ledger_after
from talent_image_pipeline_tests.automation.conftest import MovableClock
from talent_image_pipeline_tests.dagster_ticks import DagsterTicks, scope_of, trigger_of
from talent_image_pipeline_tests.sync import simulated_run as sim

LONGEST_CLAIM = timedelta(minutes=30)


@dataclass(kw_only=True)
class HourlyLimit:
    """How many reads a platform allows in an hour that slides.

    Attributes:
        reads: Most reads in any hour; none where there is no limit.
    """

    reads: int | None = None
    made: list[datetime] = field(default_factory=list)

    def next_room(self, now: datetime) -> datetime | None:
        """Count a read, or return when there is room for one."""
        if self.reads is None:
            return None
        self.made = [at for at in self.made if at > now - timedelta(hours=1)]
        if len(self.made) >= self.reads:
            return self.made[-self.reads] + timedelta(hours=1)
        self.made.append(now)
        return None


@dataclass(kw_only=True)
class SimulatedDays:
    """An agency whose days pass.

    Attributes:
        ticks: Schedules and sensor.
        clock: What time it is; runs take time.
        rng: How long runs take.
        limit: What the only platform allows.
        is_down: Whether it answers at all.
        reads: When each account was read to an end.
        limited: When it was turned away because of the limit.
        forced: When a person refreshed somebody.
        tried: How often each was asked about at all.
        runs: How many runs began, by trigger and day.
    """

    ticks: DagsterTicks
    clock: MovableClock
    rng: random.Random
    limit: HourlyLimit = field(default_factory=HourlyLimit)
    is_down: bool = False
    reads: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    limited: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    forced: set[tuple[str, datetime]] = field(default_factory=set)
    tried: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    _numbers: Counter[str] = field(default_factory=Counter)

    @property
    def engine(self) -> sa.Engine:
        """The database."""
        return self.ticks.engine

    def hire(self, number: int) -> None:
        """Let the app have talents with one account each."""
        at = self.clock() - timedelta(days=30)
        stamp = {"createdAt": at, "updatedAt": at}
        names = [f"{index:05}" for index in range(number)]
        talents = [{"id": f"talent-{name}", "userId": f"user-{name}", "name": name, **stamp} for name in names]
        accounts = [
            {
                "id": f"account-{name}",
                "creatorId": f"talent-{name}",
                "platform": "INSTAGRAM",
                "handle": f"talent.{name}",
                "connected": True,
                "accessToken": "token",
                **stamp,
            }
            for name in names
        ]
        with self.engine.begin() as connection:
            connection.execute(sa.insert(talent), talents)
            connection.execute(sa.insert(social_account_connection), accounts)

    def run_all(self, requests: Sequence[dg.RunRequest], *, minutes: float = 1.0) -> None:
        """Let the runs that were asked for follow each other."""
        for request in requests:
            self.runs[trigger_of(request)] += 1
            self.run(scope_of(request), minutes=minutes)

    def run(self, scope: SyncScope, *, minutes: float = 1.0) -> None:
        """Do what a run does, but for sockets and pictures; it takes about so many minutes."""
        self._numbers["runs"] += 1
        run_id = f"run-{self._numbers['runs']}"
        choose_candidates(
            self.engine, scope=scope, run_id=run_id, now=self.clock(), verified_only=False, must_exist=False
        )
        for platform in PLATFORMS:
            self._read(run_id, scope, platform=platform.name, minutes=minutes)
        sim.publish_batch(self.engine, run_id=run_id, now=self.clock())

    def refresh(self, *talent_ids: str) -> None:
        """Let a person refresh talents."""
        self.run(SyncScope(talent_ids=talent_ids, limit=len(talent_ids), force=True))

    def has_failed_reads(self) -> bool:
        """Whether the last read of any account failed in a way that passes."""
        failed = platform_images.c.outcome.in_([Outcome.RATE_LIMITED, Outcome.UNAVAILABLE])
        with self.engine.connect() as connection:
            return connection.scalar(sa.select(platform_images.c.account_id).where(failed).limit(1)) is not None

    def _read(self, run_id: str, scope: SyncScope, *, platform: str, minutes: float) -> None:
        now = self.clock()
        accounts = [
            account
            for account in sim.batch_of(self.engine, run_id, platform=platform)
            if is_owed_a_read(account, now=now, minimum_age=scope.minimum_age, force=scope.force)
        ]
        if not accounts:
            return
        mine = sim.claim(self.engine, accounts, run_id=run_id, now=now, lasts=LONGEST_CLAIM)
        self.clock.advance(timedelta(minutes=self.rng.uniform(0.1, 1.0) * minutes))
        rows = [self._answer(account) for account in accounts if account.account_id in mine]
        new_pictures = [sim.picture_of(row.account_id) for row in rows if row.outcome is Outcome.PICTURE]
        transactions.write(
            self.engine, ledger_queries.write_readings, rows, new_pictures=new_pictures, run_id=run_id, now=self.clock()
        )
        if scope.force:
            self.forced |= {(row.account_id, self.clock()) for row in rows}

    def _answer(self, account: AccountRecord) -> LedgerRecord:
        now = self.clock()
        self.tried[account.account_id] += 1
        room_at = None if self.is_down else self.limit.next_room(now)
        picture = None
        if self.is_down:
            reading = Reading(outcome=Outcome.UNAVAILABLE, message="it is down")
        elif room_at is not None:
            reading = Reading(outcome=Outcome.RATE_LIMITED, message="too many", retry_at=room_at)
            self.limited[account.account_id].append(now)
        else:
            has_picture = account.ledger is not None and account.ledger.picture_hash is not None
            reading = Reading(outcome=Outcome.UNCHANGED if has_picture else Outcome.PICTURE, message="")
            content_hash = sim.picture_of(account.account_id).content_hash
            picture = None if has_picture else StoredReference(content_hash=content_hash, content_id="1")
            self.reads[account.account_id].append(now)
        return ledger_after(account, reading, picture=picture, now=now, rng=self.rng)
