"""``sandbox``: the three platforms in a box, and how the embedded default finds them."""

from pathlib import Path

import click

from talent_image_pipeline.sandbox.server import DEFAULT_PORT, sandbox_environment, serve
from talent_image_pipeline.settings import SANDBOX_ENV_FILE, Settings, load_settings


@click.command(epilog="Example: talent-images sandbox --port 9999")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port on 127.0.0.1.")
def sandbox(*, port: int) -> None:
    """Serve a sandbox of the three platforms on loopback, with the sample talents' accounts."""
    settings = load_settings()
    origin = f"http://127.0.0.1:{port}"
    point_embedded_default_at(settings, origin=origin)
    click.echo(f"The platforms answer at {origin}; accounts can be changed at {origin}/control")
    serve(host="127.0.0.1", port=port, state_file=state_file_in(settings))


def point_embedded_default_at(settings: Settings, *, origin: str) -> None:
    """Leave the sandbox's addresses and keys where the settings of the embedded default find them."""
    settings.talent_data_dir.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}={value}\n" for name, value in sorted(sandbox_environment(origin).items())]
    (settings.talent_data_dir / SANDBOX_ENV_FILE).write_text("".join(lines), encoding="utf-8")


def state_file_in(settings: Settings) -> Path:
    """Return where the sandbox keeps rotated tokens over restarts."""
    return settings.talent_data_dir / "sandbox.json"
