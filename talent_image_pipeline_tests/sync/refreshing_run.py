"""A run that refreshes the token of one account, as a process of its own that a test may kill.

What belongs here: the least that a run does around a refresh.
What does not: anything that the refresh itself does.
"""

import json
import sys

import anyio
from pydantic import SecretStr

from talent_image_pipeline.database.account_queries import load_accounts
from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.platforms.credentials import PlatformCredentials
from talent_image_pipeline.sync.token_keeper import open_token_keeper


async def _run(*, database_url: str, tiktok_url: str, account_id: str) -> None:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        [account] = load_accounts(connection, [account_id])
    engine.dispose()
    credentials = PlatformCredentials(
        instagram_api_url=tiktok_url,
        facebook_api_url=tiktok_url,
        tiktok_api_url=tiktok_url,
        youtube_api_url=tiktok_url,
        tiktok_client_key=SecretStr("key"),
        tiktok_client_secret=SecretStr("secret"),
    )
    async with open_token_keeper(database_url=SecretStr(database_url), credentials=credentials) as keeper:
        report = await keeper.refresh(account)
    sys.stdout.write(json.dumps({"failure": report.failure and report.failure.explanation, "calls": report.calls}))


if __name__ == "__main__":
    orders = json.loads(sys.stdin.readline())
    anyio.run(lambda: _run(**orders))
