"""What every platform client speaks: an account in, one of the closed outcomes out.

What belongs here: the plain types between the platforms and everything that uses them.
What does not: any one network's wire contract (one file per network beside this one), and what an outcome means for
the picture that we own (``sync/outcome_rules.py``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, model_validator

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.platforms.transport import ApiTransport

#: Stands in a remembered id between the id and the name by which it was found.
FOUND_VIA = " via "


class Outcome(StrEnum):
    """The closed set that every answer of a platform, however odd, is turned into."""

    PICTURE = "picture"
    UNCHANGED = "unchanged"
    NO_PICTURE = "no_picture"
    UNCONFIRMED = "unconfirmed"
    GONE = "gone"
    NEEDS_RECONNECT = "needs_reconnect"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    HIDDEN = "hidden"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"


class Scope(StrEnum):
    """Whom an answer speaks of."""

    #: This account, its token or its id: nothing follows for any other account.
    ACCOUNT = "account"
    #: Everything that counts against the same quota.
    PLATFORM = "platform"


@dataclass(frozen=True, kw_only=True)
class Account:
    """One connected social account, as a client may know it.

    Attributes:
        account_id: The app's id of the connection.
        handle: As the app stores it: with or without ``@``, or a channel id.
        profile_url: The public page, where the app has it.
        access_token: The talent's own token, where the account was connected with one.
        refresh_token: For the networks that hand one out.
        token_expires_at: When the access token dies, as the app's row says.
        upstream_id: The network's own id of this account, remembered from an earlier read under the same handle.
        content_id: The network's id of the picture that we own of this account; none when we own none.
    """

    account_id: str
    handle: str
    profile_url: str | None = None
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    token_expires_at: datetime | None = None
    upstream_id: str | None = None
    content_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class PictureReference:
    """Where a platform says a picture is. The address is a bearer secret: it is never stored, logged or shown.

    Attributes:
        url: Its address.
        content_id: The platform's id of the picture, where it gives one.
        expires_at: When the address dies, where it says so.
        may_be_letter_avatar: Whether the platform draws a letter for people without a picture, and says nothing of it.
    """

    url: SecretStr
    content_id: str | None
    expires_at: datetime | None = None
    may_be_letter_avatar: bool = False


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a platform says of one account now.

    Attributes:
        outcome: Which of the closed outcomes it is.
        message: One sentence for the data team, free of secrets. For ``needs_reconnect`` it says what the talent
            must do.
        picture: Present with ``picture`` and ``unchanged``.
        upstream_id: The network's own id of the account, to be remembered as it is. ``kind:id`` where a network has
            several kinds of id, ``id via name`` where it was found by a name (:func:`is_other_account`).
        also_known_as: Further ids that the same answer gives the same account, of other kinds.
        retry_at: With ``rate_limited``: until when; none when the platform did not say. With ``unavailable``: set only
            where the platform named a time before which no try is welcome.
        scope: With ``rate_limited``: whether the whole quota is exhausted or this token's share alone. With
            ``misconfigured``: whether every call is refused like this, or so far this account's alone; what one
            account hears holds for the platform once a second account hears it. With ``unavailable``: ``account``
            where the platform did answer, so that nothing follows for its health.
        is_retryable: With ``unavailable``: whether another try in the same run may help.
        is_token_refused: With ``needs_reconnect``: the access token was refused; refreshing it once may help.
        is_read_daily: With ``needs_reconnect``: what the message asks for is done on the network itself, where the app
            sees no change (a security check to pass, a handle to claim), so the account is read again next day.
        suggests: With ``unconfirmed``: what the answer amounts to once a read on a later day says the same,
            ``no_picture`` or ``gone``.
    """

    outcome: Outcome
    message: str
    picture: PictureReference | None = None
    upstream_id: str | None = None
    also_known_as: tuple[str, ...] = ()
    retry_at: datetime | None = None
    scope: Scope = Scope.PLATFORM
    is_retryable: bool = False
    is_token_refused: bool = False
    is_read_daily: bool = False
    suggests: Outcome | None = None


def is_other_account(remembered: str | None, reading: Reading) -> bool:
    """Whether an answer is of another account than the one whose id is remembered.

    Only ids of one kind compare: an answer that gives none of the remembered kind says nothing. The name by which an id
    was found does not count.
    """
    comparable = _comparable_ids(remembered, reading)
    return bool(comparable) and remembered is not None and _bare_id(remembered) not in comparable


def is_known_account(remembered: str | None, reading: Reading) -> bool:
    """Whether an answer is of the very account whose id is remembered; ids compare as in :func:`is_other_account`."""
    return remembered is not None and _bare_id(remembered) in _comparable_ids(remembered, reading)


def _comparable_ids(remembered: str | None, reading: Reading) -> list[str]:
    """Return the ids in an answer that are of the remembered one's kind."""
    if remembered is None:
        return []
    given = [_bare_id(found) for found in (reading.upstream_id, *reading.also_known_as) if found]
    return [found for found in given if _kind_of_id(found) == _kind_of_id(_bare_id(remembered))]


def _bare_id(upstream_id: str) -> str:
    return upstream_id.partition(FOUND_VIA)[0]


def _kind_of_id(bare_id: str) -> str:
    kind, separator, _ = bare_id.partition(":")
    return kind if separator else ""


@dataclass(frozen=True, kw_only=True)
class QuotaUsage:
    """What the platform reports of a quota after a call: per cent used, and when it is regained if it is exhausted."""

    percent: float
    regain_at: datetime | None = None
    is_platform_wide: bool = True


@dataclass(frozen=True, kw_only=True)
class Call:
    """One planned API call: the accounts that it reads, the quota it counts against and what it costs there."""

    accounts: tuple[Account, ...]
    quota: str
    cost: int = 1


@dataclass(frozen=True, kw_only=True)
class CallResult:
    """What a call brought.

    Attributes:
        readings: One for each of the call's accounts, in the same order.
        usage: What the platform reported of the quota; none where it reported nothing.
        must_split: The platform refused the whole call because of one of its accounts and did not say which. The
            others are only read when the call's halves are planned and made instead, each at its own cost, down to
            one account. Never set for a call that cannot be divided further.
    """

    readings: tuple[Reading, ...]
    usage: QuotaUsage | None = None
    must_split: bool = False


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A documented limit of a platform.

    Attributes:
        name: As used in :class:`Call` and in the ``platform_quotas`` table.
        calls: How many calls fit into ``per_seconds``.
        per_seconds: The length of the window, in seconds.
        units_per_day: A daily budget counted over all runs; none where there is none.
        day_timezone: The IANA zone whose midnight resets the daily budget.
    """

    name: str
    calls: int
    per_seconds: float
    units_per_day: int | None = None
    day_timezone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class RefreshedToken:
    """A new token pair, to be stored before anything uses it. A part that is none stays as it was."""

    access_token: SecretStr
    expires_at: datetime
    refresh_token: SecretStr | None = None
    consent_ends_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TokenRefresh:
    """How a token refresh ended: a new pair, or the outcome that the account has instead."""

    token: RefreshedToken | None = None
    failure: Reading | None = None


def _as_web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError("It is not an http(s) address; write it like https://example.com")
    return value.rstrip("/")


#: An http(s) address, which may carry a path; kept without a slash at its end.
WebAddress = Annotated[str, AfterValidator(_as_web_address)]


class PlatformSettings(BaseModel):
    """What an operator can set for one platform; a platform's own class names the fields.

    A field's name in capitals is the name of its environment variable. Every field has a default; those whose default
    is none are credentials, and a blank value counts as none. Addresses of APIs end in ``_api_url``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        stripped = {name: _stripped(value) for name, value in values.items()}
        return {name: value for name, value in stripped.items() if value is not None}


def _stripped(value: object) -> object:
    """Strip a text or a secret; a blank one is none."""
    if isinstance(value, SecretStr):
        text = value.get_secret_value().strip()
        return SecretStr(text) if text else None
    return (value.strip() or None) if isinstance(value, str) else value


class PlatformClient(Protocol):
    """Speaks one network's wire contract; holds no state between calls."""

    def plan_calls(self, accounts: Sequence[Account]) -> list[Call]:
        """Group accounts into the fewest calls. Accounts that need no call at all are in a call of cost 0."""
        ...

    async def read(self, call: Call) -> CallResult:
        """Make one call and turn whatever comes back into readings. Raises nothing that a platform can cause."""
        ...

    def needs_token_refresh(self, account: Account, *, now: datetime, refreshed_at: datetime | None) -> bool:
        """Whether the account's token is to be refreshed before it is read."""
        ...

    async def refresh_token(self, account: Account) -> TokenRefresh:
        """Ask the platform for a new token pair."""
        ...


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One network, as the rest of the pipeline knows it.

    Attributes:
        name: In lower case, as in the ledger and in ``profileImageSource``.
        label: As people write it.
        kind: The name of its icon in Dagster's catalogue; one that Dagster does not know is shown as a plain word.
        settings: Its settings, of which :attr:`build_client` takes an instance.
        probe: The handle of a public account, best the network's own, by which a client is asked what it could read.
        picture_hosts: Hosts of the network's own pictures: exact names, or ``.suffix`` for everything below a name.
        quotas: The limits that its calls count against.
        concurrency: How many calls at once serve it best.
        build_client: Makes a client of the settings that sends through the given transport.
    """

    name: str
    label: str
    kind: str
    settings: type[PlatformSettings]
    probe: str
    picture_hosts: tuple[str, ...]
    quotas: tuple[Quota, ...]
    concurrency: int
    build_client: Callable[[Any, ApiTransport, Clock], PlatformClient]

    def open_client(self, values: Mapping[str, Any], transport: ApiTransport, clock: Clock) -> PlatformClient:
        """Make a client with this platform's part of all platforms' settings."""
        return self.build_client(self.settings.model_validate(dict(values)), transport, clock)
