"""Instagram's and TikTok's own-token reads and their pictures on loopback, held up or broken as a test says.

What belongs here: a reading session against a scripted server, over real sockets, with real pictures and workers.
What does not: every other answer of the platforms (``talent_image_pipeline_tests/platforms``).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.platforms.instagram import INSTAGRAM
from talent_image_pipeline.settings import settings_with
from talent_image_pipeline.sync.reading.session import ReadingSession, open_reading_session
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline.sync.reporting.reports import PlatformReport
from talent_image_pipeline_tests.pictures.picture_files import small_file
from talent_image_pipeline_tests.platforms.scripted_server import Received, Reply, ScriptedServer, reply_json, serving
from talent_image_pipeline_tests.sync import simulated_run as sim


@dataclass(kw_only=True)
class Networks:
    """What the networks answer, by handle; an account's token is ``token-of-<handle>`` unless a test says otherwise.

    Attributes:
        has_pictures: Whether Instagram's accounts have a picture, where no test says otherwise.
        answers: In place of the usual answer to a read.
        bodies: In place of the usual bytes of a picture.
        held: Handles whose read waits for the event.
        reads: How often each handle was read.
        tokens: TikTok's valid tokens; a refresh adds one.
    """

    has_pictures: bool = False
    answers: dict[str, Callable[[], Reply]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    tokens: set[str] = field(default_factory=set)
    refreshes: int = 0
    origin: str = ""

    def __call__(self, request: Received) -> Reply:
        """Answer one request."""
        if request.path.startswith("/pictures/"):
            handle = request.path.removeprefix("/pictures/").removesuffix(".jpg")
            body = self.bodies.get(handle, small_file("JPEG"))
            return Reply(body=body, headers={"content-type": "image/jpeg"})
        if request.path == "/tiktok/v2/oauth/token/":
            return self._refresh()
        token = request.headers["authorization"].removeprefix("Bearer ")
        handle = token.removeprefix("token-of-")
        self.reads[handle] += 1
        is_tiktok = request.path.startswith("/tiktok")
        usual = (lambda: self._tiktok_user(token)) if is_tiktok else (lambda: self._instagram_user(handle))
        reply = self.answers.get(handle, usual)()
        return held_back(reply, self.held[handle]) if handle in self.held else reply

    def _instagram_user(self, handle: str) -> Reply:
        user = {"user_id": f"id-of-{handle}", "username": handle, "has_profile_pic": self.has_pictures}
        return reply_json(user | ({"profile_picture_url": self.picture_url(handle)} if self.has_pictures else {}))

    def user_with_picture(self, handle: str, *, picture: str) -> Reply:
        """Answer that an Instagram account shows this picture."""
        user = {"user_id": f"id-of-{handle}", "username": handle, "profile_picture_url": self.picture_url(picture)}
        return reply_json(user)

    def _tiktok_user(self, token: str) -> Reply:
        if token not in self.tokens:
            return reply_json({"data": {}, "error": {"code": "access_token_invalid"}}, status=401)
        user = {"open_id": "open", "avatar_large_url": self.picture_url("tiktok")}
        return reply_json({"data": {"user": user}, "error": {"code": "ok"}})

    def _refresh(self) -> Reply:
        self.refreshes += 1
        self.tokens.add("new-token")
        pair = {"access_token": "new-token", "expires_in": 86_400, "refresh_token": "r2", "refresh_expires_in": 9e6}
        return reply_json({**pair, "open_id": "open", "token_type": "Bearer"})

    def picture_url(self, handle: str) -> str:
        return f"{self.origin}/pictures/{handle}.jpg"


def held_back(reply: Reply, event: asyncio.Event) -> Reply:
    """Send a reply once the event is set."""

    async def write(writer: asyncio.StreamWriter) -> None:
        await event.wait()
        head = f"HTTP/1.1 {reply.status} Held\r\nContent-Length: {len(reply.body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + reply.body)
        await writer.drain()

    return Reply(write=write)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A session that reads accounts from the networks on loopback."""

    engine: sa.Engine
    session: ReadingSession
    networks: Networks
    server: ScriptedServer
    store: PictureStore

    async def read(
        self,
        account_ids: Sequence[str],
        *,
        run_id: str = "run",
        force: bool = False,
        minimum_hours: float = 24.0,
        platform: Platform = INSTAGRAM,
    ) -> PlatformReport:
        """Read accounts as they are loaded now."""
        accounts = await asyncio.to_thread(sim.load, self.engine, *account_ids)
        return await self.session.read(platform, accounts, run_id=run_id, force=force, minimum_hours=minimum_hours)

    async def until_asked_for(self, handle: str) -> None:
        """Wait until the network was asked for an account."""
        while not self.networks.reads[handle]:  # noqa: ASYNC110 - the server counts, and tells nobody
            await asyncio.sleep(0.01)

    @property
    def pictures_asked_for(self) -> list[str]:
        return [request.path for request in self.server.received if request.path.startswith("/pictures/")]


@asynccontextmanager
async def reading(
    engine: sa.Engine, directory: Path, *, networks: Networks | None = None, limits: ReadingLimits | None = None
) -> AsyncIterator[Reader]:
    """Open everything that a run opens to read."""
    networks = networks or Networks()
    store = PictureStore.from_url(str(directory / "images"))
    async with serving(networks) as server:
        networks.origin = server.origin
        settings = settings_with(
            talent_database_url=SecretStr(engine.url.render_as_string(hide_password=False)),
            talent_image_trusted_origins=server.origin,
            instagram_api_url=f"{server.origin}/instagram",
            tiktok_api_url=f"{server.origin}/tiktok",
            tiktok_client_key=SecretStr("key"),
            tiktok_client_secret=SecretStr("secret"),
        )
        opening = open_reading_session(settings=settings, engine=engine, store=store, limits=limits or ReadingLimits())
        async with opening as session:
            yield Reader(engine=engine, session=session, networks=networks, server=server, store=store)
