"""The state behind the sandbox: accounts, what is the matter with them, clock, limits and the calls that came.

What belongs here: what is true of the sandbox's world whoever asks, and how a program changes it.
What does not: how a network says it (``graph_api.py``, ``tiktok.py``, ``youtube.py``), and HTTP (``control.py``).
"""

import base64
import hashlib
import json
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from talent_image_pipeline.sandbox.portraits import Picture
from talent_image_pipeline.sandbox.situations import Network, PictureKind, Platform, Situation
from talent_image_pipeline.sandbox.tokens import (
    INSTAGRAM_PREFIX,
    TIKTOK_ACCESS_PREFIX,
    TIKTOK_REFRESH_PREFIX,
    Claims,
    digest_number,
    epoch_seconds,
    moment_of,
    write_token,
)

AGENCY_ACCOUNT_ID = "17841400000000001"
AGENCY_TOKEN = "EAASandboxAgencyToken"  # noqa: S105 - guards nothing real
TIKTOK_CLIENT_KEY = "sandbox-client-key"
TIKTOK_CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - guards nothing real
YOUTUBE_API_KEY = "sandbox-youtube-key"

INSTAGRAM_TOKEN_LIFETIME = timedelta(days=60)
YOUTUBE_DAY = ZoneInfo("America/Los_Angeles")

Clock = Callable[[], datetime]


class UnknownAccountError(LookupError):
    """The sandbox has no such account; the message names it."""


def utc_now() -> datetime:
    """Return the real time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What is the matter with an account or a platform.

    Attributes:
        situation: Which of the known situations it is.
        seconds: How long a slow answer takes.
        redirect_to: Where a redirect leads.
        error: Which error a named one is, as its network writes it; empty: a passing one.
    """

    situation: Situation = Situation.OK
    seconds: float = 5.0
    redirect_to: str = "http://127.0.0.1:1/"
    error: str = ""


NO_TROUBLE = Trouble()


@dataclass(kw_only=True, slots=True)
class Account:
    """One account of a network.

    Attributes:
        network: Where it is.
        handle: Its name there, in lower case, without ``@``.
        account_id: The network's own id: Instagram's user id, TikTok's open_id, YouTube's channel id.
        name: What the network shows as its name.
        picture: The picture that is set.
        trouble: What is the matter with it.
        consent_ends_at: When the talent's newest consent ends, in epoch seconds; 0 before any token was seen.
        generation: How often TikTok's pair was rotated since that consent.
        revoked_until: Consents that end at or before this moment, in epoch seconds, were revoked.
    """

    network: Network
    handle: str
    account_id: str
    name: str
    picture: Picture
    trouble: Trouble = NO_TROUBLE
    consent_ends_at: int = 0
    generation: int = 0
    revoked_until: int = 0


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the app stores of an account after its talent connected it."""

    access_token: str
    refresh_token: str | None
    expires_at: datetime


@dataclass(kw_only=True)
class PlatformState:
    """How one of the APIs behaves.

    Attributes:
        trouble: What is the matter with the whole platform.
        api_latency: Seconds that each API call takes.
        image_latency: Seconds that each picture takes.
        limit: Calls in the platform's own window (Facebook's hour, TikTok's minute, YouTube's day); none: no limit.
        usage_percent: What Meta's usage headers say whatever was used; none: what was used.
    """

    trouble: Trouble = NO_TROUBLE
    api_latency: float = 0.0
    image_latency: float = 0.0
    limit: int | None = None
    usage_percent: int | None = None


@dataclass(kw_only=True)
class Rules:
    """Where the platforms were seen to behave in more than one way, or changed: which way the sandbox takes.

    Attributes:
        instagram_wraps_in_data: Whether ``/me`` answers ``{"data": [...]}`` instead of a flat object.
        tiktok_access_seconds: Life of an access token; 86,400 in TikTok's older documentation.
        tiktok_consent_seconds: Life of a consent; 31,536,000 in TikTok's older documentation.
        tiktok_oauth_error_status: HTTP status of the token endpoint's errors, 200 or 400: none is documented.
        youtube_has_old_key_error: Whether a wrong key is ``keyInvalid`` instead of ``API_KEY_INVALID``.
        youtube_sends_empty_items: Whether an answer without channels has ``"items": []`` instead of no items.
    """

    instagram_wraps_in_data: bool = False
    tiktok_access_seconds: int = 7_200
    tiktok_consent_seconds: int = 15_552_000
    tiktok_oauth_error_status: int = 400
    youtube_has_old_key_error: bool = False
    youtube_sends_empty_items: bool = False


class CallLog:
    """Counts the requests that came, by endpoint and account. Safe to read from another thread."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def record(self, endpoint: str, handle: str = "") -> None:
        """Count one request, or one item of a batch; the handle is empty where a request is about no one account."""
        with self._lock:
            self._counts[endpoint, handle] += 1

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the counts by endpoint and handle."""
        with self._lock:
            found = sorted(self._counts.items())
        by_endpoint: dict[str, dict[str, int]] = {}
        for (endpoint, handle), count in found:
            by_endpoint.setdefault(endpoint, {})[handle] = count
        return by_endpoint

    def total(self, endpoint: str, handle: str | None = None) -> int:
        """Return how many requests came to an endpoint, for one handle or for all."""
        of_endpoint = self.counts().get(endpoint, {})
        return sum(of_endpoint.values()) if handle is None else of_endpoint.get(handle, 0)

    def clear(self) -> None:
        """Forget every request."""
        with self._lock:
            self._counts.clear()


class SlidingWindow:
    """Counts calls within the last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: deque[float] = deque()

    def add(self, moment: datetime) -> int:
        """Count a call and return how many there are in the window, this one included."""
        now = moment.timestamp()
        self._calls.append(now)
        while self._calls and self._calls[0] <= now - self._seconds:
            self._calls.popleft()
        return len(self._calls)


class World:
    """Everything that the sandbox knows.

    Args:
        clock: Where the time comes from; :attr:`clock_offset` is added.
        state_file: Where rotated tokens are kept over restarts; none keeps them in memory alone.

    Attributes:
        calls: The requests that came.
        platforms: How each of the APIs behaves.
        rules: Which of several observed behaviours is taken.
        clock_offset: Moves the sandbox's time.
    """

    def __init__(self, *, clock: Clock = utc_now, state_file: Path | None = None) -> None:
        self._clock = clock
        self._state_file = state_file
        self._saved = _saved_state(state_file)
        self._by_handle: dict[tuple[Network, str], Account] = {}
        self._by_id: dict[tuple[Network, str], Account] = {}
        self._uploads: dict[tuple[Network, str], tuple[Account, Picture]] = {}
        self._lock = threading.RLock()
        self.clock_offset = timedelta()
        self.calls = CallLog()
        self.rules = Rules()
        self.platforms = {
            Platform.INSTAGRAM: PlatformState(),
            Platform.FACEBOOK: PlatformState(limit=200),
            Platform.TIKTOK: PlatformState(limit=600),
            Platform.YOUTUBE: PlatformState(limit=10_000),
        }
        self.facebook_hour = SlidingWindow(3_600)
        self.tiktok_minute = SlidingWindow(60)
        self._youtube_units: Counter[str] = Counter()

    def now(self) -> datetime:
        """Return the sandbox's time, aware, in UTC."""
        return self._clock() + self.clock_offset

    def add_account(
        self,
        network: Network | str,
        handle: str,
        *,
        name: str | None = None,
        picture: Picture | None = None,
        situation: Situation | str = Situation.OK,
    ) -> Account:
        """Add an account; the same handle always gets the same id, and the same picture unless another is given.

        Raises:
            ValueError: when the handle is empty or taken on that network.
        """
        network, key = Network(network), _normal(handle)
        if not key:
            raise ValueError("the handle is empty")
        account = Account(
            network=network,
            handle=key,
            account_id=account_id_of(network, key),
            name=name or handle,
            picture=picture or Picture(seed=_seed_of(key)),
            trouble=Trouble(situation=Situation(situation)),
        )
        account.consent_ends_at, account.generation, account.revoked_until = self._saved.get(
            f"{network}/{key}", (0, 0, 0)
        )
        with self._lock:
            if (network, key) in self._by_handle:
                raise ValueError(f"{network} has an account {key!r} already")
            self._by_handle[network, key] = account
            self._by_id[network, account.account_id] = account
        return account

    def add_bulk(
        self, network: Network | str, count: int, *, prefix: str = "talent", picture_size: int = 320
    ) -> list[Account]:
        """Add many accounts, named ``<prefix>_00000`` and on, with cheap and distinct pictures.

        Args:
            network: Where to add them.
            count: How many.
            prefix: What their handles start with.
            picture_size: The side of their pictures, in pixels.
        """
        return [
            self.add_account(
                network,
                f"{prefix}_{number:05d}",
                picture=Picture(kind=PictureKind.CROWD, seed=_seed_of(f"{prefix}{number}"), size=picture_size),
            )
            for number in range(count)
        ]

    def account(self, network: Network | str, handle: str) -> Account:
        """Return an account by its handle.

        Raises:
            UnknownAccountError: when there is none.
        """
        found = self.find(Network(network), handle)
        if found is None:
            raise UnknownAccountError(f"the sandbox has no {network} account {handle!r}")
        return found

    def find(self, network: Network, handle: str) -> Account | None:
        """Return an account by its handle, or none."""
        return self._by_handle.get((network, _normal(handle)))

    def find_by_id(self, network: Network, account_id: str) -> Account | None:
        """Return an account by the network's own id, or none."""
        return self._by_id.get((network, account_id))

    def accounts(self) -> Iterator[Account]:
        """Give every account, in the order in which they were added."""
        with self._lock:
            return iter(list(self._by_handle.values()))

    def set_situation(
        self,
        network: Network | str,
        handle: str,
        situation: Situation | str,
        *,
        seconds: float = NO_TROUBLE.seconds,
        redirect_to: str = NO_TROUBLE.redirect_to,
        error: str = NO_TROUBLE.error,
    ) -> None:
        """Say what is the matter with an account from now on.

        Raises:
            UnknownAccountError: when there is no such account.
            ValueError: when there is no such situation.
        """
        trouble = Trouble(situation=Situation(situation), seconds=seconds, redirect_to=redirect_to, error=error)
        self.account(network, handle).trouble = trouble

    def set_platform_situation(
        self,
        platform: Platform | str,
        situation: Situation | str,
        *,
        seconds: float = NO_TROUBLE.seconds,
        redirect_to: str = NO_TROUBLE.redirect_to,
        error: str = NO_TROUBLE.error,
    ) -> None:
        """Say what is the matter with a whole platform from now on; it wins over what its accounts have."""
        trouble = Trouble(situation=Situation(situation), seconds=seconds, redirect_to=redirect_to, error=error)
        self.platforms[Platform(platform)].trouble = trouble

    def set_latency(self, *, api: float, image: float) -> None:
        """Let every API call and every picture of all platforms take that many seconds."""
        for state in self.platforms.values():
            state.api_latency, state.image_latency = api, image

    def upload_new_picture(self, network: Network | str, handle: str) -> None:
        """Give an account another portrait, as if its talent had uploaded one."""
        account = self.account(network, handle)
        kind = PictureKind.CROWD if account.picture.kind is PictureKind.CROWD else PictureKind.PORTRAIT
        account.picture = replace(
            account.picture, kind=kind, seed=account.picture.seed + 1, upload=account.picture.upload + 1
        )

    def give_handle_away(self, network: Network | str, handle: str) -> Account:
        """Delete an account and give its handle to another one, as when a network hands out a name that became free.

        Raises:
            UnknownAccountError: when there is no such account.
        """
        gone = self.account(network, handle)
        gone.trouble = Trouble(situation=Situation.DELETED)
        key = f"{gone.handle} after {gone.account_id}"
        successor = replace(
            gone,
            account_id=account_id_of(gone.network, key),
            name=f"Another {gone.name}",
            picture=Picture(seed=_seed_of(key)),
            trouble=NO_TROUBLE,
        )
        with self._lock:
            self._by_handle[gone.network, gone.handle] = successor
            self._by_id[gone.network, successor.account_id] = successor
        return successor

    def connect(self, network: Network | str, handle: str, *, age: timedelta = timedelta()) -> Credentials:
        """Hand out tokens as if the talent had consented that long ago.

        Raises:
            UnknownAccountError: when there is no such account.
            ValueError: for YouTube, which is read with an API key.
        """
        account = self.account(network, handle)
        return connected_credentials(
            account.network, account.account_id, consented_at=self.now() - age, rules=self.rules
        )

    def trouble_of(self, platform: Platform, account: Account | None) -> Trouble:
        """Return what is the matter: with the platform if anything is, else with the account."""
        of_platform = self.platforms[platform].trouble
        if of_platform.situation is not Situation.OK or account is None:
            return of_platform
        return account.trouble

    def keep_upload(self, account: Account, content_id: str, picture: Picture) -> None:
        """Remember which picture an image host shows under an id: earlier ones stay, as addresses of them may."""
        self._uploads[account.network, content_id] = (account, picture)

    def upload(self, network: Network, content_id: str) -> tuple[Account, Picture] | None:
        """Return the picture with that id and whose it is, or none."""
        return self._uploads.get((network, content_id))

    def spend_youtube_unit(self) -> bool:
        """Count one unit and return whether it was still within the day's units; a day begins at midnight Pacific."""
        day = self.now().astimezone(YOUTUBE_DAY).date().isoformat()
        self._youtube_units[day] += 1
        limit = self.platforms[Platform.YOUTUBE].limit
        return limit is None or self._youtube_units[day] <= limit

    def youtube_units_today(self) -> int:
        """Return how many units were spent since midnight Pacific."""
        return self._youtube_units[self.now().astimezone(YOUTUBE_DAY).date().isoformat()]

    def rotate(self, account: Account) -> None:
        """Kill the account's refresh token in favour of the next, on disk before this returns."""
        account.generation += 1
        self._save()

    def revoke(self, account: Account) -> None:
        """Kill every token of the account; a later consent starts anew."""
        account.revoked_until = max(account.consent_ends_at, account.revoked_until)
        self._save()

    def _save(self) -> None:
        if self._state_file is None:
            return
        with self._lock:
            for account in self._by_handle.values():
                if account.generation or account.revoked_until:
                    state = (account.consent_ends_at, account.generation, account.revoked_until)
                    self._saved[f"{account.network}/{account.handle}"] = state
            _write_atomically(self._state_file, json.dumps(self._saved, indent=1, sort_keys=True))


def connected_credentials(
    network: Network, account_id: str, *, consented_at: datetime, rules: Rules | None = None
) -> Credentials:
    """Return the tokens of an account whose talent consented at that moment.

    Args:
        network: Instagram (one token of 60 days) or TikTok (a pair).
        account_id: The network's own id of the account.
        consented_at: When, aware; tokens of long ago are expired ones.
        rules: How long TikTok's tokens live.

    Raises:
        ValueError: for YouTube, which is read with an API key.
    """
    issued_at = epoch_seconds(consented_at)
    if network is Network.INSTAGRAM:
        expires_at = issued_at + int(INSTAGRAM_TOKEN_LIFETIME.total_seconds())
        claims = Claims(account=account_id, issued_at=issued_at, expires_at=expires_at)
        return Credentials(
            access_token=write_token(INSTAGRAM_PREFIX, claims), refresh_token=None, expires_at=moment_of(expires_at)
        )
    if network is not Network.TIKTOK:
        raise ValueError("YouTube channels are read with an API key; they have no tokens")
    rules = rules or Rules()
    return tiktok_pair(
        account_id,
        issued_at=issued_at,
        access_seconds=rules.tiktok_access_seconds,
        consent_ends_at=issued_at + rules.tiktok_consent_seconds,
        generation=0,
    )


def tiktok_pair(
    account_id: str, *, issued_at: int, access_seconds: int, consent_ends_at: int, generation: int
) -> Credentials:
    """Write a pair of TikTok tokens; moments in epoch seconds."""
    access = Claims(
        account=account_id,
        issued_at=issued_at,
        expires_at=min(issued_at + access_seconds, consent_ends_at),
        generation=generation,
        consent_ends_at=consent_ends_at,
    )
    return Credentials(
        access_token=write_token(TIKTOK_ACCESS_PREFIX, access),
        refresh_token=write_token(TIKTOK_REFRESH_PREFIX, replace(access, expires_at=consent_ends_at)),
        expires_at=moment_of(access.expires_at),
    )


def account_id_of(network: Network, handle: str) -> str:
    """Return the network's own id of a handle: the same in every sandbox."""
    key = _normal(handle)
    digest = hashlib.sha256(f"{network}/{key}".encode()).digest()
    if network is Network.INSTAGRAM:
        return "17841" + digest_number(key, 12)
    if network is Network.TIKTOK:
        return "-000" + base64.urlsafe_b64encode(digest[:24]).decode()
    return "UC" + base64.urlsafe_b64encode(digest)[:22].decode()


def _normal(handle: str) -> str:
    # As YouTube tells handles apart: ``ß`` and ``ss`` are two.
    return handle.strip().removeprefix("@").lower()


def _seed_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def _saved_state(state_file: Path | None) -> dict[str, tuple[int, int, int]]:
    if state_file is None or not state_file.exists():
        return {}
    try:
        saved = json.loads(state_file.read_text(encoding="utf-8"))
        return {key: (int(consent), int(turn), int(until)) for key, (consent, turn, until) in saved.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{state_file} is no state of the sandbox; delete it and start again") from error


def _write_atomically(path: Path, text: str) -> None:
    """Put a text in place such that a crash leaves the old file or the new one, never a part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    # What it holds decides which tokens are alive: nobody else's to read.
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
