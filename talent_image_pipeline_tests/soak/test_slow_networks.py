"""Networks that take too long: nobody waits for ever, and nothing that we own is lost.

Real seconds pass here, as a request's deadline is a matter of the clock on the wall; so everything is slow at once.
"""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from talent_image_pipeline.pictures.download.downloader import DownloadLimits
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sandbox.situations import Situation
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline_tests.soak.conftest import FIRST_DAY
from talent_image_pipeline_tests.soak.simulation import Simulation, open_simulation

pytestmark = pytest.mark.usefixtures("retries_at_once")

LONGER_THAN_ANYBODY_WAITS = 60
#: Network, whether it is read with a token of the account's own, and what is slow. YouTube reads all its channels in
#: one call, so that its pictures cannot be slow beside it.
SLOW = (
    ("instagram", True, Situation.SLOW),
    ("instagram", True, Situation.PICTURE_SLOW),
    ("instagram", True, Situation.PICTURE_TRICKLE),
    ("instagram", False, Situation.SLOW),
    ("instagram", False, Situation.PICTURE_SLOW),
    ("tiktok", True, Situation.SLOW),
    ("tiktok", True, Situation.PICTURE_TRICKLE),
    ("youtube", False, Situation.SLOW),
)


def test_whatever_answers_too_late_is_unavailable_and_keeps_its_picture(
    migrated_sqlite_file: Path, tmp_path: Path
) -> None:
    file = shutil.copy(migrated_sqlite_file, tmp_path / "talents.db")
    with open_simulation(
        database_url=f"sqlite:///{file}",
        directory=tmp_path,
        begins_at=FIRST_DAY,
        limits=ReadingLimits(account_deadline_seconds=5),
        download_limits=DownloadLimits(deadline_seconds=2),
    ) as simulation:
        simulation.world.rules.tiktok_access_seconds = int(timedelta(days=90).total_seconds())
        accounts = [_with_a_picture(simulation, number) for number in range(len(SLOW))]
        simulation.sync_daily()
        before = {account_id: simulation.ledger(account_id)["picture_hash"] for account_id in accounts}
        shown = [simulation.shown(f"talent-{number}") for number in range(len(SLOW))]
        assert all(before.values())
        simulation.clock.advance(timedelta(days=1))
        _slow_down(simulation)
        simulation.forget_calls()
        simulation.sync_daily()
        after = [simulation.ledger(account_id) for account_id in accounts]
        assert [row["outcome"] for row in after] == [Outcome.UNAVAILABLE] * len(SLOW)
        assert {row["account_id"]: row["picture_hash"] for row in after} == before
        assert [simulation.shown(f"talent-{number}") for number in range(len(SLOW))] == shown
        # A call is not repeated beyond the account's deadline, a download once.
        calls = simulation.calls()
        assert (calls["instagram.me"], calls["tiktok.user_info"], calls["youtube.channels"]) == (3, 2, 1)
        assert (calls["instagram.picture"], calls["tiktok.picture"]) == (2 * 3, 2 * 1)


def _with_a_picture(simulation: Simulation, number: int) -> str:
    network, has_token, _ = SLOW[number]
    simulation.add_upstream(network, f"handle.{number}")
    simulation.add_talent(f"talent-{number}")
    return simulation.connect(f"talent-{number}", network, f"handle.{number}", with_token=has_token)


def _slow_down(simulation: Simulation) -> None:
    for number, (network, _, situation) in enumerate(SLOW):
        handle = f"handle.{number}"
        simulation.world.upload_new_picture(network, handle)
        simulation.world.set_situation(network, handle, situation, seconds=LONGER_THAN_ANYBODY_WAITS)
