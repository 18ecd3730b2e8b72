"""Whom a measured sync is about: talents, their accounts in the app and at the sandbox.

What belongs here: the mixes of platforms.
What does not: running a sync over them (``syncing.py``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.databases import AppAccount
from benchmarks.platforms import Sandbox
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.sandbox.situations import Network
from talent_image_pipeline.sandbox.world import Credentials, account_id_of, connected_credentials

#: Of 100 talents: those with TikTok alone, with YouTube alone, and with an Instagram account without a picture and a
#: YouTube channel that stands in for it. The rest has Instagram.
_TIKTOK_SHARE, _YOUTUBE_SHARE, _FAILING_OVER_SHARE = 15, 15, 10


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Talents to sync.

    Attributes:
        name: For reports.
        talents: How many.
        accounts: Theirs.
        without_picture: Handles of Instagram accounts that have no picture.
    """

    name: str
    talents: int
    accounts: tuple[AppAccount, ...]
    without_picture: tuple[str, ...] = ()

    def accounts_on(self, platform: str) -> list[AppAccount]:
        """Return the accounts on one platform."""
        return [account for account in self.accounts if account.platform == platform]

    def add_to(self, sandbox: Sandbox) -> None:
        """Let the sandbox hold all accounts."""
        for network in Network:
            count = len(self.accounts_on(network))
            if count:
                sandbox.add_accounts(network, prefix=self.name, count=count)
        for handle in self.without_picture:
            sandbox.remove_picture(Network.INSTAGRAM, handle)


def instagram_only(name: str, *, talents: int) -> Scenario:
    """Return talents with one Instagram account each."""
    numbers = range(talents)
    return Scenario(name=name, talents=talents, accounts=tuple(_accounts(name, Network.INSTAGRAM, numbers, numbers)))


def mixed(name: str, *, talents: int) -> Scenario:
    """Return talents of all platforms: 60 % Instagram, 15 % TikTok, 15 % YouTube, 10 % failing over to YouTube."""
    tiktok, youtube, failing = (
        talents * share // 100 for share in (_TIKTOK_SHARE, _YOUTUBE_SHARE, _FAILING_OVER_SHARE)
    )
    on_instagram = range(talents - tiktok - youtube)
    failing_over = on_instagram[len(on_instagram) - failing :]
    on_tiktok = range(len(on_instagram), len(on_instagram) + tiktok)
    on_youtube = [*range(on_tiktok.stop, talents), *failing_over]
    return Scenario(
        name=name,
        talents=talents,
        accounts=(
            *_accounts(name, Network.INSTAGRAM, on_instagram, range(len(on_instagram))),
            *_accounts(name, Network.TIKTOK, on_tiktok, range(tiktok)),
            *_accounts(name, Network.YOUTUBE, on_youtube, range(len(on_youtube))),
        ),
        without_picture=tuple(_handle(name, number) for number in failing_over),
    )


def _accounts(name: str, network: Network, talents: Sequence[int], numbers: Sequence[int]) -> list[AppAccount]:
    accounts = []
    for talent, number in zip(talents, numbers, strict=True):
        handle = _handle(name, number)
        tokens = _tokens(network, handle)
        accounts.append(
            AppAccount(
                talent_id=f"{name}-{talent:05d}",
                platform=str(network),
                handle=f"@{handle}",
                access_token=tokens.access_token if tokens else None,
                refresh_token=tokens.refresh_token if tokens else None,
                expires_at=tokens.expires_at if tokens else None,
            )
        )
    return accounts


def _tokens(network: Network, handle: str) -> Credentials | None:
    if network is Network.YOUTUBE:
        return None
    return connected_credentials(network, account_id_of(network, handle), consented_at=utc_now())


def _handle(name: str, number: int) -> str:
    return f"{name}_{number:05d}"


MIXES: Mapping[str, Callable[..., Scenario]] = {"instagram": instagram_only, "mixed": mixed}
"""The mixes of platforms that syncs are compared on, by name."""
