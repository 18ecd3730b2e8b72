"""The service in a thread of the test's own process, on a real socket: for what needs no runs.

What belongs here: building and serving it.
What does not: the service as a process of its own (``live_service.py``).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import sqlalchemy as sa
from pydantic import SecretStr
from starlette.types import ASGIApp

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.app import Service, build_service
from talent_image_pipeline.service.dagster_jobs import DagsterJobs
from talent_image_pipeline.service.dependencies import ServiceDependencies
from talent_image_pipeline.service.refreshing import Refreshing
from talent_image_pipeline.service.server import make_server, open_listener
from talent_image_pipeline.settings import Settings
from talent_image_pipeline_tests.service.live_service import API_TOKEN

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)


def service_on(
    *,
    store: PictureStore,
    engine: sa.Engine,
    public_url: str = "https://talent.example",
    clock: Clock = lambda: NOW,
    **settings: object,
) -> Service:
    """Build the service around a store and a database."""
    values = {"talent_image_public_url": public_url, **settings}
    return build_service(
        ServiceDependencies(
            settings=Settings.model_validate(values),
            engine=engine,
            store=store,
            api_token=SecretStr(API_TOKEN),
            refreshing=Refreshing(jobs=DagsterJobs()),
            clock=clock,
        )
    )


@contextmanager
def running(service: ASGIApp) -> Iterator[httpx.Client]:
    """Serve on a free port of the loopback interface, and hand out a client for it."""
    with open_listener(host="127.0.0.1", port=0) as listener:
        server = make_server(service)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()
