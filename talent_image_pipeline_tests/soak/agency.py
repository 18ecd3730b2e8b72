"""An agency whose talents, networks and luck change every day, and what must be true of it whatever happened.

What belongs here: what happens (seeded, so that a failure can be repeated), what is true upstream, and the invariants.
What does not: running the pipeline (``simulation.py``) and how many days of it (the tests).
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from talent_image_pipeline.database.tables import (
    pictures,
    platform_images,
    profile_image_versions,
    social_account_connection,
    talent,
)
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import account_id_of
from talent_image_pipeline_tests.soak.simulation import PUBLIC_URL, Simulation

REFUSED_BYTES_WAIT = timedelta(days=7)
#: After these an account is looked at the next day, and later ever more rarely.
_WAITS_THAT_GROW = frozenset({"hidden", "gone"})
DAY = timedelta(days=1)
PRIORITY = ("instagram", "tiktok", "youtube")
LONG = int(timedelta(days=60).total_seconds())
TWO_HOURS = 7_200

#: What passes by itself, for single accounts. YouTube is asked for 50 at a time: there only pictures fail singly.
_PICTURE_FAULTS = (
    Situation.PICTURE_TRUNCATED,
    Situation.PICTURE_IS_HTML,
    Situation.PICTURE_OVERSIZED,
    Situation.PICTURE_EXPIRED,
    Situation.PICTURE_NOT_FOUND,
    Situation.PICTURE_RESET,
)
_PASSING: dict[str, tuple[Situation, ...]] = {
    "instagram": (
        Situation.RATE_LIMITED,
        Situation.USER_LIMIT,
        Situation.OUTAGE,
        Situation.RESET,
        Situation.NONSENSE,
        Situation.TRANSIENT,
        Situation.DELETED,
        *_PICTURE_FAULTS,
    ),
    "facebook": (Situation.PRIVATE, Situation.OUTAGE, Situation.RESET, Situation.TRANSIENT, *_PICTURE_FAULTS),
    "tiktok": (Situation.SERVER_ERROR, Situation.RESET, Situation.REFRESH_OUTAGE, *_PICTURE_FAULTS),
    "youtube": _PICTURE_FAULTS,
}
#: What only the talent can mend, by connecting the account anew.
_DEADLY: dict[str, tuple[Situation, ...]] = {
    "instagram": (Situation.TOKEN_EXPIRED, Situation.APP_REMOVED, Situation.PASSWORD_CHANGED, Situation.SCOPE_MISSING),
    "tiktok": (Situation.APP_REMOVED, Situation.SCOPE_MISSING, Situation.TOKEN_INVALID),
}
_EVERYWHERE: dict[Platform, tuple[Situation, ...]] = {
    Platform.INSTAGRAM: (Situation.OUTAGE, Situation.RATE_LIMITED, Situation.NONSENSE, Situation.CUSTOM_LIMIT),
    Platform.FACEBOOK: (Situation.OUTAGE, Situation.RATE_LIMITED, Situation.RESET, Situation.FIELD_REMOVED),
    Platform.TIKTOK: (Situation.OUTAGE, Situation.RATE_LIMITED, Situation.SERVER_ERROR, Situation.FIELD_REMOVED),
    Platform.YOUTUBE: (Situation.OUTAGE, Situation.RATE_LIMITED, Situation.KEY_INVALID, Situation.TRANSIENT),
}
_READS = ("instagram.me", "facebook.discovery", "tiktok.user_info", "youtube.channel")
_ABSENT = (Situation.NO_PICTURE, Situation.SILHOUETTE)


@dataclass(kw_only=True)
class Account:
    """One connected account: how the app has it, what is the matter with it, and what was last owned of it.

    Attributes:
        api: Which API reads it.
        upstream: Its handle at the network.
        app_handle: What the app has: that, or the channel's id.
        faulty_until: The first day on which it can be read well again.
        is_dead: Whether only a reconnect can mend it.
        is_absent: Whether the network shows no picture of it.
        is_gone: Whether the network says that it does not exist.
        changes_today: How often the app changed it today, each of which asks for a read.
        owned: The picture that we owned when the last day ended, and under which handle.
    """

    account_id: str
    talent_id: str
    network: str
    api: Platform
    upstream: str
    app_handle: str
    is_connected: bool = True
    faulty_until: int = 0
    is_dead: bool = False
    is_absent: bool = False
    is_gone: bool = False
    changes_today: int = 0
    owned: tuple[str, str] | None = None


@dataclass(kw_only=True)
class Agency:
    """Talents and accounts, and the days that pass over them."""

    simulation: Simulation
    rng: random.Random
    day: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)
    manual: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    everywhere: dict[Platform, Situation] = field(default_factory=dict)
    killed_today: set[str] = field(default_factory=set)
    is_interrupted: bool = False
    seed_of_hash: dict[str, int] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    next_number: int = 0

    # Building it

    def hire(self, *networks: str) -> None:
        """Add a talent with an account on each of these networks."""
        self.next_number += 1
        talent_id = f"talent-{self.next_number:04d}"
        self.simulation.add_talent(talent_id)
        for network in networks:
            self._connect(talent_id, network)

    def _connect(self, talent_id: str, network: str) -> None:
        has_token = network == "tiktok" or (network == "instagram" and self.rng.random() < 0.35)
        api = Platform.FACEBOOK if network == "instagram" and not has_token else Platform(network)
        upstream = self._new_handle(network)
        account_id = self.simulation.connect(talent_id, network, upstream, with_token=has_token)
        app_handle = upstream
        if network == "youtube" and self.rng.random() < 0.6:
            app_handle = account_id_of(Network.YOUTUBE, upstream)
            self.simulation.change_account(account_id, handle=app_handle)
        self.accounts[account_id] = Account(
            account_id=account_id,
            talent_id=talent_id,
            network=network,
            api=api,
            upstream=upstream,
            app_handle=app_handle,
            changes_today=1,
        )

    def _new_handle(self, network: str) -> str:
        self.next_number += 1
        handle = f"handle.{self.next_number}"
        # Pictures that follow each other look different, and no two accounts ever have the same one.
        self.simulation.add_upstream(network, handle, number=self.next_number * 1000)
        return handle

    # What happens on a day

    def begin_day(self) -> None:
        """Let the night's changes happen: upstream, in the app, and in what works."""
        self.day += 1
        self.killed_today.clear()
        self.is_interrupted = False
        self.events.clear()
        for account in self.accounts.values():
            account.changes_today = 0
        self._end_faults()
        self._begin_faults()
        self._change_upstream()
        self._change_app()

    def _pick(self, number: int, condition: Callable[[Account], bool] = lambda _: True) -> list[Account]:
        """Return some accounts that are well and meet a condition."""
        able = [one for one in self.accounts.values() if self._is_well(one) and condition(one)]
        return self.rng.sample(able, min(number, len(able)))

    def _is_well(self, account: Account) -> bool:
        is_faulty = account.faulty_until > self.day or account.is_dead or account.is_gone or account.is_absent
        return account.is_connected and not is_faulty

    def _note(self, what: str, account: Account) -> None:
        self.events.append(f"{account.account_id}: {what}")

    def _set(self, account: Account, situation: Situation) -> None:
        self.simulation.world.set_situation(account.network, account.upstream, situation)
        self._note(situation, account)

    def _end_faults(self) -> None:
        world = self.simulation.world
        for platform in self.everywhere:
            world.set_platform_situation(platform, Situation.OK)
        self.everywhere.clear()
        for account in self.accounts.values():
            if account.faulty_until == self.day and not account.is_dead:
                self._set(account, Situation.OK)
            if account.is_absent and self.rng.random() < 0.3:
                account.is_absent = False
                self._set(account, Situation.OK)
            if account.is_dead and self.rng.random() < 0.4:
                self._reconnect(account, account.upstream)

    def _begin_faults(self) -> None:
        for platform, situations in _EVERYWHERE.items():
            if self.rng.random() < 0.12:
                self.everywhere[platform] = self.rng.choice(situations)
                self.simulation.world.set_platform_situation(platform, self.everywhere[platform])
                self.events.append(f"{platform}: {self.everywhere[platform]}")
        for account in self._pick(12):
            account.faulty_until = self.day + self.rng.randint(1, 3)
            self._set(account, self.rng.choice(_PASSING[account.api]))
        for account in self._pick(2, lambda one: one.api in _DEADLY):
            account.is_dead = True
            self._set(account, self.rng.choice(_DEADLY[account.api]))

    def _change_upstream(self) -> None:
        is_there = [one for one in self.accounts.values() if not one.is_absent and not one.is_gone]
        for account in self.rng.sample(is_there, min(8, len(is_there))):
            self.simulation.world.upload_new_picture(account.network, account.upstream)
            self._note("new picture", account)
        for account in self._pick(3):
            account.is_absent = True
            self._set(account, self.rng.choice(_ABSENT))
        if self.rng.random() < 0.2:
            for account in self._pick(1, lambda one: one.network == "youtube" and one.owned is not None):
                account.is_gone = True
                self._set(account, Situation.DELETED)

    def _change_app(self) -> None:
        for account in self._pick(2):
            account.is_connected = False
            account.changes_today += 1
            self.simulation.change_account(account.account_id, connected=False)
            self._note("disconnected", account)
        for account in list(self.accounts.values()):
            if not account.is_connected and self.rng.random() < 0.25:
                self._reconnect(account, account.upstream)
        for account in self._pick(2):
            self._reconnect(account, self._new_handle(account.network))
        for account in self._pick(1):
            self.simulation.delete_account(account.account_id)
            del self.accounts[account.account_id]
            self._note("deleted", account)
        if self.rng.random() < 0.2:
            self._dismiss(self.rng.choice(list(self.accounts.values())).talent_id)
        if self.rng.random() < 0.4:
            self.hire(*self.rng.sample(PRIORITY, 2))
        self._change_manual_pictures()

    def _reconnect(self, account: Account, upstream: str) -> None:
        is_other = upstream != account.upstream
        account.upstream, account.is_connected = upstream, True
        account.app_handle = upstream if is_other else account.app_handle
        self.simulation.reconnect(
            account.account_id, account.network, account.app_handle, with_token=account.api is not Platform.FACEBOOK
        )
        account.changes_today += 1
        account.is_dead = False
        if is_other:
            account.faulty_until, account.is_absent, account.is_gone = 0, False, False
        if account.faulty_until <= self.day and not account.is_absent and not account.is_gone:
            self._set(account, Situation.OK)
        self._note(f"connected as {upstream}", account)

    def _dismiss(self, talent_id: str) -> None:
        self.simulation.delete_talent(talent_id)
        self.manual.pop(talent_id, None)
        for account_id in [one.account_id for one in self.accounts.values() if one.talent_id == talent_id]:
            del self.accounts[account_id]
        self.events.append(f"{talent_id}: deleted")

    def _change_manual_pictures(self) -> None:
        """Let a talent manager choose a picture by hand, or, days later, give it up."""
        for talent_id in list(self.manual):
            if self.rng.random() < 0.2:
                del self.manual[talent_id]
                self._write_talent(talent_id, profileImageSource="initials", profileImageUrl=None)
        talents = sorted({one.talent_id for one in self.accounts.values()} - self.manual.keys())
        if self.rng.random() < 0.5:
            talent_id = self.rng.choice(talents)
            url = f"https://agency.example/{talent_id}.png"
            self._write_talent(talent_id, profileImageSource="manual", profileImageUrl=url)
            self.manual[talent_id] = self._columns()[talent_id]

    def _write_talent(self, talent_id: str, **values: Any) -> None:
        with self.simulation.engine.begin() as connection:
            connection.execute(sa.update(talent).where(talent.c.id == talent_id).values(**values))
        self.events.append(f"{talent_id}: {values['profileImageSource']}")

    def kill_a_run(self) -> None:
        """Let a run die: right after it claimed, in the middle of its reads, or before it published anything."""
        accounts = [one.account_id for one in self.accounts.values() if one.is_connected]
        some = self.rng.sample(accounts, 10)
        match self.rng.choice(["claims", "interrupted", "unpublished", "none"]):
            case "claims":
                self.simulation.leave_claims(some)
                self.killed_today |= set(some)
            case "interrupted":
                self.is_interrupted = True
                self.simulation.sync_without_publishing(interrupted_after=self.rng.uniform(0.02, 0.5))
            case "unpublished":
                self.simulation.sync_without_publishing(*{self.accounts[one].talent_id for one in some})

    # What must be true when a day has ended

    def check(self, *, since: datetime) -> None:
        """Check every invariant; ``since`` is when the day began."""
        ledger = self._rows(platform_images, "account_id")
        columns = self._columns()
        self._check_ownership(ledger)
        self._check_reads(ledger, since=since)
        self._check_columns(ledger, columns)
        self._check_calls(ledger)
        self._check_history(columns)
        self._check_store(ledger)

    def _seed_upstream(self, account: Account) -> int:
        return self.simulation.world.account(account.network, account.upstream).picture.seed

    def _check_ownership(self, ledger: dict[str, Any]) -> None:
        """A picture changed only because of something true upstream."""
        assert ledger.keys() <= self.accounts.keys(), "the ledger holds accounts that are no more"
        for account in self.accounts.values():
            row = ledger.get(account.account_id)
            picture_hash = row["picture_hash"] if row else None
            before, account.owned = account.owned, (account.upstream, picture_hash) if picture_hash else None
            if picture_hash is None:
                is_another = before is not None and before[0] != account.upstream
                may_be_none = before is None or is_another or account.is_absent or account.is_gone
                assert may_be_none, self._words("lost its picture", account, row)
            elif before is None or before[1] != picture_hash:
                is_there = not (account.is_absent or account.is_gone)
                assert is_there or not account.is_connected, self._words("got a picture that is none", account, row)
                seed = self._seed_upstream(account)
                known = self.seed_of_hash.setdefault(picture_hash, seed)
                assert known == seed, self._words("got another picture than it has", account, row)

    def _check_reads(self, ledger: dict[str, Any], *, since: datetime) -> None:
        """Who can be read was read today, and what we own of it is what it shows."""
        for account in self.accounts.values():
            if not self._must_be_fresh(account):
                continue
            row = ledger[account.account_id]
            if account.is_gone:
                assert row["outcome"] in {"gone", "unconfirmed"}, self._words("is not gone", account, row)
                continue
            if row["outcome"] in _WAITS_THAT_GROW and row["next_read_at"] > self.simulation.clock():
                continue
            assert row["read_at"] >= since, self._words("was left out", account, row)
            if account.is_absent:
                is_taken_back = row["picture_hash"] is None or row["outcome"] == "unconfirmed"
                assert is_taken_back, self._words("keeps a picture that is none", account, row)
                continue
            if row["outcome"] == "refused" and row["refused_at"] > since - REFUSED_BYTES_WAIT:
                # The same picture whose bytes were refused is not downloaded again within a week.
                continue
            assert row["outcome"] in {"picture", "unchanged"}, self._words("could not be read", account, row)
            seed = self.seed_of_hash.get(row["picture_hash"])
            assert seed == self._seed_upstream(account), self._words("has an old picture", account, row)

    def _must_be_fresh(self, account: Account) -> bool:
        is_well = account.is_connected and not account.is_dead and account.faulty_until <= self.day
        is_reachable = account.api not in self.everywhere and account.account_id not in self.killed_today
        return is_well and is_reachable and account.talent_id not in self.manual

    def _check_columns(self, ledger: dict[str, Any], columns: dict[str, tuple[Any, ...]]) -> None:
        """What is shown is the first picture that we own, of accounts connected now; what is manual is as it was."""
        by_talent: dict[str, list[Account]] = {}
        for account in self.accounts.values():
            by_talent.setdefault(account.talent_id, []).append(account)
        for talent_id, shown in columns.items():
            if talent_id in self.manual:
                assert shown == self.manual[talent_id], f"day {self.day}: {talent_id}'s manual picture was touched"
                continue
            best = self._best(by_talent.get(talent_id, ()), ledger)
            assert shown[:2] == best, f"day {self.day}: {talent_id} shows {shown}, not {best}; {self.events}"

    def _best(self, accounts: Iterable[Account], ledger: dict[str, Any]) -> tuple[str, str | None]:
        for account in sorted(accounts, key=lambda one: PRIORITY.index(one.network)):
            if account.is_connected and account.owned is not None and account.account_id in ledger:
                return account.network, f"{PUBLIC_URL}/images/{account.owned[1]}/256.webp"
        return "initials", None

    def _check_calls(self, ledger: dict[str, Any]) -> None:
        """Who was well was asked for once, once more for each change by the app, and where the answer was cut off."""
        for account in self.accounts.values():
            if not self._must_be_fresh(account) or account.is_gone:
                continue
            calls = self.simulation.calls_about(account.upstream)
            reads = sum(calls[endpoint] for endpoint in _READS)
            row = ledger[account.account_id]
            most = 1 + account.changes_today + self.is_interrupted
            assert reads <= most, self._words(f"was asked for {reads} times", account, row)
            changed_at = row["changed_at"]
            is_new = changed_at is not None and row["read_at"] - changed_at < timedelta(hours=12)
            downloads = calls[f"{account.network}.picture"]
            assert downloads <= is_new * (1 + self.is_interrupted), self._words(
                f"was downloaded {downloads} times", account, row
            )

    def _check_history(self, columns: dict[str, tuple[Any, ...]]) -> None:
        """The versions of a talent follow each other without a gap, and the last one is what is shown."""
        statement = sa.select(profile_image_versions).order_by(profile_image_versions.c.id)
        with self.simulation.engine.connect() as connection:
            versions = list(connection.execute(statement).mappings())
        last: dict[str, sa.RowMapping] = {}
        for version in versions:
            talent_id = version["talent_id"]
            before = last.get(talent_id)
            if before is not None:
                assert before["valid_to"] == version["valid_from"], f"a gap in the history of {talent_id}"
                is_same = (before["source"], before["picture_hash"]) == (version["source"], version["picture_hash"])
                assert not is_same, f"a version of {talent_id} without a change"
            assert version["valid_to"] is None or version["valid_to"] >= version["valid_from"]
            last[talent_id] = version
        for talent_id, shown in columns.items():
            if talent_id in self.manual:
                continue
            if talent_id not in last:
                assert shown[:2] == ("initials", None)
                continue
            version = last[talent_id]
            url = version["picture_hash"] and f"{PUBLIC_URL}/images/{version['picture_hash']}/256.webp"
            assert (version["valid_to"], version["source"], url) == (None, *shown[:2]), talent_id

    def _check_store(self, ledger: dict[str, Any]) -> None:
        """Every picture that anything refers to has all its renditions."""

        async def complete() -> set[str]:
            stored = self.simulation.store.list_pictures()
            return {picture.content_hash async for picture in stored if picture.is_complete}

        referred = {row["picture_hash"] for row in ledger.values() if row["picture_hash"]}
        with self.simulation.engine.connect() as connection:
            referred |= set(connection.scalars(sa.select(pictures.c.hash)))
        assert referred <= self.simulation.portal.call(complete)

    def _rows(self, table: sa.Table, key: str) -> dict[str, Any]:
        with self.simulation.engine.connect() as connection:
            return {row[key]: row for row in connection.execute(sa.select(table)).mappings()}

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        columns = (talent.c.id, talent.c.profileImageSource, talent.c.profileImageUrl, talent.c.lastProfileImageSyncAt)
        with self.simulation.engine.connect() as connection:
            return {row[0]: tuple(row[1:]) for row in connection.execute(sa.select(*columns))}

    def _words(self, what: str, account: Account, row: Any) -> str:
        events = [event for event in self.events if event.startswith(account.account_id)]
        return f"day {self.day}: {account} {what}; today {events}, {self.everywhere}; ledger {dict(row or {})}"

    # At the end of all days

    def mend_everything(self) -> None:
        """Let all faults be over, whatever needs a talent be reconnected, and every TikTok pair be renewed once."""
        self.everywhere.clear()
        world = self.simulation.world
        for platform in Platform:
            world.set_platform_situation(platform, Situation.OK)
        for account in self.accounts.values():
            account.faulty_until = 0
            if not account.is_absent and not account.is_gone:
                world.set_situation(account.network, account.upstream, Situation.OK)
            if account.is_dead:
                self._reconnect(account, account.upstream)
        self._expire_tokens(one.account_id for one in self.accounts.values() if one.network == "tiktok")

    def _expire_tokens(self, account_ids: Iterable[str]) -> None:
        expired = {"expiresAt": self.simulation.clock() - DAY}
        ids: Sequence[str] = list(account_ids)
        with self.simulation.engine.begin() as connection:
            row = social_account_connection.c.id.in_(ids)
            connection.execute(sa.update(social_account_connection).where(row).values(expired))
