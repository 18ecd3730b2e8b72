"""Looking after the stored pictures: removing what nothing refers to, and finding what was damaged.

What belongs here: the order of steps between database and store that is safe beside running syncs.
What does not: the statements (``database/maintenance_queries.py``), and what is garbage or damage in the store
(``pictures/verification.py``).

Why a removal is safe beside a sync. A sync claims an account, stores the picture's objects (one that is there already
is touched), and in one transaction writes the picture's row with the ledger's reference and gives the claim back. Were
objects deleted between its look at the store and that transaction, a row would be left without objects. So:

1. Everything between a sync's look at the store and its row happens under a claim that was committed before. A removal
   is one transaction that first keeps new claims out (SQLite: the write lock that every transaction here begins with;
   PostgreSQL: a lock on the ledger that conflicts with writers alone), then looks for live claims, and removes only
   where there are none. While a sync reads, the removal waits.
2. Row and references are judged inside that transaction, by one statement that deletes the row: a picture that a sync
   referred to a moment ago is seen, and a row that was written anew is not older than the grace period.
3. The objects go before the commit. If that fails, the row stays, unreferenced as before, for the next removal.
4. Against a run that stalled for so long that its claims lapsed there are still the grace period and the objects' own
   time of change, looked at right before they are deleted.

References only ever come from the ledger: a version or a pin names a picture that the ledger or another version named
in the same transaction, so nothing that is unreferenced becomes referenced without being stored anew.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
import sqlalchemy as sa

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.database import maintenance_queries, transactions
from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.pictures.store.damage import Damage
from talent_image_pipeline.pictures.store.picture_store import PictureStore, StoredPicture
from talent_image_pipeline.pictures.store.verification import find_garbage, verify_pictures
from talent_image_pipeline.sync.planning.due import batches

#: Killed runs' claims lapse after 90 s; whoever still reads then is alive.
LONGEST_WAIT_FOR_SYNCS = timedelta(seconds=120)
#: What has no row yet, or is half-written, may be a living writer's, whatever the grace period: a run ends sooner.
UNFINISHED_IS_OLD_AFTER = timedelta(hours=1)
_SECONDS_BETWEEN_LOOKS = 0.25
_ROWS_PER_STATEMENT = 500

#: Called with what is done so far and what there is in all.
Progress = Callable[[int, int], None]


_Result = TypeVar("_Result")


class _SyncsAreReadingError(Exception):
    """There was no moment without a running sync."""


class _TouchedError(Exception):
    """The objects were written after they were listed; the row must stay."""


@dataclass(kw_only=True)
class GarbageReport:
    """What a removal came to, or with ``dry_run`` would have come to.

    Attributes:
        removed: Content hashes of the pictures that went.
        bytes: Of their renditions.
        kept: Pictures that came into use again while they were looked at.
        not_reached: Pictures that were not removed because syncs read all the time.
        leftovers: What killed writers had left half-written, invisible to readers.
    """

    removed: list[str] = field(default_factory=list)
    bytes: int = 0
    kept: int = 0
    not_reached: int = 0
    leftovers: int = 0


@dataclass(frozen=True, kw_only=True)
class DamagedPicture:
    """A picture that is not as it was stored.

    Attributes:
        damages: What is wrong, by rendition.
        accounts: How many connected accounts give this picture: the next sync fetches it again from them.
        is_recorded: Whether it is one of our pictures; else nothing shows it and the clean-up removes it.
    """

    content_hash: str
    damages: tuple[Damage, ...]
    accounts: int
    is_recorded: bool


@dataclass(frozen=True, kw_only=True)
class VerificationReport:
    """What reading every stored picture again came to.

    Attributes:
        checked: How many pictures were read.
        damaged: Those that are not as they were stored, by content hash.
        recovered: How many had been found damaged before and are sound now.
    """

    checked: int
    damaged: tuple[DamagedPicture, ...]
    recovered: int


async def collect_garbage(
    engine: sa.Engine,
    store: PictureStore,
    *,
    grace: timedelta,
    clock: Clock,
    dry_run: bool = False,
    longest_wait: timedelta = LONGEST_WAIT_FOR_SYNCS,
    on_progress: Progress | None = None,
) -> GarbageReport:
    """Remove the pictures that nothing refers to and that are older than the grace period.

    A picture that any version of any talent's history names is kept, so that every version can be restored.

    Args:
        engine: The database.
        store: Where the pictures are.
        grace: How long ago a picture must have been stored last.
        clock: The time.
        dry_run: Only say what would go.
        longest_wait: For how long running syncs are waited for in all.
        on_progress: Called after each picture.

    Raises:
        PictureStoreUnavailableError: when the store fails; what was removed until then is gone from both sides.
    """
    cutoff = clock() - grace
    garbage = await _find_garbage(engine, store, older_than=cutoff)
    if dry_run:
        return GarbageReport(removed=sorted(garbage), bytes=sum(garbage.values()))
    moments = _ExclusiveWindow(engine=engine, clock=clock, waits_until=clock() + longest_wait)
    collector = _Collector(store=store, cutoff=cutoff, moments=moments)
    report = GarbageReport()
    for done, content_hash in enumerate(sorted(garbage), start=1):
        try:
            if await collector.remove(content_hash):
                report.removed.append(content_hash)
                report.bytes += garbage[content_hash]
            else:
                report.kept += 1
        except _SyncsAreReadingError:
            report.not_reached += 1
        if on_progress is not None:
            on_progress(done, len(garbage))
    # What cannot be cleared away now, the next clean-up does.
    with suppress(_SyncsAreReadingError):
        report.leftovers = await collector.clear_leftovers()
    return report


async def _find_garbage(engine: sa.Engine, store: PictureStore, *, older_than: datetime) -> dict[str, int]:
    """Return the bytes of each picture that may go: in the store, in the database, or in both."""
    stored = await _all(store.list_pictures())

    def load() -> tuple[dict[str, int], set[str]]:
        with read_only(engine).begin() as connection:
            recorded = maintenance_queries.recorded_pictures(connection, created_before=older_than)
            return recorded, maintenance_queries.referenced_hashes(connection)

    recorded, referenced = await anyio.to_thread.run_sync(load)
    there = {picture.content_hash for picture in stored}
    without_objects = dict.fromkeys(recorded.keys() - referenced - there, 0)
    in_store = {p.content_hash: p.bytes for p in find_garbage(stored, referenced, older_than=older_than)}
    return without_objects | in_store


async def _all(pictures: AsyncIterator[StoredPicture]) -> list[StoredPicture]:
    return [picture async for picture in pictures]


@dataclass(frozen=True, kw_only=True)
class _ExclusiveWindow:
    """Moments in which no sync reads, and none begins to."""

    engine: sa.Engine
    clock: Clock
    waits_until: datetime

    async def use(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Do something in one transaction in such a moment, waiting for it as long as there is time.

        Args:
            work: Runs in a thread that may call back into the event loop.

        Raises:
            _SyncsAreReadingError: when the time is over; nothing was done.
        """
        while True:
            try:
                return await anyio.to_thread.run_sync(self._use_now, work)
            except _SyncsAreReadingError:
                if self.clock() >= self.waits_until:
                    raise
            await anyio.sleep(_SECONDS_BETWEEN_LOOKS)

    def _use_now(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        try:
            with self.engine.begin() as connection:
                maintenance_queries.keep_claims_out(connection)
                if maintenance_queries.is_any_account_claimed(connection, now=self.clock()):
                    raise _SyncsAreReadingError
                return work(connection)
        except sa.exc.OperationalError as error:
            if transactions.is_lock_conflict(error):
                raise _SyncsAreReadingError from None
            raise


@dataclass(frozen=True, kw_only=True)
class _Collector:
    """Removes one thing at a time, each in a moment in which no sync reads."""

    store: PictureStore
    cutoff: datetime
    moments: _ExclusiveWindow

    async def remove(self, content_hash: str) -> bool:
        """Remove one picture, row and objects in one transaction; false when it came into use again."""
        try:
            return await self.moments.use(lambda connection: self._remove(connection, content_hash))
        except _TouchedError:
            return False

    async def clear_leftovers(self) -> int:
        """Clear away what killed writers left; returns how many there were."""
        old = min(self.cutoff, self.moments.clock() - UNFINISHED_IS_OLD_AFTER)
        clear = partial(self.store.delete_leftovers, older_than=old)
        return await self.moments.use(lambda _: anyio.from_thread.run(clear))

    def _remove(self, connection: sa.Connection, content_hash: str) -> bool:
        if not maintenance_queries.delete_unreferenced_picture(connection, content_hash, created_before=self.cutoff):
            return False
        anyio.from_thread.run(self._delete_objects, content_hash)
        return True

    async def _delete_objects(self, content_hash: str) -> None:
        is_deleted = await self.store.delete_unless_touched(content_hash, since=self.cutoff)
        if not is_deleted and await self.store.find(content_hash) is not None:
            raise _TouchedError


async def verify_store(
    engine: sa.Engine,
    store: PictureStore,
    *,
    clock: Clock,
    longest_wait: timedelta = LONGEST_WAIT_FOR_SYNCS,
    on_progress: Progress | None = None,
) -> VerificationReport:
    """Read every stored picture again, note the damage, and have damaged pictures fetched again by the next sync.

    A damaged picture's accounts lose what they would be known by as unchanged and count as changed, so that the sensor
    or the next daily run downloads the picture again and overwrites what is there. What is shown does not change until
    then. A picture that is sound again loses its mark.

    Args:
        engine: The database.
        store: Where the pictures are.
        clock: The time.
        longest_wait: For how long running syncs are waited for before damage is noted: a run that read an account
            before writes afterwards what it knew, and the read that is owed would be forgotten.
        on_progress: Called after each few pictures.

    Raises:
        PictureStoreUnavailableError: when the store cannot be read; nothing is marked then.
    """
    started = clock()
    stored = await _all(store.list_pictures())
    recorded = await anyio.to_thread.run_sync(_load_recorded, engine)
    # An object without a row may be on its way to one, and half-written, until it is old.
    old = started - UNFINISHED_IS_OLD_AFTER
    unrecorded = {p.content_hash for p in stored if p.content_hash not in recorded and p.last_modified < old}
    hashes = sorted(recorded | unrecorded)

    def note(checked: int) -> None:
        if on_progress is not None:
            on_progress(checked, len(hashes))

    by_hash: dict[str, list[Damage]] = {}
    for damage in await verify_pictures(store, hashes, on_progress=note):
        by_hash.setdefault(damage.content_hash, []).append(damage)
    note_damage = partial(_note_damage, checked=hashes, damaged=by_hash, now=started)
    waits_until = clock() + longest_wait if by_hash else clock()
    try:
        noted = await _ExclusiveWindow(engine=engine, clock=clock, waits_until=waits_until).use(note_damage)
    except _SyncsAreReadingError:
        noted = await transactions.write_in_thread(engine, note_damage)
    damaged = [
        DamagedPicture(
            content_hash=content_hash,
            damages=tuple(damages),
            accounts=noted.accounts.get(content_hash, 0),
            is_recorded=content_hash in noted.marked,
        )
        for content_hash, damages in by_hash.items()
        # What a sync stored anew, or the clean-up removed, while everything was read is no damage.
        if content_hash in noted.marked or content_hash in unrecorded - noted.recorded
    ]
    return VerificationReport(checked=len(hashes), damaged=tuple(damaged), recovered=noted.recovered)


def _load_recorded(engine: sa.Engine) -> set[str]:
    with read_only(engine).begin() as connection:
        return set(maintenance_queries.recorded_pictures(connection))


@dataclass(frozen=True, kw_only=True)
class _Noted:
    """What the database says after damage was noted: marked and recorded pictures, and accounts by picture."""

    marked: set[str]
    recorded: set[str]
    accounts: dict[str, int]
    recovered: int


def _note_damage(
    connection: sa.Connection, *, checked: Sequence[str], damaged: Collection[str], now: datetime
) -> _Noted:
    accounts: dict[str, int] = {}
    recovered = sorted(maintenance_queries.damaged_hashes(connection) & set(checked) - set(damaged))
    for batch in batches(sorted(damaged), size=_ROWS_PER_STATEMENT):
        maintenance_queries.mark_damaged(connection, batch, stored_before=now, now=now)
        accounts |= maintenance_queries.accounts_with_pictures(connection, batch)
    for batch in batches(recovered, size=_ROWS_PER_STATEMENT):
        maintenance_queries.mark_sound(connection, batch)
    return _Noted(
        marked=maintenance_queries.damaged_hashes(connection),
        recorded=set(maintenance_queries.recorded_pictures(connection)),
        accounts=accounts,
        recovered=len(recovered),
    )
