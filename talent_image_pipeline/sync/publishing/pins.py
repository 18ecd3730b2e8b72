"""Pinning an earlier picture of a talent, and freeing it again.

What belongs here: which version may be pinned, and doing it in one transaction with what the talent shows.
What does not: what a pin means for the choice (``resolution.py``) and writing the choice (``publish.py``).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import anyio.to_thread
import sqlalchemy as sa

from talent_image_pipeline.database import history_queries, ledger_queries, transactions
from talent_image_pipeline.database.records import MANUAL, AccountRecord, PictureRecord, PinRecord, VersionRecord
from talent_image_pipeline.errors import UserError
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.sync.planning.candidates import UnknownTalentError, require_talent
from talent_image_pipeline.sync.publishing.publish import PublishingRules, load_states, publish_choice
from talent_image_pipeline.sync.publishing.resolution import Resolution, TalentState, owned_hash


class PinningRefusedError(UserError):
    """A picture cannot be pinned or freed; the message says why and what would go."""


async def roll_back(
    engine: sa.Engine,
    store: PictureStore,
    talent_id: str,
    *,
    version_id: int | None = None,
    rules: PublishingRules,
    now: datetime,
) -> VersionRecord:
    """Pin an earlier version of a talent's picture and show it at once.

    Args:
        engine: The app's database.
        store: Where the pictures are.
        talent_id: The talent.
        version_id: The version; none means the last one that showed another picture than the talent shows now, and
            where a version is pinned already, than that version and before it.
        rules: Settings and priority.
        now: The time of the decision.

    Returns:
        The version that is pinned now.

    Raises:
        UnknownTalentError: naming the nearest ids or names.
        PinningRefusedError: when the picture is manual, there is no such version, or its picture is not ours any more.
        PictureStoreUnavailableError: when the store cannot say whether it has the picture.
    """
    await anyio.to_thread.run_sync(require_talent, engine, talent_id)

    version = await transactions.read_in_thread(engine, _find_version, talent_id, version_id=version_id, rules=rules)
    # What a version names is never removed, so the answer still holds when the pin is written.
    if version.picture_hash is not None and not await store.has(version.picture_hash):
        raise PinningRefusedError(f"The picture of version {version.version_id} is not in the picture store.")
    await anyio.to_thread.run_sync(lambda: _pin(engine, version, rules=rules, now=now))
    return version


async def pin_account_picture(
    engine: sa.Engine, store: PictureStore, talent_id: str, account_id: str, *, rules: PublishingRules, now: datetime
) -> VersionRecord:
    """Pin the picture that we own of one of a talent's accounts, shown before or not, and show it at once.

    Returns:
        The version that is pinned now: a new one of the history.

    Raises:
        UnknownTalentError: naming the nearest ids or names.
        PinningRefusedError: when the picture is manual, or we own no picture of such an account.
        PictureStoreUnavailableError: when the store cannot say whether it has the picture.
    """
    await anyio.to_thread.run_sync(require_talent, engine, talent_id)

    def find(connection: sa.Connection) -> AccountRecord:
        state = _load_state(connection, talent_id, rules=rules, lock=False)
        _refuse_manual(state)
        return _account_with_picture(state, account_id)

    account = await transactions.read_in_thread(engine, find)
    content_hash = owned_hash(account)
    if content_hash is None or not await store.has(content_hash):
        raise PinningRefusedError(f"The picture of the account {account_id!r} is not in the picture store.")

    def pin(connection: sa.Connection) -> VersionRecord:
        state = _load_state(connection, talent_id, rules=rules, lock=True)
        _refuse_manual(state)
        found = _account_with_picture(state, account_id)
        wanted = PinRecord(
            talent_id=talent_id,
            version_id=0,
            source=found.platform,
            picture_hash=owned_hash(found),
            pinned_at=now,
        )
        publish_choice(connection, replace(state, pin=wanted), why="pinned by a person", rules=rules, now=now)
        version = history_queries.current_versions(connection, [talent_id])[talent_id]
        history_queries.save_pin(connection, replace(wanted, version_id=version.version_id))
        return version

    return await transactions.write_in_thread(engine, pin)


def _account_with_picture(state: TalentState, account_id: str) -> AccountRecord:
    for account in state.accounts:
        if account.account_id == account_id and account.connected and owned_hash(account) is not None:
            return account
    raise PinningRefusedError(
        f"There is no connected account {account_id!r} of {state.talent.talent_id} with a picture."
    )


def unpin(engine: sa.Engine, talent_id: str, *, rules: PublishingRules, now: datetime) -> Resolution | None:
    """Free a talent's pinned picture and show at once what wins among the pictures that we own.

    Returns:
        What the talent shows now; none where a manual picture stays.

    Raises:
        UnknownTalentError: naming the nearest ids or names.
        PinningRefusedError: when nothing is pinned.
    """
    require_talent(engine, talent_id)

    def free(connection: sa.Connection) -> Resolution | None:
        state = _load_state(connection, talent_id, rules=rules, lock=True)
        if state.pin is None or not history_queries.delete_pin(connection, talent_id):
            raise PinningRefusedError(f"No picture of {talent_id} is pinned.")
        why = f"unpinned from version {state.pin.version_id}"
        return publish_choice(connection, replace(state, pin=None), why=why, rules=rules, now=now)

    return transactions.write(engine, free)


def choose_version(
    history: Sequence[VersionRecord], *, pinned: int | None, version_id: int | None
) -> VersionRecord | None:
    """Return the version that a person means, or none when there is no such version.

    Args:
        history: The talent's versions, the newest first.
        pinned: The version that is pinned now, if any.
        version_id: The version that was asked for; none means the last one before what is shown that differs from it.
    """
    if version_id is not None:
        return next((version for version in history if version.version_id == version_id), None)
    shown = next((version for version in history if pinned is None or version.version_id == pinned), None)
    if shown is None:
        return None
    earlier = history[history.index(shown) + 1 :]
    return next((version for version in earlier if version.picture_hash != shown.picture_hash), None)


def refusal_of(version: VersionRecord, picture: PictureRecord | None) -> str | None:
    """Say why a version cannot be shown again, or nothing when it can; initials always can."""
    if version.picture_hash is None:
        return None
    if picture is None:
        return f"The picture of version {version.version_id} is not stored any more."
    if picture.is_damaged:
        return f"The picture of version {version.version_id} was found damaged; see talent-images verify."
    return None


def _find_version(
    connection: sa.Connection, talent_id: str, *, version_id: int | None, rules: PublishingRules
) -> VersionRecord:
    state = _load_state(connection, talent_id, rules=rules, lock=False)
    _refuse_manual(state)
    history = history_queries.load_history(connection, talent_id)
    version = choose_version(history, pinned=state.pin.version_id if state.pin else None, version_id=version_id)
    if version is None:
        raise PinningRefusedError(_no_such_version(talent_id, version_id, history))
    _refuse_unless_owned(connection, version)
    return version


def _pin(engine: sa.Engine, version: VersionRecord, *, rules: PublishingRules, now: datetime) -> None:
    def pin_and_publish(connection: sa.Connection) -> None:
        state = _load_state(connection, version.talent_id, rules=rules, lock=True)
        _refuse_manual(state)
        _refuse_unless_owned(connection, version)
        pin = PinRecord(
            talent_id=version.talent_id,
            version_id=version.version_id,
            source=version.source,
            picture_hash=version.picture_hash,
            pinned_at=now,
        )
        history_queries.save_pin(connection, pin)
        publish_choice(connection, replace(state, pin=pin), rules=rules, now=now)

    transactions.write(engine, pin_and_publish)


def _load_state(connection: sa.Connection, talent_id: str, *, rules: PublishingRules, lock: bool) -> TalentState:
    states = load_states(connection, [talent_id], platforms=rules.priority, lock=lock)
    if not states:
        raise UnknownTalentError(f"There is no talent with the id {talent_id!r} any more.")
    return states[0]


def _refuse_manual(state: TalentState) -> None:
    if state.talent.image_source == MANUAL:
        raise PinningRefusedError(
            f"{state.talent.talent_id} shows a picture that was set by hand in the app, which is never touched."
        )


def _refuse_unless_owned(connection: sa.Connection, version: VersionRecord) -> None:
    hashes = [version.picture_hash] if version.picture_hash else []
    picture = ledger_queries.load_pictures(connection, hashes).get(version.picture_hash or "")
    refusal = refusal_of(version, picture)
    if refusal is not None:
        raise PinningRefusedError(refusal)


def _no_such_version(talent_id: str, version_id: int | None, history: Sequence[VersionRecord]) -> str:
    known = ", ".join(str(version.version_id) for version in history[:10])
    if version_id is not None:
        which = f" It has {known}." if known else " It has none."
        return f"{talent_id} has no version {version_id}.{which}"
    return f"{talent_id} has no earlier version with another picture." if known else f"{talent_id} has no versions yet."
