"""How the tests of the sandbox ask each platform for the usual thing.

What belongs here: well-formed requests, by the platforms' documented contracts.
What does not: fixtures (``conftest.py``).
"""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from talent_image_pipeline.sandbox.server import RunningSandbox
from talent_image_pipeline.sandbox.situations import Network

INSTAGRAM_FIELDS = "user_id,username,name,account_type,profile_picture_url,has_profile_pic"
TIKTOK_FIELDS = "open_id,union_id,avatar_url,avatar_url_100,avatar_large_url,display_name"


def read_instagram(
    sandbox: RunningSandbox, client: httpx.Client, handle: str, *, fields: str = INSTAGRAM_FIELDS
) -> httpx.Response:
    """Read ``/me`` with the account's own token."""
    token = sandbox.world.connect(Network.INSTAGRAM, handle).access_token
    return client.get(
        f"{sandbox.environment['INSTAGRAM_API_URL']}/v26.0/me",
        params={"fields": fields},
        headers={"Authorization": f"Bearer {token}"},
    )


def discovery_path(sandbox: RunningSandbox, handle: str, *, fields: str = "username,profile_picture_url") -> str:
    """Return the path of a look-up by handle, as in a batch."""
    agency = sandbox.environment["INSTAGRAM_BUSINESS_ACCOUNT_ID"]
    return f"v26.0/{agency}?fields=business_discovery.username({handle}){{{fields}}}"


def post_batch(sandbox: RunningSandbox, client: httpx.Client, handles: list[str]) -> httpx.Response:
    """Look handles up in one batch."""
    items = [{"method": "GET", "relative_url": discovery_path(sandbox, handle)} for handle in handles]
    return client.post(
        f"{sandbox.environment['FACEBOOK_API_URL']}/v26.0/",
        data={
            "access_token": sandbox.environment["INSTAGRAM_BUSINESS_TOKEN"],
            "include_headers": "false",
            "batch": json.dumps(items),
        },
    )


def read_tiktok(
    sandbox: RunningSandbox,
    client: httpx.Client,
    handle: str,
    *,
    token: str | None = None,
    fields: str = TIKTOK_FIELDS,
) -> httpx.Response:
    """Read a TikTok user with the account's own token, or with another one."""
    token = token or sandbox.world.connect(Network.TIKTOK, handle).access_token
    return client.get(
        f"{sandbox.environment['TIKTOK_API_URL']}/v2/user/info/",
        params={"fields": fields},
        headers={"Authorization": f"Bearer {token}"},
    )


def refresh_tiktok(
    sandbox: RunningSandbox, client: httpx.Client, refresh_token: str, *, changed: Mapping[str, str] | None = None
) -> httpx.Response:
    """Ask for the next pair of tokens."""
    form = {
        "client_key": sandbox.environment["TIKTOK_CLIENT_KEY"],
        "client_secret": sandbox.environment["TIKTOK_CLIENT_SECRET"],
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
    }
    return client.post(f"{sandbox.environment['TIKTOK_API_URL']}/v2/oauth/token/", data=form | dict(changed or {}))


def list_channels(sandbox: RunningSandbox, client: httpx.Client, **query: Any) -> httpx.Response:
    """Ask for channels with the right key, unless the query says otherwise; a value of none leaves it out."""
    params = {"part": "snippet", "key": sandbox.environment["YOUTUBE_API_KEY"]} | query
    return client.get(
        f"{sandbox.environment['YOUTUBE_API_URL']}/youtube/v3/channels",
        params={name: value for name, value in params.items() if value is not None},
    )
