"""A run that refreshes the token of one account, as a process of its own that a test may kill.

What belongs here: the least that a run does around a refresh; database and platforms are those of its environment.
What does not: anything that the refresh itself does.
"""

import json
import sys

import anyio
from pydantic import SecretStr

from talent_image_pipeline.database.account_queries import load_accounts
from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.settings import load_settings
from talent_image_pipeline.sync.tokens.refresh_process import open_refresh_process


async def _run(account_id: str) -> None:
    settings = load_settings()
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        [account] = load_accounts(connection, [account_id])
    engine.dispose()
    url = SecretStr(settings.database_url)
    async with open_refresh_process(database_url=url, platform_values=settings.platform_values) as keeper:
        report = await keeper.refresh(account)
    sys.stdout.write(json.dumps({"failure": report.failure and report.failure.message, "calls": report.calls}))


if __name__ == "__main__":
    anyio.run(_run, sys.argv[1])
