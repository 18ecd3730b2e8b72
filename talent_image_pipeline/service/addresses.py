"""Where things are: the stable avatar, stored pictures, and runs in Dagster's UI.

What belongs here: addresses, as pure functions of the settings.
What does not: what answers there.
"""

from urllib.parse import quote

from talent_image_pipeline.pictures.store.keys import PROFILE_SIZE, rendition_url
from talent_image_pipeline.settings import Settings


def avatar_url(settings: Settings, talent_id: str) -> str:
    """Return the address that always shows a picture of the talent: today's or the initials."""
    return f"{settings.talent_image_public_url}/avatars/{quote(talent_id, safe='')}"


def picture_url(settings: Settings, content_hash: str | None, size: int = PROFILE_SIZE) -> str | None:
    """Return the address of a stored picture; none for none."""
    return None if content_hash is None else rendition_url(settings.talent_image_public_url, content_hash, size)


def run_url(settings: Settings, run_id: str) -> str:
    """Return where Dagster's UI shows a run."""
    return f"{settings.talent_dagster_url}/runs/{quote(run_id, safe='')}"


def batch_url(settings: Settings, batch_id: str) -> str:
    """Return where to ask how far a batch is."""
    return f"{settings.talent_image_public_url}/api/admin/talent/sync/profile-images/{quote(batch_id, safe='')}"
