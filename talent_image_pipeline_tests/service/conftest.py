"""One running service for all tests that only talk to it.

What belongs here: the fixture.
What does not: starting it (``live_service.py``).
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from talent_image_pipeline_tests.service.live_service import LiveService, live_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[LiveService]:
    """The service on SQLite, with the sandbox; every test adds talents of its own."""
    home = tmp_path_factory.mktemp("service")
    database = shutil.copy(migrated_sqlite_file, home / "talents.db")
    with live_service(home=home, database_url=f"sqlite:///{database}") as running:
        yield running
