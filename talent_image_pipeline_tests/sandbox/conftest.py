"""Fixtures of the sandbox's tests: an empty world that is served on loopback, and a client for it.

What belongs here: what every file of this room uses.
What does not: anything about one platform.
"""

import ssl
from collections.abc import Iterator

import httpx
import pytest

from talent_image_pipeline.sandbox.server import RunningSandbox, running_sandbox
from talent_image_pipeline.sandbox.world import World


@pytest.fixture
def world() -> World:
    """A world without accounts."""
    return World()


@pytest.fixture
def sandbox(world: World) -> Iterator[RunningSandbox]:
    """That world, served over real sockets."""
    with running_sandbox(world) as running:
        yield running


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client that follows no redirects and asks no proxy."""
    # A context that trusts nobody: loading the system's authorities would take longer than most tests.
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with httpx.Client(trust_env=False, timeout=10, verify=nobody) as made:
        yield made
