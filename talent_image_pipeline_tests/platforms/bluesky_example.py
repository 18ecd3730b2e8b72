"""A day with the platform of ``docs/adding-a-platform.md``, in a copy of the package that has its file and its line.

What belongs here: running the example against a small server and saying as JSON what came of it.
What does not: expectations (``test_adding_a_platform.py``).
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import account_queries, candidate_queries, transactions
from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline.operations.doctor import diagnose
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.registry import platform_named
from talent_image_pipeline.settings import Settings, load_settings
from talent_image_pipeline.sync.planning.candidates import choose_candidates
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.publishing.publish import PublishingRules, publish
from talent_image_pipeline.sync.reading.session import open_reading_session
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline_tests.pictures.picture_files import small_file
from talent_image_pipeline_tests.platforms.scripted_server import Received, Reply, reply_json, serving
from talent_image_pipeline_tests.rows import insert_account, insert_talent

#: By handle: what the app stores, and what the network's answer holds besides handle and id.
TALENTS = {
    "ada.bsky.social": {"avatar": True},
    "ben.bsky.social": {"avatar": False},
    "cleo.bsky.social": None,
    "refused.bsky.social": "InvalidRequest",
}


def answer(request: Received) -> Reply:
    """Answer as Bluesky does: profiles of whom it knows, and a refusal where one name is no good."""
    if request.path.startswith("/img/"):
        return Reply(body=small_file("JPEG"), headers={"content-type": "image/jpeg"})
    actors = [value for name, value in request.queries if name == "actors"]
    if any(TALENTS.get(actor) == "InvalidRequest" for actor in actors):
        return reply_json({"error": "InvalidRequest", "message": "actor must be a valid did or a handle"}, status=400)
    origin = f"http://{request.headers['host']}"
    return reply_json({"profiles": [_profile(actor, origin) for actor in actors if isinstance(TALENTS[actor], dict)]})


def _profile(actor: str, origin: str) -> dict[str, Any]:
    profile = {"did": f"did:plc:{actor.partition('.')[0]}", "handle": actor}
    known = TALENTS[actor]
    has_avatar = isinstance(known, dict) and known["avatar"]
    return profile | ({"avatar": f"{origin}/img/avatar/plain/{profile['did']}/bafkrei7@jpeg"} if has_avatar else {})


async def run(directory: Path) -> dict[str, Any]:
    """Serve the network, sync twice, and look at what is configured."""
    async with serving(answer) as server:
        os.environ["BLUESKY_API_URL"] = os.environ["TALENT_IMAGE_TRUSTED_ORIGINS"] = server.origin
        settings = load_settings()
        engine = open_engine(settings.database_url)
        store = PictureStore.from_url(str(directory / "images"))
        migrate(engine, with_app_tables=True)
        _insert(engine)
        days = []
        for number in range(2):
            before = len(server.received)
            await _sync(settings, engine, store, run_id=f"run-{number}")
            paths = [request.path for request in server.received[before:]]
            days.append(
                {"rows": _rows(engine), "calls": len(paths), "pictures": sum("/img/" in path for path in paths)}
            )
        looks = {found.name: str(found.state) for found in await diagnose(settings)}
        engine.dispose()
        return {"days": days, "doctor": {name: state for name, state in looks.items() if "luesky" in name.lower()}}


def _insert(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for number, handle in enumerate(TALENTS):
            insert_talent(connection, id=f"talent-{number}")
            insert_account(connection, id=handle, talent_id=f"talent-{number}", platform="BLUESKY", handle=f"@{handle}")


async def _sync(settings: Settings, engine: sa.Engine, store: PictureStore, *, run_id: str) -> None:
    platform = platform_named("bluesky")
    assert platform is not None
    scope = SyncScope(talent_ids=tuple(f"talent-{number}" for number in range(len(TALENTS))), force=True)
    choose_candidates(engine, scope=scope, run_id=run_id, now=utc_now(), verified_only=False, must_exist=True)
    accounts = transactions.read(
        engine, account_queries.load_batch_accounts, run_id=run_id, platform="bluesky", verified_only=False
    )
    opening = open_reading_session(settings=settings, engine=engine, store=store, limits=ReadingLimits())
    async with opening as session:
        await session.read(platform, accounts, run_id=run_id, force=True, minimum_hours=0)
    candidates = transactions.read(engine, candidate_queries.load_candidates, run_id)
    rules = PublishingRules(public_url="http://pictures.example", verified_only=False)
    publish(engine, candidates, rules=rules, run_id=run_id, now=utc_now())


def _rows(engine: sa.Engine) -> dict[str, Any]:
    """Return outcome and remembered id of each account, and whose picture its talent shows."""
    query = (
        'select i.account_id, i.outcome, i.upstream_id, t."profileImageSource" from platform_images i '
        'join "Talent" t on t.id = i.talent_id'
    )
    with engine.begin() as connection:
        return {row[0]: list(row[1:]) for row in connection.execute(sa.text(query))}


def assets() -> list[str]:
    """Return the names of the pipeline's assets."""
    from talent_image_pipeline.definitions import defs

    return sorted(key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(run(Path(sys.argv[1]))) | {"assets": assets()}) + "\n")
