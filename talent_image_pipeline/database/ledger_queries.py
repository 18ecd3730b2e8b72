"""The ledger: claiming accounts, writing what was read, and marking what reached the talents.

What belongs here: every write to ``platform_images`` but those of token refreshes (``token_queries.py``).
What does not: what a row becomes after a reading (``sync/outcome_rules.py``).
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import (
    account,
    is_account_of_ledger,
    ledger,
    load_accounts,
)
from talent_image_pipeline.database.bulk import insert_for, update_rows
from talent_image_pipeline.database.records import AccountRecord, LedgerRecord, PictureRecord
from talent_image_pipeline.database.tables import pictures

_WRITTEN_ELSEWHERE = {
    *("claimed_by", "claimed_until"),
    *("token_refreshed_at", "consent_ends_at"),
    *("reads_by_change", "reads_by_change_since"),
}
_COUNTED_FOR = timedelta(hours=1)


def claim_accounts(
    connection: sa.Connection, accounts: Sequence[AccountRecord], *, run_id: str, until: datetime, now: datetime
) -> set[str]:
    """Claim accounts for a run, in one statement; returns the ids of those that are now its own.

    An account is not claimed while another run's claim holds, nor when another run has read it since it was loaded.
    """
    if not accounts:
        return set()
    insert = insert_for(connection, ledger)
    new = insert.excluded
    statement = insert.on_conflict_do_update(
        index_elements=[ledger.c.account_id],
        set_={"claimed_by": new.claimed_by, "claimed_until": new.claimed_until},
        where=sa.and_(
            sa.or_(ledger.c.claimed_until.is_(None), ledger.c.claimed_until <= now, ledger.c.claimed_by == run_id),
            ledger.c.read_at.is_not_distinct_from(new.read_at),
        ),
    ).returning(ledger.c.account_id)
    rows = [
        {
            "account_id": record.account_id,
            "talent_id": record.talent_id,
            "platform": record.platform,
            "handle": record.handle,
            "read_at": record.ledger.read_at if record.ledger else None,
            "claimed_by": run_id,
            "claimed_until": until,
        }
        for record in sorted(accounts, key=lambda record: record.account_id)
    ]
    return set(connection.scalars(statement, rows))


def renew_claims(connection: sa.Connection, *, run_id: str, until: datetime) -> None:
    """Keep everything that a run has claimed and not read yet."""
    mine = ledger.c.claimed_by == run_id
    _lock(connection, mine)
    connection.execute(sa.update(ledger).where(mine).values(claimed_until=until))


def runs_with_claims(connection: sa.Connection, *, now: datetime) -> set[str]:
    """Return the runs that hold claims which have not lapsed: they were alive a moment ago."""
    statement = sa.select(ledger.c.claimed_by).distinct().where(ledger.c.claimed_until > now)
    return {run_id for run_id in connection.scalars(statement) if run_id is not None}


def release_claims(connection: sa.Connection, *, run_id: str, platform: str) -> None:
    """Give back what a run still holds on a platform. A row that was never read is removed again."""
    mine = sa.and_(ledger.c.claimed_by == run_id, ledger.c.platform == platform)
    never_read = sa.and_(
        ledger.c.outcome.is_(None),
        ledger.c.token_refresh_started_at.is_(None),
        ledger.c.token_refreshed_at.is_(None),
    )
    _lock(connection, mine)
    connection.execute(sa.delete(ledger).where(mine, never_read))
    connection.execute(sa.update(ledger).where(mine).values(claimed_by=None, claimed_until=None))


def write_readings(
    connection: sa.Connection,
    readings: Sequence[LedgerRecord],
    *,
    new_pictures: Sequence[PictureRecord],
    run_id: str,
    now: datetime,
) -> set[str]:
    """Write what was read, in one transaction with the pictures that it refers to; returns the ids that were written.

    Checked against the accounts' state now: a reading of an account that has changed since, or whose claim another run
    has taken over, is not written, and its claim is given back.
    """
    by_id = {reading.account_id: reading for reading in readings}
    _lock(connection, ledger.c.account_id.in_(sorted(by_id)))
    current = {record.account_id: record for record in load_accounts(connection, sorted(by_id), lock=True)}
    valid = {
        account_id
        for account_id, record in current.items()
        if record.fingerprint == by_id[account_id].fingerprint
        and record.ledger is not None
        and record.ledger.claimed_by == run_id
    }
    save_pictures(connection, new_pictures, now=now)
    rows = []
    for account_id in sorted(valid):
        row = asdict(by_id[account_id])
        rows.append({name: value for name, value in row.items() if name not in _WRITTEN_ELSEWHERE})
    is_mine = ledger.c.claimed_by == run_id
    update_rows(
        connection,
        ledger,
        [{**row, "claimed_by": None, "claimed_until": None} for row in rows],
        key="account_id",
        where=is_mine,
    )
    _count_reads_by_change(connection, [current[account_id] for account_id in sorted(valid)], now=now)
    stale = sorted(set(by_id) - valid)
    if stale:
        connection.execute(
            sa.update(ledger).where(ledger.c.account_id.in_(stale), is_mine).values(claimed_by=None, claimed_until=None)
        )
    return valid


def _count_reads_by_change(connection: sa.Connection, accounts: Sequence[AccountRecord], *, now: datetime) -> None:
    """Count reads of accounts in another state than the ledger had seen; the first one begins an hour."""
    changed = [
        account.account_id
        for account in accounts
        if account.ledger is not None and account.ledger.fingerprint != account.fingerprint
    ]
    if not changed:
        return
    is_same_hour = ledger.c.reads_by_change_since > now - _COUNTED_FOR
    connection.execute(
        sa.update(ledger)
        .where(ledger.c.account_id.in_(changed))
        .values(
            reads_by_change=sa.case((is_same_hour, ledger.c.reads_by_change + 1), else_=1),
            reads_by_change_since=sa.case((is_same_hour, ledger.c.reads_by_change_since), else_=now),
        )
    )


def save_pictures(connection: sa.Connection, records: Sequence[PictureRecord], *, now: datetime) -> None:
    """Record stored pictures. One that is known already counts as stored anew: it is sound, and not garbage yet."""
    if not records:
        return
    insert = insert_for(connection, pictures)
    statement = insert.on_conflict_do_update(
        index_elements=[pictures.c.hash], set_={"damaged_at": None, "created_at": insert.excluded.created_at}
    )
    unique = {record.content_hash: record for record in records}
    connection.execute(
        statement,
        [
            {
                "hash": record.content_hash,
                "width": record.width,
                "height": record.height,
                "bytes": record.bytes,
                "focus_x": record.focus_x,
                "focus_y": record.focus_y,
                "perceptual_hash": record.perceptual_hash,
                "damaged_at": None,
                "created_at": now,
            }
            for _, record in sorted(unique.items())
        ],
    )


def load_pictures(connection: sa.Connection, hashes: Collection[str]) -> dict[str, PictureRecord]:
    """Return the pictures with these hashes."""
    if not hashes:
        return {}
    statement = sa.select(pictures).where(pictures.c.hash.in_(sorted(hashes)))
    return {
        row["hash"]: PictureRecord(
            content_hash=row["hash"],
            width=row["width"],
            height=row["height"],
            bytes=row["bytes"],
            focus_x=row["focus_x"],
            focus_y=row["focus_y"],
            perceptual_hash=row["perceptual_hash"],
            is_damaged=row["damaged_at"] is not None,
        )
        for row in connection.execute(statement).mappings()
    }


def lock_ledger_of(connection: sa.Connection, talent_ids: Sequence[str]) -> None:
    """On PostgreSQL, keep what was read of these talents as it is until the transaction ends."""
    _lock(connection, ledger.c.talent_id.in_(list(talent_ids)))


def _lock(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> None:
    """On PostgreSQL, lock rows of the ledger in the one order in which everybody does: otherwise two would deadlock."""
    connection.execute(sa.select(ledger.c.account_id).where(condition).order_by(ledger.c.account_id).with_for_update())


def mark_resolved(connection: sa.Connection, accounts: Sequence[AccountRecord]) -> None:
    """Note that what was read of these accounts, or that they are disconnected, has reached their talents.

    An account that was only just claimed for its first read is left alone.
    """
    rows = [
        {
            "account_id": record.account_id,
            "fingerprint": record.ledger.fingerprint if record.connected else record.fingerprint,
            "awaits_resolution": False,
        }
        for record in accounts
        if record.ledger is not None and (record.ledger.outcome is not None or not record.connected)
    ]
    update_rows(connection, ledger, rows, key="account_id", where=sa.true())


def forget_lost_accounts(connection: sa.Connection, talent_ids: Sequence[str], *, platforms: Collection[str]) -> None:
    """Remove these talents' ledger rows of accounts that are theirs no longer, mostly because the app deleted them."""
    gone = (
        sa.select(ledger.c.account_id)
        .select_from(ledger.outerjoin(account, is_account_of_ledger(platforms)))
        .where(account.c.id.is_(None), ledger.c.talent_id.in_(list(talent_ids)))
    )
    connection.execute(sa.delete(ledger).where(ledger.c.account_id.in_(gone)))


def forget_accounts(connection: sa.Connection, account_ids: Sequence[str]) -> None:
    """Remove the ledger rows of accounts that may not give a picture any more."""
    if account_ids:
        connection.execute(sa.delete(ledger).where(ledger.c.account_id.in_(list(account_ids))))


def is_any_claimed(connection: sa.Connection, account_ids: Sequence[str], *, now: datetime) -> bool:
    """Whether a run reads any of these accounts right now."""
    claims = sa.exists().where(ledger.c.account_id.in_(list(account_ids)), ledger.c.claimed_until > now)
    return bool(connection.scalar(sa.select(claims)))
