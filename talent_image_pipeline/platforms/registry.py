"""Every platform that we know: the one list that a new network's file is added to.

What belongs here: the list, and finding platforms in it by name. Which of them are active, and in which order their
pictures win, is a setting.
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


def platforms_in(names: str) -> tuple[Platform, ...]:
    """Return the platforms of a comma-separated list of names, in its order.

    Raises:
        ValueError: a name is unknown or stands twice, or there is none at all; the message says so.
    """
    written = [name.strip().lower() for name in names.split(",") if name.strip()]
    known = {platform.name: platform for platform in PLATFORMS}
    unknown = [name for name in written if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no platform; known are {', '.join(known)}")
    if len(set(written)) < len(written):
        raise ValueError("A platform stands in it twice")
    if not written:
        raise ValueError(f"It names no platform; known are {', '.join(known)}")
    return tuple(known[name] for name in written)


def platform_named(name: str) -> Platform | None:
    """Return the platform of a name in any case; none for a network that we do not know."""
    wanted = name.strip().lower()
    return next((platform for platform in PLATFORMS if platform.name == wanted), None)
