"""When reads that failed are tried again, and of whom: all together, an outage with one account first.

What belongs here: the decision, and what is remembered from one look to the next. What does not: how long an account
waits after a failed read (``sync/limits/retries.py``) and finding those whose wait is over (``database/``).

Failed reads are looked for every quarter of an hour, and all that are due by then make one run. A platform whose newest
reads all failed is asked about one account; as soon as it answers, everybody else on it is read, before the next look.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from talent_image_pipeline.platforms.contract import Outcome

if TYPE_CHECKING:
    # It brings the database library, which every process of Dagster's would load.
    from talent_image_pipeline.database.candidate_queries import FailedRead

LOOKED_FOR_EVERY: Final = timedelta(minutes=15)
#: A run's config names its talents; what is left over is asked for as soon as this run has ended.
MOST_IN_ONE_RUN: Final = 2_000
#: As many reads in a row without an answer are the platform's doing and no account's.
READS_THAT_TELL_AN_OUTAGE: Final = 8

_UNANSWERED: Final = frozenset({Outcome.UNAVAILABLE, Outcome.MISCONFIGURED})


@dataclass(frozen=True, kw_only=True)
class RetryMemory:
    """What one look leaves to the next.

    Attributes:
        looked_at: When failed reads were last looked for.
        probed: Platforms of which one account was asked about, while the others wait for its answer.
        has_more: Whether more were due than one run takes.
    """

    looked_at: datetime | None = None
    probed: frozenset[str] = frozenset()
    has_more: bool = False

    def is_time(self, now: datetime) -> bool:
        """Whether a quarter of an hour has passed; a look that lies ahead was taken by another clock."""
        return self.looked_at is None or not timedelta(0) <= now - self.looked_at < LOOKED_FOR_EVERY

    def is_worth_a_look(self, now: datetime) -> bool:
        """Whether there may be something to ask for."""
        return self.is_time(now) or self.has_more or bool(self.probed)


@dataclass(frozen=True, kw_only=True)
class RetryPlan:
    """The talents of one run, or of none, what to remember, and the words for it."""

    talent_ids: tuple[str, ...]
    memory: RetryMemory
    message: str = ""


def is_silent(newest: Sequence[Outcome]) -> bool:
    """Whether a platform seems to be down: none of its newest reads, the newest first, was answered."""
    return bool(newest) and _UNANSWERED.issuperset(newest[:READS_THAT_TELL_AN_OUTAGE])


def plan_retries(
    due: "Sequence[FailedRead]",
    *,
    newest: Mapping[str, Sequence[Outcome]],
    in_flight: Collection[str],
    memory: RetryMemory,
    now: datetime,
) -> RetryPlan:
    """Decide which talents are read again, in one run.

    Args:
        due: Accounts whose wait after a failed read is over, the longest waiting first.
        newest: How the newest reads of each of their platforms ended.
        in_flight: Talents of runs that go on; they are left to those runs, and nobody else waits for them.
        memory: What the last look left.
        now: The time of this look.
    """
    is_going = any(read.talent_id in in_flight for read in due)
    is_time = memory.is_time(now) or (memory.has_more and not is_going)
    silent = {platform for platform in {read.platform for read in due} if is_silent(newest.get(platform, ()))}
    chosen: dict[str, None] = {}
    probed: set[str] = set()
    for read in due:
        if read.talent_id in in_flight:
            continue
        if read.platform not in silent and (is_time or read.platform in memory.probed):
            chosen[read.talent_id] = None
        elif read.platform in silent and is_time and read.platform not in probed:
            chosen[read.talent_id] = None
            probed.add(read.platform)
    talent_ids = tuple(chosen)[:MOST_IN_ONE_RUN]
    still_probed = probed if is_time else memory.probed & silent
    return RetryPlan(
        talent_ids=talent_ids,
        memory=RetryMemory(
            looked_at=now if is_time else memory.looked_at,
            probed=frozenset(still_probed),
            has_more=len(due) >= MOST_IN_ONE_RUN if is_time else memory.has_more,
        ),
        message=_message(talent_ids, accounts=len(due), probed=probed),
    )


def _message(talent_ids: Sequence[str], *, accounts: int, probed: Collection[str]) -> str:
    if not talent_ids:
        return ""
    message = f"{accounts} failed read(s) are to be tried again: {len(talent_ids)} talent(s) in one run"
    return f"{message}; {', '.join(sorted(probed))} with one account first" if probed else message
