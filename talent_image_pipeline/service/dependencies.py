"""What the routes work with, handed to the app once when it is built.

What belongs here: the bundle, and finding it from a request.
What does not: opening any of it (the command ``serve``) and using it (the routes).
"""

from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.refreshing import Refreshing
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.publishing.publish import PublishingRules


@dataclass(frozen=True, kw_only=True)
class ServiceDependencies:
    """What the routes work with.

    Attributes:
        engine: The app's database; its owner closes it.
        store: Where the pictures are.
        api_token: What opens the API.
        refreshing: Runs refreshes and batches in this process.
    """

    settings: Settings
    engine: sa.Engine
    store: PictureStore
    api_token: SecretStr
    refreshing: Refreshing
    clock: Clock

    @property
    def publishing_rules(self) -> PublishingRules:
        """What the choice of a picture depends on besides the talent."""
        return PublishingRules(
            public_url=self.settings.talent_image_public_url,
            verified_only=self.settings.talent_image_verified_only,
        )


def dependencies_of(connection: HTTPConnection) -> ServiceDependencies:
    """Return what the app was built with."""
    dependencies: ServiceDependencies = connection.app.state.dependencies
    return dependencies


Dependencies = Annotated[ServiceDependencies, Depends(dependencies_of)]
