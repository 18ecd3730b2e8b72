"""``release``: believing a platform after the guard against mass losses held it back."""

import click

from talent_image_pipeline.cli.opening import open_database
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.operations.holds import release_held
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.settings import load_settings


@click.command(epilog="Example: talent-images release instagram")
@click.argument("platform", type=click.Choice([platform.name for platform in PLATFORMS], case_sensitive=False))
def release(platform: str) -> None:
    """Drop the pictures that a platform says are gone and that are held back because they are too many.

    Also lets its accounts count as disconnected where that is held back. Look at the platform first: a mass of pictures
    that vanish within a day is rarely the talents' doing.
    """
    with open_database(load_settings()) as engine:
        done = release_held(engine, platform, now=utc_now())
    click.echo(
        f"Released {platform}: {done.pictures} pictures dropped, "
        f"{done.connections} accounts wait for their talents to reconnect them."
    )
