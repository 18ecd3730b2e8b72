"""The service as one process: putting together what it works with from the settings, and serving until it is stopped.

What belongs here: the order of opening.
What does not: the routes (``app.py``) and sockets (``server.py``).
"""

import threading
from collections.abc import Callable

import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.api_token import load_api_token
from talent_image_pipeline.service.app import Service, build_service
from talent_image_pipeline.service.dagster_jobs import DagsterJobs
from talent_image_pipeline.service.dependencies import ServiceDependencies
from talent_image_pipeline.service.refreshing import Refreshing
from talent_image_pipeline.service.server import serve, serve_in_workers
from talent_image_pipeline.settings import Settings, load_settings


def serve_until_stopped(
    settings: Settings,
    engine: sa.Engine,
    *,
    host: str,
    port: int,
    on_listening: Callable[[str, int], None] | None = None,
) -> None:
    """Serve until the process is told to stop.

    Args:
        settings: Everything else.
        engine: The app's database; its owner closes it.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        on_listening: Called once with the address and the port that were taken.

    Raises:
        MissingApiTokenError: when there is no API token.
        PictureStoreAddressError: when the store's address cannot be used.
        CannotListenError: when the port cannot be taken.
    """
    if settings.talent_service_workers > 1:
        # What can be wrong with the settings is said here, once, and not by every worker.
        load_api_token(settings)
        serve_in_workers(
            f"{__name__}:{build_from_settings.__name__}",
            workers=settings.talent_service_workers,
            host=host,
            port=port,
            on_listening=on_listening,
        )
        return
    serve(_build(settings, engine), host=host, port=port, on_listening=on_listening)


def build_from_settings() -> Service:
    """Build the service in a worker process of its own; what it opens ends with the process.

    Each worker shares the runs of its own requests only: requests for one talent that meet different workers are two
    runs, of which the second waits for the first and finds everything read.
    """
    settings = load_settings()
    return _build(settings, open_engine(settings.database_url))


def _build(settings: Settings, engine: sa.Engine) -> Service:
    jobs = DagsterJobs()
    dependencies = ServiceDependencies(
        settings=settings,
        engine=engine,
        store=PictureStore.from_url(settings.image_store_url),
        api_token=load_api_token(settings),
        refreshing=Refreshing(jobs=jobs),
        clock=utc_now,
    )
    warming = threading.Thread(target=jobs.warm_up, daemon=True)
    return build_service(dependencies, on_start=warming.start, on_end=jobs.close)
