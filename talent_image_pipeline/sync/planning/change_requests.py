"""Which runs the sensor asks for: a pure function of the changes found and the runs that are on their way.

What belongs here: batching, de-duplication against runs on their way, backing off after failed runs, and the words.
What does not: finding the changes (``database/candidate_queries.py``) and asking Dagster (``automation/sensors.py``).

No cursor says what was handled: a change stays found until a run has carried it through, so that neither a failed run
nor a daemon that was down loses one.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from talent_image_pipeline.sync.planning.due import CHANGES_COUNT_FOR, MOST_READS_BY_CHANGE, batches, is_restless
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE

if TYPE_CHECKING:
    # It brings the database library, which every process of Dagster's would load.
    from talent_image_pipeline.database.candidate_queries import AccountFinding

#: Each run request costs the daemon a query and a launch; what is left over is asked for by the next tick.
MAXIMUM_REQUESTS_PER_TICK = 5
FIRST_BACKOFF = timedelta(seconds=15)
LONGEST_BACKOFF = timedelta(minutes=30)
#: 200 talents of a failed run are asked for as 8 runs, then as 67, then alone.
SMALLER_AFTER_FAILURE = 8


@dataclass(frozen=True, kw_only=True)
class AccountChange:
    """One account that is in another state than the ledger last saw.

    Attributes:
        state: What tells this change from an earlier one of the same account: its fingerprint, or ``deleted``.
        waits_until: The account was read too often lately because it changed; nothing is read of it before then.
    """

    account_id: str
    talent_id: str
    state: str
    waits_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class FailedRun:
    """A run that failed lately: whom it was about and when it ended."""

    talent_ids: frozenset[str]
    ended_at: datetime


@dataclass(frozen=True, kw_only=True)
class ChangeRequest:
    """One run to ask for."""

    talent_ids: tuple[str, ...]
    run_key: str


@dataclass(frozen=True, kw_only=True)
class ChangePlan:
    """What a tick asks for, and what it leaves and why."""

    requests: tuple[ChangeRequest, ...]
    in_flight: int
    backing_off: int
    left_for_next_tick: int
    waiting_until: tuple[datetime, ...] = ()
    message: str = field(default="")


def change_of(finding: "AccountFinding", *, now: datetime) -> AccountChange:
    """Return the change that was found, and how long it waits where its account changes all the time."""
    waits_until = None
    since = finding.reads_by_change_since
    if finding.awaits_read and is_restless(reads=finding.reads_by_change, since=since, now=now) and since is not None:
        waits_until = since + CHANGES_COUNT_FOR
    return AccountChange(
        account_id=finding.account_id,
        talent_id=finding.talent_id,
        state=finding.fingerprint or "deleted",
        waits_until=waits_until,
    )


def plan_change_requests(
    changes: Sequence[AccountChange],
    *,
    in_flight: Collection[str],
    failed_runs: Sequence[FailedRun],
    sequence: int,
    now: datetime,
) -> ChangePlan:
    """Decide which runs to ask for.

    Args:
        changes: Every change found, the longest waiting first.
        in_flight: Talents of runs that have not ended.
        failed_runs: Runs that failed lately and that no later success of the same talents followed.
        sequence: A number that grows with every tick that asked for something; part of the run keys, because an account
            may come back to a state that it was in before, and Dagster never runs the same key twice.
        now: The time of the tick.
    """
    waiting_until = [change.waits_until for change in changes if change.waits_until is not None]
    states: dict[str, list[str]] = {}
    for change in changes:
        if change.waits_until is None:
            states.setdefault(change.talent_id, []).append(f"{change.account_id}={change.state}")
    failures = _failures_by_talent(failed_runs)
    waiting = {talent_id for talent_id in states if talent_id in in_flight}
    backing_off = {
        talent_id
        for talent_id in states
        if talent_id not in waiting and _is_backing_off(failures.get(talent_id, []), now=now)
    }
    ready = [talent_id for talent_id in states if talent_id not in waiting | backing_off]
    groups = [
        *batches([talent_id for talent_id in ready if talent_id not in failures], size=BATCH_SIZE),
        *_groups_of_suspects([talent_id for talent_id in ready if talent_id in failures], failures),
    ]
    asked = groups[:MAXIMUM_REQUESTS_PER_TICK]
    plan = ChangePlan(
        requests=tuple(
            ChangeRequest(talent_ids=group, run_key=_run_key(group, states, sequence=sequence)) for group in asked
        ),
        in_flight=len(waiting),
        backing_off=len(backing_off),
        left_for_next_tick=len(ready) - sum(len(group) for group in asked),
        waiting_until=tuple(sorted(waiting_until)),
    )
    return _with_words(plan, changes=changes)


def _groups_of_suspects(
    suspects: Sequence[str], failures: Mapping[str, Sequence[datetime]]
) -> Iterator[tuple[str, ...]]:
    """Ask for talents whose run failed apart from the others, and in smaller groups after every further failure.

    Mostly a run was killed and its talents are sound: asking for each alone would be hundreds of runs. If one of them
    is what made it fail, it ends up alone and cannot take others down with it.
    """
    by_failures: dict[int, list[str]] = {}
    for talent_id in suspects:
        by_failures.setdefault(len(failures[talent_id]), []).append(talent_id)
    for number, talent_ids in sorted(by_failures.items()):
        yield from batches(talent_ids, size=max(1, BATCH_SIZE // SMALLER_AFTER_FAILURE**number))


def _failures_by_talent(failed_runs: Sequence[FailedRun]) -> dict[str, list[datetime]]:
    failures: dict[str, list[datetime]] = {}
    for run in failed_runs:
        for talent_id in run.talent_ids:
            failures.setdefault(talent_id, []).append(run.ended_at)
    return failures


def _is_backing_off(failures: Sequence[datetime], *, now: datetime) -> bool:
    if not failures:
        return False
    doublings = min(len(failures) - 1, 16)
    backoff: timedelta = min(FIRST_BACKOFF * 2**doublings, LONGEST_BACKOFF)
    return now < max(failures) + backoff


def _run_key(group: Sequence[str], states: dict[str, list[str]], *, sequence: int) -> str:
    digest = hashlib.sha256()
    for talent_id in sorted(group):
        digest.update(f"{talent_id}:{';'.join(sorted(states[talent_id]))}\n".encode())
    return f"changes-{sequence}-{digest.hexdigest()[:16]}"


def _with_words(plan: ChangePlan, *, changes: Sequence[AccountChange]) -> ChangePlan:
    if not changes:
        return plan
    talents = len({change.talent_id for change in changes})
    parts = [f"{len(changes)} changed account(s) of {talents} talent(s)"]
    if plan.in_flight:
        parts.append(f"{plan.in_flight} talent(s) are in runs on their way")
    if plan.backing_off:
        parts.append(f"{plan.backing_off} talent(s) wait after a failed run")
    if plan.waiting_until:
        parts.append(
            f"{len(plan.waiting_until)} account(s) were read {MOST_READS_BY_CHANGE} times within an hour because they "
            f"changed, and wait until {plan.waiting_until[0]:%H:%M} UTC"
        )
    if plan.left_for_next_tick:
        parts.append(f"{plan.left_for_next_tick} talent(s) are left for the next tick")
    return replace(plan, message="; ".join(parts))
