"""Pictures are rendered in bounded processes: a hostile one costs no other picture anything."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from PIL import Image

from talent_image_pipeline.pictures.rendering.render import render_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import (
    NotAPicture,
    RenderedPicture,
    RenderingUnavailable,
)
from talent_image_pipeline.pictures.rendering.worker_pool import PictureWorkers, WorkerLimits, process_workers
from talent_image_pipeline_tests.pictures.picture_files import FORMATS, astronaut, encoded, portrait_on, small_file

PORTRAIT = encoded(astronaut(), "JPEG")
LARGE = encoded(astronaut().resize((300, 300)).resize((4800, 4800), Image.Resampling.NEAREST), "PNG")


def children() -> set[int]:
    """Return the processes that this one started and that live."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


def environment_of(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


async def outcome(workers: PictureWorkers, body: bytes) -> RenderedPicture | str:
    try:
        return await workers.render(body)
    except (NotAPicture, RenderingUnavailable) as reason:
        return f"{type(reason).__name__}: {reason}"


def test_a_worker_renders_as_the_function_does() -> None:
    async def scenario() -> RenderedPicture:
        async with PictureWorkers(processes=1) as workers:
            await workers.warm()
            return await workers.render(PORTRAIT)

    assert anyio.run(scenario) == render_picture(PORTRAIT)


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("is_portrait", [True, False], ids=["a portrait", "no face"])
def test_a_worker_that_is_locked_up_needs_no_file_for_any_picture(image_format: str, is_portrait: bool) -> None:
    scene = (
        portrait_on((1100, 900), width=150, at=(300, 100))
        if is_portrait
        else Image.radial_gradient("L").resize((900, 700))
    )
    body = encoded(scene.convert("RGB"), image_format)

    async def scenario() -> RenderedPicture:
        return await process_workers().render(body)

    assert anyio.run(scenario) == render_picture(body)


def test_a_worker_makes_room_for_a_fresh_one_after_so_many_pictures() -> None:
    async def scenario() -> list[set[int]]:
        before = children()
        async with PictureWorkers(processes=1, limits=WorkerLimits(pictures=2)) as workers:
            seen = []
            for _ in range(4):
                await workers.warm()
                seen.append(children() - before)
                assert await workers.render(PORTRAIT)
            return seen

    first, second, third, fourth = anyio.run(scenario)
    assert first == second != third == fourth
    assert all(len(workers) == 1 for workers in (first, third))


def test_a_refusal_comes_back_in_words_and_the_worker_lives_on() -> None:
    async def scenario() -> list[RenderedPicture | str]:
        async with PictureWorkers(processes=1) as workers:
            await workers.warm()
            before = children()
            results = [await outcome(workers, body) for body in (b"<html>", PORTRAIT[:-9], b"", PORTRAIT)]
            assert children() == before
            return results

    *refused, rendered = anyio.run(scenario)
    assert all(isinstance(words, str) for words in refused)
    assert isinstance(rendered, RenderedPicture)


def test_no_more_processes_run_than_were_asked_for_and_none_is_left() -> None:
    before = children()

    seen: list[int] = []

    async def scenario() -> None:
        async with PictureWorkers(processes=2) as workers, anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(workers.render, PORTRAIT)
            await anyio.sleep(1)
            seen.append(len(children() - before))

    anyio.run(scenario)
    assert seen[0] <= 2
    assert children() <= before


def test_a_picture_that_needs_too_much_memory_is_refused_and_the_others_are_rendered() -> None:
    async def scenario() -> list[RenderedPicture | str]:
        limits = WorkerLimits(memory_bytes=60 * 1024 * 1024)
        results: list[RenderedPicture | str] = []
        async with PictureWorkers(processes=2, limits=limits) as workers, anyio.create_task_group() as group:

            async def note(body: bytes) -> None:
                results.append(await outcome(workers, body))

            for body in (LARGE, *[PORTRAIT] * 6):
                group.start_soon(note, body)
        return results

    results = anyio.run(scenario)
    words = [result for result in results if isinstance(result, str)]
    assert len(words) == 1
    assert "memory" in words[0]
    assert {result.content_hash for result in results if isinstance(result, RenderedPicture)} == {
        render_picture(PORTRAIT).content_hash
    }


def test_what_takes_too_long_on_the_clock_is_unavailable_and_its_worker_replaced() -> None:
    async def scenario() -> tuple[RenderedPicture | str, RenderedPicture | str]:
        async with PictureWorkers(processes=1) as workers:
            await workers.warm()
            impatient = PictureWorkers(processes=1, limits=WorkerLimits(seconds=0.01))
            async with impatient:
                return await outcome(impatient, LARGE), await outcome(workers, PORTRAIT)

    given_up, rendered = anyio.run(scenario)
    assert str(given_up).startswith("RenderingUnavailable: ")
    assert isinstance(rendered, RenderedPicture)


async def kill_busy_workers(signal_number: int, *, times: int, before: set[int]) -> None:
    """Kill the worker that is at work on a large picture, so many times."""
    while times:
        busy = [process for process in children() - before if resident_bytes(process) > 140 << 20]
        for process in busy[:times]:
            os.kill(process, signal_number)
        times -= len(busy[:times])
        await anyio.sleep(0.01)


def resident_bytes(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def outcome_when_killed(signal_number: int, *, times: int) -> RenderedPicture | str:
    async def scenario() -> list[RenderedPicture | str]:
        before = children()
        results = []
        async with PictureWorkers(processes=1) as workers, anyio.create_task_group() as group:
            group.start_soon(lambda: kill_busy_workers(signal_number, times=times, before=before))
            results.append(await outcome(workers, LARGE))
            group.cancel_scope.cancel()
        return results

    (result,) = anyio.run(scenario)
    return result


def test_a_picture_whose_worker_was_killed_from_outside_is_rendered_by_a_fresh_one() -> None:
    assert isinstance(outcome_when_killed(signal.SIGKILL, times=1), RenderedPicture)


def test_a_picture_whose_workers_are_killed_from_outside_twice_is_unavailable_and_not_refused() -> None:
    assert str(outcome_when_killed(signal.SIGKILL, times=2)).startswith("RenderingUnavailable: ")


def test_a_picture_that_crashes_its_worker_is_refused_without_a_second_try() -> None:
    assert str(outcome_when_killed(signal.SIGSEGV, times=1)).startswith("NotAPicture: it crashed")


def test_a_large_picture_is_rendered_while_no_other_worker_lives() -> None:
    async def scenario() -> list[int]:
        before = children()
        beside: list[int] = []
        async with PictureWorkers(processes=3) as workers:
            await workers.warm()
            async with anyio.create_task_group() as group:

                async def look() -> None:
                    while True:
                        living = children() - before
                        if any(resident_bytes(process) > 140 << 20 for process in living):
                            beside.append(len(living) - 1)
                        await anyio.sleep(0.005)

                group.start_soon(look)
                async with anyio.create_task_group() as rendering:
                    for body in (PORTRAIT, LARGE, PORTRAIT, PORTRAIT):
                        rendering.start_soon(workers.render, body)
                group.cancel_scope.cancel()
        return beside

    beside = anyio.run(scenario)
    assert beside
    assert set(beside) == {0}


def test_a_picture_that_needs_too_much_processor_time_is_refused_and_the_worker_replaced() -> None:
    async def scenario() -> tuple[RenderedPicture | str, RenderedPicture | str]:
        async with PictureWorkers(processes=1, limits=WorkerLimits(processor_seconds=0)) as workers:
            return await outcome(workers, many_scans()), await outcome(workers, small_file("JPEG"))

    refused, rendered = anyio.run(scenario)
    assert "processor time" in str(refused)
    assert isinstance(rendered, RenderedPicture)


def many_scans() -> bytes:
    """Return a JPEG file of 23 megapixels that draws its first scan fifty times, which takes seconds to decode."""
    body = encoded(astronaut().resize((4800, 4800)), "JPEG", progressive=True, quality=60)
    first_scan = body.index(b"\xff\xda")
    second_scan = body.index(b"\xff\xc4", first_scan)
    return body[:second_scan] + body[first_scan:second_scan] * 50 + body[second_scan:]


@pytest.mark.parametrize("signal_number", [9, 11, 15])
def test_a_worker_that_dies_idle_is_replaced(signal_number: int) -> None:
    async def scenario() -> RenderedPicture:
        async with PictureWorkers(processes=1) as workers:
            before = children()
            await workers.warm()
            for process in children() - before:
                os.kill(process, signal_number)
            await anyio.sleep(0.2)
            return await workers.render(PORTRAIT)

    assert anyio.run(scenario).side == 512


def test_a_cancelled_picture_frees_its_place_at_once() -> None:
    async def scenario() -> RenderedPicture:
        async with PictureWorkers(processes=1) as workers:
            await workers.warm()
            with anyio.move_on_after(0.1):
                await workers.render(LARGE)
            return await workers.render(PORTRAIT)

    assert anyio.run(scenario).side == 512


def test_one_set_of_workers_serves_one_event_loop_after_the_other() -> None:
    workers = PictureWorkers(processes=1)

    async def scenario() -> set[int]:
        await workers.render(PORTRAIT)
        return children()

    try:
        assert anyio.run(scenario) == anyio.run(scenario)
    finally:
        workers.close()


def test_the_workers_of_a_process_stay_warm_between_runs_and_end_with_it() -> None:
    program = (
        "import anyio, pathlib, sys;"
        "from talent_image_pipeline.pictures.rendering.worker_pool import process_workers;"
        "body = sys.stdin.buffer.read();"
        "found = lambda: [p.parent.name for p in pathlib.Path('/proc').glob('[0-9]*/cmdline')"
        " if b'worker_process' in p.read_bytes() and str(__import__('os').getpid())"
        " == (p.parent / 'stat').read_text().rpartition(')')[2].split()[1]];"
        "anyio.run(process_workers().render, body); first = found();"
        "anyio.run(process_workers().render, body); print(*first, *found())"
    )
    result = subprocess.run([sys.executable, "-c", program], input=PORTRAIT, capture_output=True, check=True)
    first, second = result.stdout.split()
    assert first == second
    assert not Path(f"/proc/{int(first)}").exists()


def test_workers_that_nobody_refers_to_any_more_end() -> None:
    before = children()

    async def scenario() -> None:
        await PictureWorkers(processes=1).render(PORTRAIT)

    anyio.run(scenario)
    gc.collect()
    assert children() <= before


@pytest.mark.parametrize(("pictures", "started"), [(1, 1), (50, 2)])
def test_no_more_processes_are_started_early_than_there_are_pictures_to_come(pictures: int, started: int) -> None:
    async def scenario() -> int:
        async with PictureWorkers(processes=2) as workers:
            before = children()
            await workers.warm(pictures=pictures)
            return len(children() - before)

    assert anyio.run(scenario) == started


def test_a_worker_that_cannot_be_started_early_is_no_error_until_a_picture_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")

    async def scenario() -> None:
        async with PictureWorkers(processes=1) as workers:
            await workers.warm()
            with pytest.raises(RenderingUnavailable, match="no process could be started"):
                await workers.render(PORTRAIT)

    anyio.run(scenario)


def test_a_worker_process_knows_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALENT_API_TOKEN", "planted-secret")

    async def scenario() -> list[bytes]:
        async with PictureWorkers(processes=1) as workers:
            before = children()
            await workers.warm()
            return [environment_of(process) for process in children() - before]

    environments = anyio.run(scenario)
    assert environments
    assert all(b"planted-secret" not in environment for environment in environments)


def test_the_process_of_a_run_does_not_load_the_decoders() -> None:
    program = (
        "import sys;"
        "import talent_image_pipeline.pictures.rendering.worker_pool;"
        "import talent_image_pipeline.pictures.rendering.perceptual_hash;"
        "print({'cv2', 'numpy', 'PIL'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
