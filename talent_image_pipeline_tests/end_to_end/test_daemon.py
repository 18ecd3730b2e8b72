"""The real daemon: a row is inserted, the sensor fires, the run succeeds, the columns change."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from talent_image_pipeline_tests.end_to_end.conftest import Pipeline

_LONGEST_WAIT_SECONDS = 120


@contextmanager
def running_daemon(pipeline: Pipeline) -> Iterator[None]:
    log = (pipeline.home / "daemon.log").open("w")
    command = [str(Path(sys.executable).parent / "dagster-daemon"), "run", "-w", "workspace.yaml"]
    environment = {**os.environ, **pipeline.environment, "DAGSTER_HOME": str(pipeline.home)}
    process = subprocess.Popen(
        command, cwd=pipeline.home, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def wait_for_source(pipeline: Pipeline, talent_id: str, source: str) -> None:
    for _ in range(_LONGEST_WAIT_SECONDS * 10):
        if pipeline.sources().get(talent_id) == source:
            return
        time.sleep(0.1)
    raise AssertionError(
        f"{talent_id} shows {pipeline.sources()}\n{(pipeline.home / 'daemon.log').read_text()[-5000:]}"
    )


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_an_account_that_appears_and_one_that_goes_reach_the_talent_by_themselves(pipeline: Pipeline) -> None:
    with running_daemon(pipeline):
        instagram = pipeline.connect("talent", "instagram", "handle")
        pipeline.connect("talent", "tiktok", "handle")
        wait_for_source(pipeline, "talent", "instagram")
        pipeline.change_account(instagram, connected=False)
        wait_for_source(pipeline, "talent", "tiktok")
