"""What came of a sync of many talents that somebody asked for.

What belongs here: counting its talents by what their reads came to, from the ledger.
What does not: starting it (``service/``) and the runs' own states, which Dagster knows.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

import sqlalchemy as sa

from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.tables import candidate_talents, platform_images
from talent_image_pipeline.sync.reading.outcome_rules import CONSEQUENCES

_FAILURES = frozenset(str(outcome) for outcome, consequence in CONSEQUENCES.items() if consequence.is_failure)


@dataclass(frozen=True, kw_only=True)
class TalentRead:
    """A read of one account of a talent since the talent was chosen; ``outcome`` is none where there was none."""

    talent_id: str
    outcome: str | None
    message: str | None


@dataclass(frozen=True, kw_only=True)
class BatchOutcome:
    """What a batch came to; ``failures`` names talents of whom no account could be read, with the reason, by id."""

    successful: int
    failures: tuple[tuple[str, str], ...]


def load_batch_outcome(engine: sa.Engine, run_ids: Sequence[str], *, failed_runs: Set[str]) -> BatchOutcome:
    """Count the talents that these runs chose.

    Args:
        engine: The app's database.
        run_ids: Runs that have ended.
        failed_runs: Of them, those that failed as a whole.
    """
    chosen, ledger = candidate_talents, platform_images
    is_read_since = sa.and_(ledger.c.talent_id == chosen.c.talent_id, ledger.c.read_at >= chosen.c.chosen_at)
    statement = (
        sa.select(chosen.c.talent_id, chosen.c.run_id, ledger.c.outcome, ledger.c.failure)
        .select_from(chosen.outerjoin(ledger, is_read_since))
        .where(chosen.c.run_id.in_(list(run_ids)))
        .order_by(chosen.c.talent_id)
    )
    with read_only(engine).begin() as connection:
        rows = connection.execute(statement).all()
    of_failed_runs = {row.talent_id for row in rows if row.run_id in failed_runs}
    reads = [TalentRead(talent_id=row.talent_id, outcome=row.outcome, message=row.failure) for row in rows]
    return judge_batch(reads, of_failed_runs=of_failed_runs)


def judge_batch(reads: Iterable[TalentRead], *, of_failed_runs: Set[str]) -> BatchOutcome:
    """Say which talents failed: none of their accounts could be read, or their run failed before it read any."""
    by_talent: dict[str, list[TalentRead]] = {}
    for read in reads:
        by_talent.setdefault(read.talent_id, []).append(read)
    failures = []
    for talent_id, of_talent in by_talent.items():
        failed = [read for read in of_talent if read.outcome in _FAILURES]
        ended_well = [read for read in of_talent if read.outcome is not None and read.outcome not in _FAILURES]
        if failed and not ended_well:
            failures.append((talent_id, failed[0].message or str(failed[0].outcome)))
        elif talent_id in of_failed_runs and not ended_well:
            failures.append((talent_id, "the run failed; its log in the Dagster UI says why"))
    return BatchOutcome(successful=len(by_talent) - len(failures), failures=tuple(failures))
