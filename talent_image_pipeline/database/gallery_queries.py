"""Talents as a gallery lists them: one page at a time, searched and filtered, each with the state of its picture.

What belongs here: the list's query and the rule, in SQL, by which a talent is in a state; recent changes.
What does not: everything about one talent (``operations/explain.py``) and the words for a state.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import account, is_eligible, is_of_same_talent, is_on, ledger
from talent_image_pipeline.database.tables import profile_image_pins, profile_image_versions, talent

_LIKE_ESCAPE: Final = "\\"


class PictureState(StrEnum):
    """In which state a talent's picture is; of several, the first in this order."""

    MANUAL = "manual"
    NEEDS_ATTENTION = "needs_attention"
    NO_ACCOUNT = "no_account"
    NEVER_SYNCED = "never_synced"
    OVERDUE = "overdue"
    CURRENT = "current"


@dataclass(frozen=True, kw_only=True)
class GalleryRules:
    """What decides in which state a talent is.

    Attributes:
        platforms: Those that we read.
        verified_only: Whether only accounts connected with their own token count.
        attention_outcomes: Somebody must do something about an account whose last read ended so.
        attention_after_failures: And about one whose reads failed this often in a row, whatever the reason.
        overdue_before: A talent whose last sync is older than this is late.
    """

    platforms: tuple[str, ...]
    verified_only: bool
    attention_outcomes: tuple[str, ...]
    attention_after_failures: int
    overdue_before: datetime


@dataclass(frozen=True, kw_only=True)
class GalleryFilter:
    """Which talents are listed.

    Attributes:
        search: Part of a name or a handle, or a whole id; empty lists everybody.
        sources: Only with a picture from one of these; empty means any.
        states: Only in one of these states; empty means any.
        after: Sort key and id of the last talent of the page before; none for the first page.
        limit: At most this many.
    """

    search: str = ""
    sources: tuple[str, ...] = ()
    states: tuple[PictureState, ...] = ()
    after: tuple[str, str] | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class GalleryRow:
    """A talent in the list.

    Attributes:
        sort_key: By which the list is ordered, then by id.
        failure: What the last failed read of one of its accounts said; none where all is well.
    """

    talent_id: str
    name: str
    sort_key: str
    image_source: str
    image_url: str | None
    last_sync_at: datetime | None
    is_pinned: bool
    state: PictureState
    failure: str | None


@dataclass(frozen=True, kw_only=True)
class PictureChange:
    """One change of what a talent shows; hashes are none for initials."""

    talent_id: str
    name: str
    changed_at: datetime
    source_before: str | None
    hash_before: str | None
    source: str
    hash: str | None
    message: str
    run_id: str | None


_shown_name = sa.func.coalesce(sa.func.nullif(sa.func.trim(talent.c.displayName), ""), talent.c.name)
_sort_key = sa.func.lower(_shown_name)


def list_talents(connection: sa.Connection, *, wanted: GalleryFilter, rules: GalleryRules) -> list[GalleryRow]:
    """Return a page of talents by name, then id.

    Args:
        connection: An open connection.
        wanted: Search, filters and where the page begins.
        rules: What decides in which state a talent is.
    """
    state = _state(rules)
    statement = (
        sa.select(
            talent.c.id,
            _shown_name,
            _sort_key,
            talent.c.profileImageSource,
            talent.c.profileImageUrl,
            talent.c.lastProfileImageSyncAt,
            _is_pinned(),
            state,
            _last_failure(rules),
        )
        .order_by(_sort_key, talent.c.id)
        .limit(wanted.limit)
    )
    for condition in _conditions(wanted, state):
        statement = statement.where(condition)
    return [
        GalleryRow(
            talent_id=row[0],
            name=row[1],
            sort_key=row[2],
            image_source=row[3],
            image_url=row[4],
            last_sync_at=row[5],
            is_pinned=bool(row[6]),
            state=PictureState(row[7]),
            failure=row[8],
        )
        for row in connection.execute(statement)
    ]


def count_states(connection: sa.Connection, *, rules: GalleryRules) -> dict[PictureState, int]:
    """Return how many talents are in each state; a state that nobody is in is left out."""
    states = sa.select(_state(rules).label("state")).subquery()
    statement = sa.select(states.c.state, sa.func.count()).group_by(states.c.state)
    return {PictureState(row[0]): row[1] for row in connection.execute(statement)}


def changes_between(connection: sa.Connection, *, since: datetime, until: datetime, limit: int) -> list[PictureChange]:
    """Return what talents show since some time that they did not show before, the newest first."""
    now_shown, before = profile_image_versions, profile_image_versions.alias("before")
    is_predecessor = sa.and_(before.c.talent_id == now_shown.c.talent_id, before.c.valid_to == now_shown.c.valid_from)
    statement = (
        sa.select(
            now_shown.c.id,
            now_shown.c.talent_id,
            _shown_name.label("name"),
            now_shown.c.valid_from,
            before.c.source.label("source_before"),
            before.c.picture_hash.label("hash_before"),
            now_shown.c.source,
            now_shown.c.picture_hash,
            now_shown.c.why,
            now_shown.c.run_id,
        )
        .join(talent, talent.c.id == now_shown.c.talent_id)
        .outerjoin(before, sa.and_(is_predecessor, before.c.id < now_shown.c.id))
        .where(now_shown.c.valid_from >= since, now_shown.c.valid_from < until)
        .order_by(now_shown.c.valid_from.desc(), now_shown.c.id.desc(), before.c.id.desc())
        .limit(limit)
    )
    changes: dict[int, PictureChange] = {}
    for row in connection.execute(statement).mappings():
        change = PictureChange(
            talent_id=row["talent_id"],
            name=row["name"],
            changed_at=row["valid_from"],
            source_before=row["source_before"],
            hash_before=row["hash_before"],
            source=row["source"],
            hash=row["picture_hash"],
            message=row["why"],
            run_id=row["run_id"],
        )
        changes.setdefault(row["id"], change)
    return list(changes.values())


def _conditions(wanted: GalleryFilter, state: sa.ColumnElement[str]) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.search:
        conditions.append(_matches(wanted.search))
    if wanted.sources:
        conditions.append(talent.c.profileImageSource.in_(wanted.sources))
    if wanted.states:
        conditions.append(state.in_([str(wanted_state) for wanted_state in wanted.states]))
    if wanted.after is not None:
        sort_key, talent_id = wanted.after
        is_later_of_same_name = sa.and_(_sort_key == sort_key, talent.c.id > talent_id)
        conditions.append(sa.or_(_sort_key > sort_key, is_later_of_same_name))
    return conditions


def _matches(search: str) -> sa.ColumnElement[bool]:
    """Talents whose name or a handle of theirs holds the text, or whose id it is."""
    in_handle = sa.exists().where(account.c.creatorId == talent.c.id, _contains(account.c.handle, search))
    return sa.or_(talent.c.id == search, _contains(_shown_name, search), in_handle)


def _contains(column: sa.ColumnElement[Any], text: str) -> sa.ColumnElement[bool]:
    # SQLite folds the case of ASCII alone: names in other scripts are looked for in the usual spellings.
    spellings: Sequence[str] = sorted({text, text.lower(), text.upper(), text.title()})
    return sa.or_(*(column.ilike(f"%{_escaped(spelling)}%", escape=_LIKE_ESCAPE) for spelling in spellings))


def _escaped(text: str) -> str:
    for special in (_LIKE_ESCAPE, "%", "_"):
        text = text.replace(special, _LIKE_ESCAPE + special)
    return text


def _is_pinned() -> sa.ColumnElement[bool]:
    return sa.exists().where(profile_image_pins.c.talent_id == talent.c.id)


def _state(rules: GalleryRules) -> sa.ColumnElement[str]:
    last_sync = talent.c.lastProfileImageSyncAt
    return sa.case(
        (talent.c.profileImageSource == "manual", PictureState.MANUAL.value),
        (_has_account(rules, _needs_attention(rules)), PictureState.NEEDS_ATTENTION.value),
        (sa.not_(_has_account(rules)), PictureState.NO_ACCOUNT.value),
        (last_sync.is_(None), PictureState.NEVER_SYNCED.value),
        (last_sync < rules.overdue_before, PictureState.OVERDUE.value),
        else_=PictureState.CURRENT.value,
    )


def _has_account(rules: GalleryRules, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    accounts = account.outerjoin(ledger, sa.and_(ledger.c.account_id == account.c.id, is_of_same_talent()))
    return (
        sa.select(account.c.id)
        .select_from(accounts)
        .where(account.c.creatorId == talent.c.id, *_counts(rules), *conditions)
        .exists()
    )


def _counts(rules: GalleryRules) -> Collection[sa.ColumnElement[bool]]:
    return is_on(rules.platforms), is_eligible(verified_only=rules.verified_only)


def _needs_attention(rules: GalleryRules) -> sa.ColumnElement[bool]:
    return sa.or_(
        ledger.c.outcome.in_(rules.attention_outcomes),
        ledger.c.consecutive_failures >= rules.attention_after_failures,
    )


def _last_failure(rules: GalleryRules) -> sa.ScalarSelect[Any]:
    return (
        sa.select(ledger.c.failure)
        .select_from(account.join(ledger, sa.and_(ledger.c.account_id == account.c.id, is_of_same_talent())))
        .where(account.c.creatorId == talent.c.id, *_counts(rules), ledger.c.failure.is_not(None))
        .order_by(_needs_attention(rules).desc(), ledger.c.read_at.desc(), ledger.c.account_id)
        .limit(1)
        .scalar_subquery()
    )
