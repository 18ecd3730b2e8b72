"""Stopping the service while a refresh goes on: it ends, and its answer is sent."""

import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from talent_image_pipeline_tests.service.live_service import live_service


def test_a_refresh_that_goes_on_when_the_service_is_stopped_ends_and_is_answered(
    tmp_path: Path, migrated_sqlite_file: Path
) -> None:
    database = shutil.copy(migrated_sqlite_file, tmp_path / "talents.db")
    with live_service(home=tmp_path / "home", database_url=f"sqlite:///{database}") as service:
        talent_id = service.add_talent("instagram")
        service.world.set_latency(api=1.0, image=0)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(service.sync, talent_id)
            while not service.calls(talent_id):
                assert not asked.done()
            service.process.send_signal(signal.SIGTERM)
            answer = asked.result(timeout=60)
        service.process.wait(timeout=60)

        assert answer.status_code == 200
        assert service.columns(talent_id)[0] == "instagram"
        assert [entry.result for entry in service.audit(talent_id)] == ["succeeded"]


def test_several_workers_serve_one_port_and_end_together(tmp_path: Path, migrated_sqlite_file: Path) -> None:
    database = shutil.copy(migrated_sqlite_file, tmp_path / "talents.db")
    with live_service(
        home=tmp_path / "home",
        database_url=f"sqlite:///{database}",
        environment={"TALENT_SERVICE_WORKERS": "2"},
    ) as service:
        talent_id = service.add_talent()
        assert service.anonymous.get(f"/avatars/{talent_id}").status_code == 200
        assert service.client.get("/api/admin/talents").status_code == 200
        workers = workers_of(service.process.pid)
        assert len(workers) == 2

        service.process.send_signal(signal.SIGTERM)
        service.process.wait(timeout=60)

        assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


def workers_of(process_id: int) -> list[str]:
    """Return the worker processes of a service; Python's own process that tracks shared resources is none."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
