"""What is configured, reachable and missing: the questions of whoever sets this up or finds it not working.

What belongs here: one look at each part, none of which changes anything, and a sentence about what was found.
What does not: laying the answers out (``cli/doctor.py``). No sentence holds a secret, nor an address that may hold one.
"""

import io
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread
import httpx
import sqlalchemy as sa
from PIL import Image
from pydantic import SecretStr

from talent_image_pipeline.clock import Clock, utc_now
from talent_image_pipeline.database import maintenance_queries
from talent_image_pipeline.database.engine import (
    DatabaseUnavailableError,
    MissingAppTableError,
    open_engine,
    read_only,
    require_app_tables,
)
from talent_image_pipeline.database.maintenance_queries import ConnectedCount
from talent_image_pipeline.database.rights import describe as describe_rights
from talent_image_pipeline.database.rights import missing_for_reading, missing_for_runs
from talent_image_pipeline.database.schema_revision import current_revision, schema_problem
from talent_image_pipeline.database.url import DatabaseAddressError, parse_database_address
from talent_image_pipeline.operations.dagster_doctor import DagsterState, judge_dagster
from talent_image_pipeline.operations.diagnosis import Diagnosis, State, broken, missing, ok, warning
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture, RenderingUnavailable
from talent_image_pipeline.pictures.rendering.sandbox import judge_protections
from talent_image_pipeline.pictures.rendering.worker_pool import PictureWorkers
from talent_image_pipeline.pictures.store.picture_store import (
    PictureStore,
    PictureStoreAddressError,
    PictureStoreUnavailableError,
)
from talent_image_pipeline.platforms.contract import Account, Outcome, Platform, PlatformClient, Reading
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.reporting.check_rules import judge_trusted_origins

HOST_DEADLINE_SECONDS = 5.0
_DRAWN_SIDE = 256
_LIST_DEADLINE_SECONDS = 25.0
_ANY_HASH = "0" * 64
_PROBE = "probe"
_UNTRIED = "talent-images doctor --live tries it."
_A_LIVING_TOKEN = timedelta(days=30)
_A_DYING_TOKEN = timedelta(minutes=1)


async def diagnose(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    host_deadline_seconds: float = HOST_DEADLINE_SECONDS,
    dagster: DagsterState | None = None,
    live: bool = False,
) -> list[Diagnosis]:
    """Look at every part once; a part that is broken never keeps the others from being looked at.

    Args:
        settings: As they are now.
        clock: The time.
        host_deadline_seconds: For one platform's host to answer anything at all.
        dagster: What was found of Dagster's instance; None leaves it out.
        live: Whether each credential is tried with one cheap call to its platform.
    """
    database, connected = await anyio.to_thread.run_sync(_look_at_database, settings)
    found = [*database, await _look_at_store(settings)]
    found += await _look_at_credentials(settings, connected=connected, clock=clock, live=live)
    found += await _look_at_hosts(settings, deadline_seconds=host_deadline_seconds)
    found += [_look_at_public_url(settings), _look_at_trusted_origins(settings)]
    found.append(await _look_at_workers())
    if dagster is not None:
        found += judge_dagster(dagster, now=clock(), is_embedded=settings.is_embedded)
    return found


def _look_at_database(settings: Settings) -> tuple[list[Diagnosis], Mapping[str, ConnectedCount]]:
    """Look at the database, and count connected accounts where it can be read."""
    try:
        address = parse_database_address(settings.database_url)
    except DatabaseAddressError as error:
        return [broken("database", f"{error}.")], {}
    file = address.url.database if address.url.get_backend_name() == "sqlite" else None
    if file is not None and not Path(file).exists():
        place = address.place[0].upper() + address.place[1:]
        message = f"{place} does not exist yet; talent-images demo or talent-images migrate creates it."
        return [missing("database", message)], {}
    try:
        engine = open_engine(settings.database_url)
    except DatabaseUnavailableError as error:
        return [broken("database", f"{error}.")], {}
    try:
        return _look_into_database(engine, place=address.place)
    except sa.exc.SQLAlchemyError as error:
        # Its text would show statements and their parameters.
        return [broken("database", f"{address.place} cannot be read ({type(error).__name__}).")], {}
    finally:
        engine.dispose()


def _look_into_database(engine: sa.Engine, *, place: str) -> tuple[list[Diagnosis], Mapping[str, ConnectedCount]]:
    found = [ok("database", f"{place} answers.")]
    with read_only(engine).begin() as connection:
        unreadable = missing_for_reading(connection)
    if unreadable:
        # Whatever else there is to look at would be refused too.
        return [*found, broken("database rights", describe_rights(unreadable))], {}
    try:
        require_app_tables(engine)
    except MissingAppTableError as error:
        return [*found, broken("app tables", f"{error}.")], {}
    found.append(ok("app tables", "The app's tables are there."))
    with read_only(engine).begin() as connection:
        current = current_revision(connection)
        connected = maintenance_queries.count_connected(connection)
    problem = schema_problem(current)
    if problem is None:
        found.append(ok("migrations", f"Our tables are at revision {current}, the newest."))
    else:
        found.append(broken("migrations", problem))
    return [*found, *_look_at_rights(engine)], connected


def _look_at_rights(engine: sa.Engine) -> list[Diagnosis]:
    """Ask the server whether the address's role may do all that a run does."""
    if engine.dialect.name != "postgresql":
        return []
    with read_only(engine).begin() as connection:
        lacking = missing_for_runs(connection)
    if lacking:
        return [broken("database rights", f"{describe_rights(lacking)}")]
    return [ok("database rights", "The role may read and write everything that a run reads and writes.")]


async def _look_at_store(settings: Settings) -> Diagnosis:
    name = "picture store"
    directory = _directory_of(settings.image_store_url)
    if directory is not None and not directory.exists():
        return _look_at_missing_directory(name, directory)
    try:
        store = PictureStore.from_url(settings.image_store_url)
        with anyio.fail_after(_LIST_DEADLINE_SECONDS):
            await store.find(_ANY_HASH)
        if directory is not None:
            with tempfile.TemporaryFile(dir=directory):
                pass
    except (PictureStoreAddressError, PictureStoreUnavailableError) as error:
        return broken(name, f"{error}.")
    except TimeoutError:
        return broken(name, "The store does not answer.")
    except OSError as error:
        return broken(name, f"{directory} cannot be written: {error.strerror}.")
    what = "can be read and written" if directory is not None else "can be read"
    return ok(name, f"{store.location} {what}.")


def _directory_of(store_url: str) -> Path | None:
    scheme = urlsplit(store_url).scheme
    if scheme == "file":
        return Path(unquote(urlsplit(store_url).path))
    return None if "://" in store_url else Path(store_url).expanduser()


def _look_at_missing_directory(name: str, directory: Path) -> Diagnosis:
    parent = next(path for path in [*directory.absolute().parents] if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        return broken(name, f"{directory} is not there and cannot be made: {parent} is not a writable directory.")
    return missing(name, f"{directory} is not there yet; the first sync makes it.")


async def _look_at_credentials(
    settings: Settings,
    *,
    connected: Mapping[str, ConnectedCount],
    clock: Clock,
    live: bool,
) -> list[Diagnosis]:
    """Ask the clients themselves what they could do with these settings; only ``live`` lets them call anybody."""
    values = settings.platform_values
    found: list[Diagnosis] = []
    async with httpx.AsyncClient(transport=_NoNetwork()) as nowhere, open_api_client() as network:
        for platform in settings.platforms:
            transport = ApiTransport(nowhere)
            look = _AccessProbe(
                platform=platform,
                client=platform.open_client(values, transport, clock),
                ideal=platform.open_client(_with_everything(platform, settings), transport, clock),
                bare=platform.open_client(_with_nothing(platform, settings), transport, clock),
                live=platform.open_client(values, ApiTransport(network), clock) if live else None,
                now=clock(),
            )
            found += await look.diagnoses(connected.get(platform.name, ConnectedCount()))
    return found


class _NoNetwork(httpx.AsyncBaseTransport):
    """Refuses every request before it leaves."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no request is made here")


def _with_everything(platform: Platform, settings: Settings) -> dict[str, Any]:
    """Return settings of which none is missing, to tell what settings could mend from what they cannot."""
    missing = {name for name, field in platform.settings.model_fields.items() if field.default is None}
    given = {name: value for name, value in settings.platform_values.items() if value is not None}
    return {**dict.fromkeys(missing, _PROBE), **given}


def _with_nothing(platform: Platform, settings: Settings) -> dict[str, Any]:
    """Return the same addresses without any credential, to tell what works without one."""
    credentials = {name for name, field in platform.settings.model_fields.items() if field.default is None}
    return {name: value for name, value in settings.platform_values.items() if name not in credentials}


@dataclass(frozen=True, kw_only=True)
class _AccessProbe:
    """The ways in which one platform's accounts are read, as its own client judges them.

    Attributes:
        client: With the credentials that there are.
        ideal: With every credential that there could be.
        bare: With none.
        live: With the credentials that there are, and the real platform behind it; None where nobody is to be called.
    """

    platform: Platform
    client: PlatformClient
    ideal: PlatformClient
    bare: PlatformClient
    live: PlatformClient | None
    now: datetime

    async def diagnoses(self, count: ConnectedCount) -> list[Diagnosis]:
        """Look at reading with a token, by handle, and at renewing tokens where the network knows that."""
        found = [
            await self._reading(count.with_token, with_token=True),
            await self._reading(count.by_handle, with_token=False),
        ]
        dying = self._account(lives=_A_DYING_TOKEN, with_token=True)
        if self._renews(dying):
            # Some networks renew the access token itself, the others hand out a refresh token for it.
            renewable = count.with_token if self._renews(replace(dying, refresh_token=None)) else count.renewable
            found.append(await self._renewing(dying, renewable))
        return found

    def _renews(self, account: Account) -> bool:
        return self.client.needs_token_refresh(account, now=self.now, refreshed_at=None)

    async def _reading(self, count: int, *, with_token: bool) -> Diagnosis:
        name = f"{self.platform.label}, {'own token' if with_token else 'handle alone'}"
        account = self._account(lives=_A_LIVING_TOKEN, with_token=with_token)
        (call,) = self.client.plan_calls([account])
        if call.cost > 0:
            if self.bare.plan_calls([account])[0].cost > 0:
                way = "Each account's own token is used" if with_token else "Needs no credential of ours"
                return ok(name, f"{way}; {_accounts(count)}.")
            return await self._trying_to_read(name, account, count)
        # What a client settles without a call, it also answers without one.
        (reading,) = (await self.client.read(call)).readings
        is_ours = self.ideal.plan_calls([account])[0].cost > 0
        return _lacking(name, count, reading.message, is_ours=is_ours)

    async def _trying_to_read(self, name: str, account: Account, count: int) -> Diagnosis:
        """Read the platform's probe, which is an account of the network's own."""
        if self.live is None:
            return ok(name, f"Is configured; {_accounts(count)}. {_UNTRIED}")
        (call,) = self.live.plan_calls([account])
        (reading,) = (await self.live.read(call)).readings
        return _tried(name, reading, count)

    async def _trying_to_renew(self, name: str, account: Account, count: int) -> Diagnosis:
        """Renew a token that was never handed out: the answer tells whether the application itself is known."""
        if self.live is None:
            return ok(name, f"Is configured; {_accounts(count)}. {_UNTRIED}")
        return _tried(name, (await self.live.refresh_token(account)).failure, count)

    async def _renewing(self, account: Account, count: int) -> Diagnosis:
        name = f"{self.platform.label}, renewing tokens"
        failure = (await self.client.refresh_token(account)).failure
        if failure is None or failure.outcome is not Outcome.MISCONFIGURED:
            bare = (await self.bare.refresh_token(account)).failure
            if bare is not None and bare.outcome is Outcome.MISCONFIGURED:
                return await self._trying_to_renew(name, account, count)
            return ok(name, f"Needs no credential of ours; {_accounts(count)}.")
        return _lacking(name, count, failure.message, is_ours=True)

    def _account(self, *, lives: timedelta, with_token: bool) -> Account:
        """Return an account that lacks nothing but what the settings would have to give."""
        if not with_token:
            return Account(account_id=_PROBE, handle=self.platform.probe)
        return Account(
            account_id=_PROBE,
            handle=self.platform.probe,
            access_token=SecretStr(_PROBE),
            refresh_token=SecretStr(_PROBE),
            token_expires_at=self.now + lives,
        )


def _accounts(count: int) -> str:
    return f"{count} connected account{'' if count == 1 else 's'}"


def _tried(name: str, reading: Reading | None, count: int) -> Diagnosis:
    """Judge the answer to a call that was made to try a credential."""
    if reading is not None and reading.outcome is Outcome.MISCONFIGURED:
        return broken(name, f"{_accounts(count)}: {reading.message}")
    if reading is not None and reading.outcome in {Outcome.UNAVAILABLE, Outcome.RATE_LIMITED}:
        return warning(name, f"Could not be tried now: {reading.message}")
    return ok(name, f"Was tried just now: the credential is accepted; {_accounts(count)}.")


def _lacking(name: str, count: int, message: str, *, is_ours: bool) -> Diagnosis:
    """Judge a way that is not open: bad only where there are accounts that need it."""
    if not count:
        return ok(name, f"No connected account needs it. {message}")
    state = State.MISSING if is_ours else State.WARNING
    return Diagnosis(name=name, state=state, message=f"{_accounts(count)}: {message}")


async def _look_at_hosts(settings: Settings, *, deadline_seconds: float) -> list[Diagnosis]:
    names = {name: None for platform in settings.platforms for name in platform.settings.model_fields}
    addresses = {name.upper(): str(getattr(settings, name)) for name in names if name.endswith("_api_url")}
    found: dict[str, Diagnosis] = {}

    async def look(name: str, address: str) -> None:
        found[name] = await _look_at_host(client, name, address)

    async with (
        httpx.AsyncClient(timeout=deadline_seconds, trust_env=False, follow_redirects=False) as client,
        anyio.create_task_group() as group,
    ):
        for name, address in addresses.items():
            group.start_soon(look, name, address)
    return [found[name] for name in addresses]


async def _look_at_host(client: httpx.AsyncClient, name: str, address: str) -> Diagnosis:
    """Ask for the root of a host, without credentials: any answer at all shows that it is reachable."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    origin = httpx.URL(scheme=parts.scheme, host=host, port=parts.port, path="/")
    try:
        await client.head(origin)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return broken(name, f"{host} cannot be reached: {_kind_of(error)}.")
    return ok(name, f"{host} answers.")


def _kind_of(error: Exception) -> str:
    """Say what failed by the kind of the exception alone: its text may hold addresses."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "its certificate or TLS handshake is not valid"
        cause = cause.__cause__ or cause.__context__
    return "no connection" if isinstance(error, httpx.ConnectError) else "its answer is not HTTP"


def _look_at_public_url(settings: Settings) -> Diagnosis:
    name = "TALENT_IMAGE_PUBLIC_URL"
    parts = urlsplit(settings.talent_image_public_url)
    if not _is_loopback(parts.hostname or ""):
        if parts.scheme == "http":
            return warning(name, f"{parts.hostname} is published without TLS: pages served over https block it.")
        return ok(name, f"Pictures are published at {parts.hostname}.")
    message = "Pictures are published at an address of this machine alone"
    if settings.is_embedded:
        return ok(name, f"{message}, as the embedded default does.")
    return warning(name, f"{message}: nobody else sees them. Set it to a public one.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _look_at_trusted_origins(settings: Settings) -> Diagnosis:
    finding = judge_trusted_origins(sorted(settings.trusted_origins))
    state = State.OK if finding.passed else State.WARNING
    return Diagnosis(name="TALENT_IMAGE_TRUSTED_ORIGINS", state=state, message=finding.message)


async def _look_at_workers() -> Diagnosis:
    name = "picture workers"
    try:
        async with PictureWorkers(processes=1) as workers:
            rendered = await workers.render(_drawn_picture())
            finding = judge_protections(await workers.protections())
    except (NotAPicture, RenderingUnavailable, OSError) as failure:
        return broken(name, f"A drawn picture could not be rendered: {failure}.")
    message = f"A drawn picture was rendered in {len(rendered.renditions)} sizes. {finding.message}"
    return ok(name, message) if finding.is_complete else warning(name, message)


def _drawn_picture() -> bytes:
    image = Image.merge("RGB", [Image.radial_gradient("L"), Image.linear_gradient("L"), Image.radial_gradient("L")])
    encoded = io.BytesIO()
    image.resize((_DRAWN_SIDE, _DRAWN_SIDE)).save(encoded, "JPEG")
    return encoded.getvalue()
