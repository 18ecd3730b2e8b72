"""The pages' addresses.

What belongs here: the list.
What does not: anything that is on the list.
"""

from starlette.routing import BaseRoute, Route

from talent_image_pipeline.service.pages.gallery import show_gallery
from talent_image_pipeline.service.pages.login import log_in, log_out, show_login
from talent_image_pipeline.service.pages.static_files import StaticFiles
from talent_image_pipeline.service.pages.statistics import show_statistics
from talent_image_pipeline.service.pages.talent import show_talent


def page_routes() -> list[BaseRoute]:
    """Return the routes of all pages and of what they load."""
    static = StaticFiles()
    return [
        Route("/", show_gallery),
        Route("/talents/{talent_id}", show_talent),
        Route("/stats", show_statistics),
        Route("/login", show_login),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
        Route("/static/{file_name}", static.respond),
        Route("/embed/talent-avatar.js", static.respond_with_avatar_element),
    ]
