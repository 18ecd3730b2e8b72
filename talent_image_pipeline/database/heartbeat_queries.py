"""Signs of life of runs: each run that goes on counts up a number of its own.

What belongs here: writing and reading those numbers, and giving back what a dead run had claimed.
What does not: when a run counts as dead (``sync/planning/dead_runs.py``).

It is a count and not a time that others compare: whoever looks notices by itself how long a count has stood still,
however far apart the clocks of two machines are.
"""

from collections.abc import Collection

import sqlalchemy as sa

from talent_image_pipeline.database.bulk import insert_for
from talent_image_pipeline.database.tables import candidate_talents, platform_images, run_heartbeats


def begin_heartbeat(connection: sa.Connection, *, run_id: str, host: str, process_id: int) -> None:
    """Give a run's first sign of life."""
    insert = insert_for(connection, run_heartbeats)
    connection.execute(
        insert.values(run_id=run_id, beats=1, host=host, process_id=process_id).on_conflict_do_update(
            index_elements=[run_heartbeats.c.run_id],
            set_={"beats": run_heartbeats.c.beats + 1, "host": host, "process_id": process_id},
        )
    )


def beat(connection: sa.Connection, *, run_id: str) -> bool:
    """Count up a run's number; false when somebody took the run for dead and removed it."""
    statement = (
        sa.update(run_heartbeats).where(run_heartbeats.c.run_id == run_id).values(beats=run_heartbeats.c.beats + 1)
    )
    return connection.execute(statement).rowcount > 0


def load_beats(connection: sa.Connection, run_ids: Collection[str]) -> dict[str, int]:
    """Return the numbers of these runs; one that never gave a sign of life is left out."""
    statement = sa.select(run_heartbeats.c.run_id, run_heartbeats.c.beats).where(
        run_heartbeats.c.run_id.in_(sorted(run_ids))
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def place_of(connection: sa.Connection, run_id: str) -> str | None:
    """Say where a run gave its signs of life, if it ever did."""
    statement = sa.select(run_heartbeats.c.host, run_heartbeats.c.process_id).where(run_heartbeats.c.run_id == run_id)
    row = connection.execute(statement).one_or_none()
    return None if row is None else f"process {row.process_id} on {row.host}"


def forget_heartbeats(connection: sa.Connection, run_ids: Collection[str]) -> None:
    """Remove the numbers of runs that have ended."""
    connection.execute(sa.delete(run_heartbeats).where(run_heartbeats.c.run_id.in_(sorted(run_ids))))


def release_claims_of_dead_run(connection: sa.Connection, run_id: str) -> int:
    """Give back all that a dead run had claimed, so that its talents go on at once; returns how many accounts.

    Its claims are found by its candidates: an index of the ledger by run would have to be written with each claim.
    """
    ledger = platform_images
    candidates = sa.select(candidate_talents.c.talent_id).where(candidate_talents.c.run_id == run_id)
    result = connection.execute(
        sa.update(ledger)
        .where(ledger.c.talent_id.in_(candidates), ledger.c.claimed_by == run_id)
        .values(claimed_by=None, claimed_until=None)
    )
    return result.rowcount
