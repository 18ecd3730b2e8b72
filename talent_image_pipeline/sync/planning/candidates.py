"""Choosing a run's candidates, planning the day, and naming who was meant.

What belongs here: asking the database who is due, and writing the choice down for the steps after it. What does not:
the rule by which a talent is due (``database/candidate_queries.py``).
"""

import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from talent_image_pipeline.database import candidate_queries, history_queries, transactions
from talent_image_pipeline.database.candidate_queries import ReadingRules
from talent_image_pipeline.database.records import MANUAL, Candidate, Reason
from talent_image_pipeline.errors import UserError
from talent_image_pipeline.settings import active_platforms
from talent_image_pipeline.sync.planning.due import REPEATED_OUTCOMES, WAITING_OUTCOMES, batch_size_for, batches
from talent_image_pipeline.sync.planning.scope import (
    BATCH_SIZE,
    DAILY_MINIMUM_HOURS,
    DUE_AFTER_HOURS,
    MOST_BATCHES_A_DAY,
    SyncScope,
)

#: How long a run's hand-off rows are kept: long enough to ask why a talent was in last week's run.
BATCHES_ARE_KEPT_FOR = timedelta(days=30)
_SUGGESTIONS = 3
_FOR_ITS_AGE = frozenset({Reason.NEVER_SYNCED, Reason.STALE})


class UnknownTalentError(UserError):
    """A talent that the app does not know; the message names it and the nearest ids or names."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The candidates of a run, and the talents that were named and left out because their picture is manual."""

    candidates: tuple[Candidate, ...]
    manual: tuple[str, ...] = ()


def reading_rules(*, verified_only: bool) -> ReadingRules:
    """Return what the queries need to know of the settings."""
    return ReadingRules(
        platforms=tuple(platform.name for platform in active_platforms()),
        waiting_outcomes=tuple(sorted(WAITING_OUTCOMES)),
        repeated_outcomes=tuple(sorted(REPEATED_OUTCOMES)),
        verified_only=verified_only,
    )


def choose_candidates(
    engine: sa.Engine, *, scope: SyncScope, run_id: str, now: datetime, verified_only: bool, must_exist: bool
) -> Selection:
    """Choose a run's candidates and hand them to the assets after it.

    Args:
        engine: The app's database.
        scope: What the run is about.
        run_id: The Dagster run.
        now: The time of the choice.
        verified_only: Whether only accounts connected with their own token count.
        must_exist: Whether a named talent that the app does not know is an error. The sensor also names talents that
            were just deleted.

    Raises:
        UnknownTalentError: naming the first unknown id.
    """

    def choose(connection: sa.Connection) -> Selection:
        manual: tuple[str, ...] = ()
        if scope.talent_ids:
            manual = _check_named(connection, scope.talent_ids, must_exist=must_exist)
        candidates = _find_candidates(connection, scope=scope, now=now, verified_only=verified_only)
        candidate_queries.save_candidates(
            connection,
            run_id=run_id,
            candidates=candidates,
            chosen_at=now,
        )
        candidate_queries.forget_batches_before(connection, now - BATCHES_ARE_KEPT_FOR)
        return Selection(candidates=tuple(candidates), manual=manual)

    return transactions.write(engine, choose)


def reason_to_sync(engine: sa.Engine, talent_id: str, *, now: datetime, verified_only: bool) -> Reason | None:
    """Say why a run would take a talent now, or that none would: it was synced within a day and nothing changed."""
    scope = SyncScope(talent_ids=(talent_id,), limit=1)
    found = transactions.read(engine, _find_candidates, scope=scope, now=now, verified_only=verified_only)
    return found[0].reason if found else None


def plan_daily_batches(engine: sa.Engine, *, now: datetime, verified_only: bool) -> list[tuple[str, ...]]:
    """Return everybody who is due today, in batches, never synced talents first, then the longest waiting."""
    return plan_batches(engine, now=now, verified_only=verified_only, minimum_hours=DAILY_MINIMUM_HOURS)


def plan_batches(
    engine: sa.Engine, *, now: datetime, verified_only: bool, minimum_hours: float
) -> list[tuple[str, ...]]:
    """Return everybody whose last sync is so many hours ago, and whose accounts changed, in batches."""
    rules = reading_rules(verified_only=verified_only)
    synced_before = now - timedelta(hours=minimum_hours)

    def find(connection: sa.Connection) -> list[str]:
        due = candidate_queries.find_due_talent_ids(connection, rules=rules, now=now, synced_before=synced_before)
        return due + candidate_queries.find_deleted_talents(connection)

    due = transactions.read(engine, find)
    return list(batches(due, size=batch_size_for(len(due), least=BATCH_SIZE, most_batches=MOST_BATCHES_A_DAY)))


def plan_catch_up(
    engine: sa.Engine, *, now: datetime, verified_only: bool, in_flight: Callable[[], Collection[str]]
) -> list[tuple[str, ...]]:
    """Return those who were last synced more than a day ago, in batches: mostly nobody.

    Changed accounts and failed reads are left to the sensor, and talents of runs on their way to those runs.

    Args:
        engine: The app's database.
        now: The time of the decision.
        verified_only: Whether only accounts connected with their own token count.
        in_flight: Says which talents are in runs on their way; asked only when somebody is late.
    """
    found = transactions.read(
        engine,
        candidate_queries.find_candidates,
        rules=reading_rules(verified_only=verified_only),
        now=now,
        synced_before=now - timedelta(hours=DUE_AFTER_HOURS),
    )
    late = [row.talent_id for row in found if row.reason in _FOR_ITS_AGE]
    going = in_flight() if late else ()
    return list(batches([talent_id for talent_id in late if talent_id not in going], size=BATCH_SIZE))


def still_due(
    engine: sa.Engine, talent_ids: Sequence[str], *, minimum_hours: float, now: datetime, verified_only: bool
) -> set[str]:
    """Return which of these talents are due."""
    found = transactions.read(
        engine,
        candidate_queries.find_candidates,
        rules=reading_rules(verified_only=verified_only),
        now=now,
        synced_before=now - timedelta(hours=minimum_hours),
        talent_ids=talent_ids,
    )
    return {candidate.talent_id for candidate in found}


def _find_candidates(
    connection: sa.Connection, *, scope: SyncScope, now: datetime, verified_only: bool
) -> list[Candidate]:
    candidates = candidate_queries.find_candidates(
        connection,
        rules=reading_rules(verified_only=verified_only).narrowed_to(scope.platforms),
        now=now,
        synced_before=now - scope.minimum_age,
        talent_ids=scope.talent_ids,
        force=scope.force,
        limit=scope.limit,
    )
    deleted = candidate_queries.find_deleted_talents(connection, scope.talent_ids)
    candidates += [Candidate(talent_id=talent_id, reason=Reason.ACCOUNT_CHANGED) for talent_id in deleted]
    return candidates[: scope.limit]


def _check_named(connection: sa.Connection, talent_ids: Sequence[str], *, must_exist: bool) -> tuple[str, ...]:
    """Return the named talents whose picture is manual; refuse those that do not exist."""
    found = {record.talent_id: record for record in history_queries.load_talents(connection, talent_ids)}
    if must_exist:
        for talent_id in talent_ids:
            if talent_id not in found:
                raise UnknownTalentError(_unknown_talent(connection, talent_id))
    return tuple(talent_id for talent_id, record in found.items() if record.image_source == MANUAL)


def require_talent(engine: sa.Engine, talent_id: str) -> None:
    """Make sure that the app knows a talent.

    Raises:
        UnknownTalentError: naming the id and the nearest ids or names.
    """
    transactions.read(engine, _check_named, [talent_id], must_exist=True)


def _unknown_talent(connection: sa.Connection, talent_id: str) -> str:
    nearest = nearest_talents(talent_id, history_queries.all_talent_names(connection))
    hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
    return f"No talent has the id or name {talent_id!r}.{hint}"


def nearest_talents(wanted: str, names_by_id: dict[str, str]) -> list[str]:
    """Return up to three talents whose id or name is nearest to what was typed, as ``id (name)``."""
    ids_by_text: dict[str, str] = {}
    for talent_id, name in names_by_id.items():
        ids_by_text.setdefault(name.casefold(), talent_id)
        ids_by_text.setdefault(talent_id.casefold(), talent_id)
    texts = difflib.get_close_matches(wanted.casefold(), ids_by_text, n=_SUGGESTIONS * 2, cutoff=0.5)
    nearest = dict.fromkeys(ids_by_text[text] for text in texts)
    return [f"{talent_id} ({names_by_id[talent_id]})" for talent_id in list(nearest)[:_SUGGESTIONS]]
