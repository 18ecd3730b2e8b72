"""``serve``: the HTTP service."""

import click

from talent_image_pipeline.cli.opening import open_database
from talent_image_pipeline.service.process import serve_until_stopped
from talent_image_pipeline.settings import load_settings


@click.command(epilog="Example: talent-images serve --host 0.0.0.0 --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3001, show_default=True, help="Port to listen on.")
def serve(*, host: str, port: int) -> None:
    """Serve the HTTP API, the pictures and the initials."""
    settings = load_settings()
    with open_database(settings) as engine:
        serve_until_stopped(settings, engine, host=host, port=port, on_listening=_say_where)


def _say_where(host: str, port: int) -> None:
    click.echo(f"Serving the API and the pictures at http://{host}:{port}")
