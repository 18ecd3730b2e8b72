"""A refresh that a person interrupts, or that is told to end, ends."""

import signal
import sys
import time

import pytest

from talent_image_pipeline_tests.end_to_end.conftest import Pipeline


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_refresh_in_the_middle_of_a_read_is_ended_in_one_line(pipeline: Pipeline, how: signal.Signals) -> None:
    pipeline.connect("ada", "instagram", "ada")
    pipeline.world.set_situation("instagram", "ada", "picture_slow", seconds=600)
    process = pipeline.start([sys.executable, "-m", "talent_image_pipeline.cli.main", "refresh", "ada"])
    while not pipeline.world.calls.total("instagram.me"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)

    process.send_signal(how)
    output, _ = process.communicate(timeout=60)

    assert output.splitlines()[-1] == "Interrupted."
    assert process.returncode == 130
