"""``sandbox``: the three platforms in a box, and how the embedded default finds them."""

from pathlib import Path

import click

from talent_image_pipeline.cli.private_files import make_private_directory, write_private_file
from talent_image_pipeline.sandbox.server import DEFAULT_PORT, sandbox_environment, serve
from talent_image_pipeline.settings import SANDBOX_ENV_FILE, Settings, load_settings


@click.command(epilog="Example: talent-images sandbox --port 9999")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port on 127.0.0.1.")
@click.option("--print-env", is_flag=True, help="Print the settings that lead a pipeline to it, and exit.")
def sandbox(*, port: int, print_env: bool) -> None:
    """Serve a sandbox of the three platforms on loopback, with the sample talents' accounts."""
    origin = f"http://127.0.0.1:{port}"
    if print_env:
        click.echo(_lines(sandbox_environment(origin)), nl=False)
        return
    settings = load_settings()
    make_private_directory(settings.talent_data_dir)
    serve(
        host="127.0.0.1",
        port=port,
        state_file=state_file_in(settings),
        on_listening=lambda: _announce(settings, origin),
    )


def point_embedded_default_at(settings: Settings, environment: dict[str, str]) -> None:
    """Leave settings, with the sandbox's keys among them, where the embedded default finds them."""
    write_private_file(settings.talent_data_dir / SANDBOX_ENV_FILE, _lines(environment))


def state_file_in(settings: Settings) -> Path:
    """Return where the sandbox keeps rotated tokens over restarts."""
    return settings.talent_data_dir / "sandbox.json"


def _announce(settings: Settings, origin: str) -> None:
    point_embedded_default_at(settings, sandbox_environment(origin))
    click.echo(f"The platforms answer at {origin}; accounts can be changed at {origin}/control")


def _lines(environment: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in sorted(environment.items()))
