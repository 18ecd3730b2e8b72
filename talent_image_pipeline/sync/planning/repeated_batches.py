"""Which batches of the day are asked for again because their run failed in a step.

What belongs here: the decision over failed runs and who of their talents is still due. What does not: batches that are
planned anew (``candidates.py``) and changed accounts (``change_requests.py``).

A run that fails gives back its talents: they are asked for again after a pause that doubles, and in smaller batches
after every further failure, so that one talent that makes its run fail ends up alone.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from talent_image_pipeline.sync.planning.due import batches
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE

FIRST_PAUSE: Final = timedelta(seconds=30)
#: From then on the hourly catch-up has them.
MOST_REPETITIONS: Final = 4
SMALLER_AFTER_FAILURE: Final = 8


@dataclass(frozen=True, kw_only=True)
class FailedBatch:
    """A run of a batch that failed.

    Attributes:
        run_id: The run.
        talent_ids: Its batch.
        trigger: Why the batch was planned: ``daily`` or ``catch_up``.
        repetition: 0 for the first run of the batch, 1 for the run that repeated it, and so on.
        ended_at: When it failed.
    """

    run_id: str
    talent_ids: tuple[str, ...]
    trigger: str
    repetition: int
    ended_at: datetime


@dataclass(frozen=True, kw_only=True)
class RepeatedBatch:
    """A batch to ask for again.

    Attributes:
        talent_ids: Whom of the batch to read.
        repeats: The run that failed.
        trigger: Why the batch was planned.
        repetition: How many runs of the batch failed before.
        run_key: The same for the same failed run: Dagster runs no key twice.
    """

    talent_ids: tuple[str, ...]
    repeats: str
    trigger: str
    repetition: int
    run_key: str


def talents_given_back(failed: Sequence[FailedBatch], *, now: datetime) -> set[str]:
    """Return the talents of failed runs whose pause is over: those of whom it is worth asking whether they are due."""
    return {talent_id for batch in failed if _is_ready(batch, now=now) for talent_id in batch.talent_ids}


def plan_repetitions(
    failed: Sequence[FailedBatch], *, due: Collection[str], in_flight: Collection[str], now: datetime
) -> Iterator[RepeatedBatch]:
    """Decide which batches to ask for again.

    Args:
        failed: Runs of batches that failed lately.
        due: Those of their talents that are still due.
        in_flight: Talents of runs that go on.
        now: The time of the decision.
    """
    for batch in failed:
        if not _is_ready(batch, now=now):
            continue
        left = [talent_id for talent_id in batch.talent_ids if talent_id in due and talent_id not in in_flight]
        size = max(1, BATCH_SIZE // SMALLER_AFTER_FAILURE**batch.repetition)
        for number, talent_ids in enumerate(batches(left, size=size), start=1):
            yield RepeatedBatch(
                talent_ids=talent_ids,
                repeats=batch.run_id,
                trigger=batch.trigger,
                repetition=batch.repetition + 1,
                run_key=f"again-{batch.run_id}-{number}",
            )


def _is_ready(batch: FailedBatch, *, now: datetime) -> bool:
    pause = FIRST_PAUSE * (1 << batch.repetition)
    return batch.repetition < MOST_REPETITIONS and now >= batch.ended_at + pause
