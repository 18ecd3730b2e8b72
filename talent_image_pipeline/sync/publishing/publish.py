"""Writing the choice down: the talent's three columns and the history, checked at the moment of writing.

What belongs here: loading what the choice depends on under locks, and writing what it says in one transaction.
What does not: the choice itself (``resolution.py``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from talent_image_pipeline.database import account_queries, history_queries, ledger_queries, transactions
from talent_image_pipeline.database.history_queries import NewVersion, TalentColumns
from talent_image_pipeline.database.records import MANUAL, AccountRecord, Candidate, TalentRecord
from talent_image_pipeline.pictures.store.keys import rendition_url
from talent_image_pipeline.settings import active_platforms
from talent_image_pipeline.sync.planning.due import batches
from talent_image_pipeline.sync.publishing.resolution import (
    Resolution,
    TalentState,
    is_eligible,
    resolve,
    stamp_after,
)
from talent_image_pipeline.sync.reporting.reports import MAX_LISTED, ResolutionReport

#: Talents resolved in one transaction: large enough for few statements, small enough to hold locks only briefly.
TALENTS_PER_TRANSACTION = 200


def _priority() -> tuple[str, ...]:
    return tuple(platform.name for platform in active_platforms())


@dataclass(frozen=True, kw_only=True)
class PublishingRules:
    """What the choice depends on besides the talents: settings, of which the active platforms are one."""

    public_url: str
    verified_only: bool
    priority: tuple[str, ...] = field(default_factory=_priority)

    def image_url(self, picture_hash: str | None) -> str | None:
        """Return the address under which a picture is published; none for initials."""
        return None if picture_hash is None else rendition_url(self.public_url, picture_hash)

    @property
    def around_hash(self) -> tuple[str, str]:
        """What stands before and after a picture's hash in its address."""
        any_hash = "0" * 64
        before, _, after = rendition_url(self.public_url, any_hash).partition(any_hash)
        return before, after


def publish(
    engine: sa.Engine, candidates: Sequence[Candidate], *, rules: PublishingRules, run_id: str | None, now: datetime
) -> ResolutionReport:
    """Decide what each candidate shows and write it down.

    Each transaction sees the accounts as they are then, so that a disconnect during a slow read counts.

    Args:
        engine: The app's database.
        candidates: The talents, and why each is in the run.
        rules: Settings and priority.
        run_id: The Dagster run; none when a person decided outside of one.
        now: The time of the decision.
    """
    report = ResolutionReport()
    ordered = sorted(candidates, key=lambda row: row.talent_id)
    for batch in batches(ordered, size=TALENTS_PER_TRANSACTION):
        report.include(transactions.write(engine, _publish_batch, batch=batch, rules=rules, run_id=run_id, now=now))
    return report


def publish_choice(
    connection: sa.Connection, state: TalentState, *, why: str | None = None, rules: PublishingRules, now: datetime
) -> Resolution | None:
    """Write what one talent shows after a person's choice, in the caller's transaction, which holds the state's locks.

    Always a version of its own, so that the history shows the choice. No network was read: neither the talent's stamp
    nor the ledger moves.

    Args:
        connection: The transaction in which ``state`` was loaded and the choice was saved.
        state: The talent with the choice applied.
        why: For the history, in place of the resolution's own words.
        rules: Settings and priority.
        now: The time of the choice.

    Returns:
        What the talent shows; none where a manual picture, or one from before us, stays.
    """
    resolution = resolve(state, priority=rules.priority, verified_only=rules.verified_only)
    if resolution is None:
        return None
    if why is not None:
        resolution = replace(resolution, why=why)
    history_queries.write_talent_columns(connection, [_columns(state.talent, resolution, None, rules=rules)])
    history_queries.write_versions(connection, [_new_version(state, resolution)], run_id=None, now=now)
    return resolution


def _publish_batch(
    connection: sa.Connection,
    *,
    batch: Sequence[Candidate],
    rules: PublishingRules,
    run_id: str | None,
    now: datetime,
) -> ResolutionReport:
    report = ResolutionReport(talents=len(batch))
    reasons = {row.talent_id: row.reason for row in batch}
    states = load_states(connection, list(reasons), platforms=rules.priority)
    _drop_ineligible_accounts(connection, states, list(reasons), rules=rules, now=now)
    columns: list[TalentColumns] = []
    versions: list[NewVersion] = []
    for state in states:
        resolution = resolve(state, priority=rules.priority, verified_only=rules.verified_only)
        stamp = stamp_after(state, reason=reasons[state.talent.talent_id], now=now, verified_only=rules.verified_only)
        new_columns = _columns(state.talent, resolution, stamp, rules=rules)
        if new_columns != _columns(state.talent, None, None, rules=rules):
            columns.append(new_columns)
        if resolution is not None and _is_new_version(state, resolution):
            versions.append(_new_version(state, resolution))
        _count(report, state, resolution, stamp=stamp)
    history_queries.write_talent_columns(connection, columns)
    history_queries.write_versions(connection, versions, run_id=run_id, now=now)
    ledger_queries.mark_resolved(
        connection, [a for s in states if s.talent.image_source != MANUAL for a in s.accounts if _is_current(a)]
    )
    report.changed = len(versions)
    report.deleted = len(batch) - len(states)
    report.changes = [(version.talent_id, version.source, version.why) for version in versions[:MAX_LISTED]]
    return report


def load_states(
    connection: sa.Connection, talent_ids: Sequence[str], *, platforms: Sequence[str], lock: bool = True
) -> list[TalentState]:
    """Load what the choice depends on; with ``lock``, it stays so until the transaction ends."""
    talents = history_queries.load_talents(connection, talent_ids, lock=lock)
    if lock:
        ledger_queries.lock_ledger_of(connection, talent_ids)
    accounts = _by_talent(account_queries.load_accounts_of(connection, talent_ids, platforms=platforms, lock=lock))
    versions = history_queries.current_versions(connection, talent_ids)
    pins = history_queries.load_pins(connection, talent_ids)
    return [
        TalentState(
            talent=record,
            accounts=tuple(accounts.get(record.talent_id, ())),
            pin=pins.get(record.talent_id),
            current=versions.get(record.talent_id),
        )
        for record in talents
    ]


def _by_talent(accounts: Iterable[AccountRecord]) -> dict[str, list[AccountRecord]]:
    grouped: dict[str, list[AccountRecord]] = {}
    for account in accounts:
        grouped.setdefault(account.talent_id, []).append(account)
    return grouped


def _is_current(account: AccountRecord) -> bool:
    """Whether the ledger has seen the account as it is; a connected one that changed since still owes a read."""
    return account.ledger is not None and (not account.connected or account.ledger.fingerprint == account.fingerprint)


def _drop_ineligible_accounts(
    connection: sa.Connection,
    states: Sequence[TalentState],
    talent_ids: Sequence[str],
    *,
    rules: PublishingRules,
    now: datetime,
) -> None:
    ledger_queries.forget_lost_accounts(connection, talent_ids, platforms=rules.priority)
    unverified = [
        account.account_id
        for state in states
        for account in state.accounts
        if account.connected and not is_eligible(account, verified_only=rules.verified_only)
    ]
    ledger_queries.forget_accounts(connection, unverified)
    deleted_talents = sorted(set(talent_ids) - {state.talent.talent_id for state in states})
    if deleted_talents:
        history_queries.forget_talents(connection, deleted_talents, now=now)


def _columns(
    talent: TalentRecord, resolution: Resolution | None, stamp: datetime | None, *, rules: PublishingRules
) -> TalentColumns:
    return TalentColumns(
        talent_id=talent.talent_id,
        image_url=talent.image_url if resolution is None else rules.image_url(resolution.picture_hash),
        image_source=talent.image_source if resolution is None else resolution.source,
        last_sync_at=stamp or talent.last_sync_at,
    )


def _is_new_version(state: TalentState, resolution: Resolution) -> bool:
    if state.current is None:
        return True
    return (state.current.source, state.current.picture_hash) != (resolution.source, resolution.picture_hash)


def _new_version(state: TalentState, resolution: Resolution) -> NewVersion:
    return NewVersion(
        talent_id=state.talent.talent_id,
        source=resolution.source,
        picture_hash=resolution.picture_hash,
        why=resolution.why,
    )


def _count(
    report: ResolutionReport, state: TalentState, resolution: Resolution | None, *, stamp: datetime | None
) -> None:
    report.manual += state.talent.image_source == MANUAL
    report.pinned += state.pin is not None
    report.stamped += stamp is not None
    report.sources[resolution.source if resolution is not None else state.talent.image_source] += 1
