"""One TikTok account on the sandbox, whose token refreshes a test holds back, lets go or breaks.

What belongs here: the account on both sides, the sandbox's and the app's, and whether the app's pair of tokens works.
What does not: how TikTok rotates (the sandbox), and what a run or a keeper does about it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import anyio
import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import load_accounts
from talent_image_pipeline.database.ledger_queries import claim_accounts
from talent_image_pipeline.database.tables import platform_images
from talent_image_pipeline.platforms.contract import Account, Outcome
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline.sandbox.server import running_sandbox
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import Account as SandboxAccount
from talent_image_pipeline.sandbox.world import Clock, Credentials, Trouble, World, utc_now
from talent_image_pipeline.settings import load_settings
from talent_image_pipeline_tests.rows import insert_account, insert_talent

ACCOUNT = "account-1"
HANDLE = "ada"

#: As long as an access token lives: the first one is dead, and a read needs the refreshed one.
AGE_OF_FIRST_PAIR = timedelta(hours=2)
#: Less than the ten seconds after which a client takes an answer for lost.
LONGEST_HOLD_SECONDS = 8.0


class RotatingAccount(World):
    """The sandbox's world with the account in it.

    Attributes:
        next_situations: What becomes of the next requests, in order, in place of what is the matter otherwise.
    """

    def __init__(self, *, clock: Clock = utc_now) -> None:
        super().__init__(clock=clock)
        self.next_situations: list[Situation] = []
        self.add_account(Network.TIKTOK, HANDLE)

    def trouble_of(self, platform: Platform, account: SandboxAccount | None) -> Trouble:
        """Return what becomes of this request."""
        if self.next_situations:
            return Trouble(situation=self.next_situations.pop(0))
        return super().trouble_of(platform, account)

    @property
    def requests(self) -> int:
        """How many refreshes were asked for."""
        return self.calls.total("tiktok.refresh", HANDLE)

    def hold_answers_back(self) -> None:
        """From now on the old token is spent at once, and the answer waits."""
        self.set_situation(Network.TIKTOK, HANDLE, Situation.REFRESH_ANSWER_SLOW, seconds=LONGEST_HOLD_SECONDS)

    def let_answers_go(self) -> None:
        """Send the answers that were held back."""
        self.set_situation(Network.TIKTOK, HANDLE, Situation.OK)

    def has_rotated(self) -> bool:
        """Wait until the first refresh token is spent."""
        return eventually(lambda: self.account(Network.TIKTOK, HANDLE).generation == 1)


@contextmanager
def serving(tiktok: RotatingAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve the account, and lead the settings of this process and its children there."""
    with running_sandbox(tiktok) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        try:
            yield
        finally:
            tiktok.let_answers_go()


def store_first_pair(engine: sa.Engine, tiktok: RotatingAccount) -> Credentials:
    """Store the account as the app did when the talent connected it, claimed by a run whose ledger has seen it."""
    now = tiktok.now()
    pair = tiktok.connect(Network.TIKTOK, HANDLE, age=AGE_OF_FIRST_PAIR)
    with engine.begin() as connection:
        insert_talent(connection, id="talent-1")
        insert_account(
            connection,
            id=ACCOUNT,
            talent_id="talent-1",
            platform="TIKTOK",
            handle=HANDLE,
            access_token=pair.access_token,
            refresh_token=pair.refresh_token,
            expires_at=pair.expires_at,
        )
        records = load_accounts(connection, [ACCOUNT])
        claim_accounts(connection, records, run_id="run", until=now + timedelta(hours=1), now=now)
        connection.execute(sa.update(platform_images).values(fingerprint=records[0].fingerprint))
    return pair


def stored_account(engine: sa.Engine) -> Account:
    """Return the account with the tokens that the app's row holds."""
    with engine.connect() as connection:
        [record] = load_accounts(connection, [ACCOUNT])
    return Account(
        account_id=record.account_id,
        handle=record.handle,
        access_token=record.access_token,
        refresh_token=record.refresh_token,
        token_expires_at=record.token_expires_at,
    )


def stored_refresh_token(engine: sa.Engine) -> str:
    """Return the refresh token that the app's row holds, or an empty text."""
    token = stored_account(engine).refresh_token
    return "" if token is None else token.get_secret_value()


def stored_pair_works(engine: sa.Engine, tiktok: RotatingAccount) -> bool:
    """Read the account with the stored access token, then spend the stored refresh token: a test asks this last."""
    account = stored_account(engine)

    async def ask() -> bool:
        async with open_api_client() as api:
            client = TIKTOK.open_client(load_settings().platform_values, ApiTransport(api), tiktok.now)
            [call] = client.plan_calls([account])
            [reading] = (await client.read(call)).readings
            refresh = await client.refresh_token(account)
        return reading.outcome is Outcome.PICTURE and refresh.token is not None

    return anyio.run(ask)


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until something is so, as long as a slow machine may need."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()
