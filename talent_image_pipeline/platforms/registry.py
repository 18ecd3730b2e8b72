"""Every platform that we know, in the order in which its pictures win.

What belongs here: the list. A new network is one file beside this one and one line here.
What does not: anything else.
"""

from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.platforms.instagram import INSTAGRAM
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.platforms.youtube import YOUTUBE

PLATFORMS: tuple[Platform, ...] = (
    INSTAGRAM,
    TIKTOK,
    YOUTUBE,
)


def platform_named(name: str) -> Platform | None:
    """Return the platform of a name in any case; none for a network that we do not know."""
    wanted = name.strip().lower()
    return next((platform for platform in PLATFORMS if platform.name == wanted), None)
