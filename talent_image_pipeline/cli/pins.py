"""``rollback`` and ``unpin``: choosing an earlier picture of a talent, and letting the platforms decide again."""

import anyio
import click

from talent_image_pipeline.cli.opening import open_database
from talent_image_pipeline.cli.plain_text import single_line
from talent_image_pipeline.cli.show import SHORT_HASH
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.records import VersionRecord
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.settings import Settings, load_settings
from talent_image_pipeline.sync.planning.talent_names import find_talent
from talent_image_pipeline.sync.publishing.pins import roll_back
from talent_image_pipeline.sync.publishing.pins import unpin as unpin_talent
from talent_image_pipeline.sync.publishing.publish import PublishingRules


@click.command(epilog="Example: talent-images rollback talent_maya_stone")
@click.argument("talent")
@click.argument("version", type=int, required=False)
def rollback(talent: str, version: int | None) -> None:
    """Pin an earlier picture of a talent until it is unpinned.

    TALENT is an id or a name; VERSION a number from talent-images show, by default the picture before the current one.
    """
    settings = load_settings()
    with open_database(settings) as engine:
        store = PictureStore.from_url(settings.image_store_url)
        talent_id = find_talent(engine, talent)

        async def pin() -> VersionRecord:
            return await roll_back(engine, store, talent_id, version_id=version, rules=_rules(settings), now=utc_now())

        pinned = anyio.run(pin)
    what = f"the {pinned.source} picture {pinned.picture_hash[:SHORT_HASH]}" if pinned.picture_hash else "initials"
    click.echo(f"Pinned {single_line(talent_id)} to version {pinned.version_id}: {what}.")


@click.command(epilog="Example: talent-images unpin talent_maya_stone")
@click.argument("talent")
def unpin(talent: str) -> None:
    """Unpin a talent's picture, so that the platforms decide again.

    TALENT is an id or a name.
    """
    settings = load_settings()
    with open_database(settings) as engine:
        talent_id = find_talent(engine, talent)
        resolution = unpin_talent(engine, talent_id, rules=_rules(settings), now=utc_now())
    shown = resolution.source if resolution else "the same picture as before"
    click.echo(f"Unpinned {single_line(talent_id)}: it now shows {shown}.")


def _rules(settings: Settings) -> PublishingRules:
    return PublishingRules(
        public_url=settings.talent_image_public_url, verified_only=settings.talent_image_verified_only
    )
