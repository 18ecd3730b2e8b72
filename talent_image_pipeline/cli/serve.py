"""``serve``: the HTTP service."""

import click

from talent_image_pipeline.cli.opening import open_database
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.app import build_service
from talent_image_pipeline.service.server import serve as serve_app
from talent_image_pipeline.settings import load_settings


@click.command(epilog="Example: talent-images serve --host 0.0.0.0 --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3001, show_default=True, help="Port to listen on.")
def serve(*, host: str, port: int) -> None:
    """Serve the pictures and the initials over HTTP."""
    settings = load_settings()
    with open_database(settings) as engine:
        store = PictureStore.from_url(settings.image_store_url)
        service = build_service(
            store=store, database_engine=engine, public_url=settings.talent_image_public_url, clock=utc_now
        )
        serve_app(service, host=host, port=port, on_listening=_say_where)


def _say_where(host: str, port: int) -> None:
    click.echo(f"Serving pictures and initials at http://{host}:{port}")
