"""Renders pictures in worker processes, so that a hostile one can harm neither the run nor the other pictures.

What belongs here: starting, watching, limiting and replacing the processes. This module imports nothing heavy: the
libraries that decode are loaded in the workers alone.
What does not: what a worker does with a picture (``worker_process.py``, ``render.py``).

The standard library's process pool ends all its workers when one dies, cannot end a single one, refuses to work inside
daemonic processes (as of Celery) and unpickles what workers say. Here a worker is a plain subprocess that is spoken to
in JSON and bytes, gets an empty environment, and may be killed at any time.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import anyio
from anyio import to_thread
from anyio.lowlevel import RunVar

from talent_image_pipeline.pictures.rendering.rendered_picture import CropBox, NotAPicture, RenderedPicture

_MODULE = "talent_image_pipeline.pictures.rendering.worker_process"
_LENGTH_BYTES = 8
_LONGEST_ANSWER = 16 * 1024 * 1024
_EXIT_OUT_OF_MEMORY = 3
_READY = b"ready\n"


@dataclass(frozen=True, kw_only=True)
class WorkerLimits:
    """What one picture may cost.

    Attributes:
        memory_bytes: Address space of a worker process. 50 megapixels of four channels are 200 MB.
        processor_seconds: Processor time for one picture.
        seconds: Time on the clock for one picture, for what waits instead of computing.
        pictures: How many a worker renders before a fresh one takes its place: over 10,000 pictures one grew from 75 to
            190 MB.
    """

    memory_bytes: int = 1536 * 1024 * 1024
    processor_seconds: int = 8
    seconds: float = 30.0
    pictures: int = 500


class PictureWorkers:
    """A bounded set of worker processes that render pictures.

    It belongs to no event loop: one instance serves any number of them, one after the other or at once, and keeps its
    processes in between. It may be created before a fork; each process then has workers of its own.
    """

    def __init__(self, *, processes: int | None = None, limits: WorkerLimits | None = None) -> None:
        """Plan the workers; the processes start with the first picture, or with :meth:`warm`.

        Args:
            processes: How many, by default one for each core that this process may use.
            limits: What one picture may cost.
        """
        self.processes = processes or available_cores()
        self._limits = limits or WorkerLimits()
        self._limiter = RunVar[anyio.CapacityLimiter]("picture workers")
        self._begin()

    def _begin(self) -> None:
        self._owner = os.getpid()
        self._slots: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.processes):
            self._slots.put(None)
        self._living: set[_Worker] = set()
        self._stop = weakref.finalize(self, _stop_all, self._living, self._owner)

    async def __aenter__(self) -> "PictureWorkers":
        """Return the workers; they are closed at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self.close)

    def close(self) -> None:
        """End all processes. The workers may be used again afterwards; new processes then start."""
        self._stop()
        self._begin()

    async def warm(self, *, pictures: int | None = None) -> None:
        """Start the processes, so that the first pictures do not wait for them. One that does not start is no error.

        Args:
            pictures: How many pictures are expected: no more processes than that are started; all by default.
        """
        self._forget_after_fork()
        wanted = self.processes if pictures is None else min(pictures, self.processes)
        async with anyio.create_task_group() as group:
            for _ in range(wanted):
                group.start_soon(self._warm_one)

    async def render(self, body: bytes) -> RenderedPicture:
        """Render one picture in a worker process.

        Args:
            body: The bytes as they were received.

        Raises:
            NotAPicture: The bytes are refused, cost more than a picture may, or crashed the worker. Other pictures are
                not affected; a worker that was lost is replaced.
        """
        self._forget_after_fork()
        return _picture_from(*await self._supervised(body))

    async def _warm_one(self) -> None:
        with contextlib.suppress(NotAPicture, OSError):
            await self._supervised(None)

    async def _supervised(self, body: bytes | None) -> tuple[dict[str, Any], list[bytes]]:
        """Let a worker answer, and kill it when it takes too long or nobody waits for the answer any more."""
        errand = _Job()
        async with self._bound():
            try:
                with anyio.fail_after(self._limits.seconds):
                    return await to_thread.run_sync(
                        self._run, errand, body, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
                    )
            except TimeoutError:
                raise NotAPicture(f"it took longer than {self._limits.seconds:g} s to render") from None
            finally:
                errand.abandon()

    def _bound(self) -> anyio.CapacityLimiter:
        try:
            return self._limiter.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self.processes)
            self._limiter.set(limiter)
            return limiter

    def _run(self, errand: "_Job", body: bytes | None) -> tuple[dict[str, Any], list[bytes]]:
        """Take a place, with a living process in it, and give it back afterwards. Runs in a thread."""
        slots, living = self._slots, self._living
        worker = slots.get()
        try:
            if worker is None or worker.process.poll() is not None:
                _discard(worker, living)
                worker = _Worker(self._limits)
                living.add(worker)
            if not errand.begin(worker):
                return {}, []
            answer = worker.answer(body)
            if worker.pictures >= self._limits.pictures:
                _discard(worker, living)
                worker = None
            return answer
        except BaseException:
            _discard(worker, living)
            worker = None
            raise
        finally:
            errand.end()
            slots.put(worker)

    def _forget_after_fork(self) -> None:
        if self._owner != os.getpid():
            self._begin()


class _Job:
    """One picture on its way through a worker, which may be abandoned from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._is_abandoned = False

    def begin(self, worker: "_Worker") -> bool:
        """Note which worker is busy with it; false where nobody waits for it any more."""
        with self._lock:
            self._worker = worker
            return not self._is_abandoned

    def end(self) -> None:
        """Note that the worker is free again."""
        with self._lock:
            self._worker = None

    def abandon(self) -> None:
        """Kill the worker that is still busy with it."""
        with self._lock:
            self._is_abandoned = True
            if self._worker is not None:
                self._worker.process.kill()


class _Worker:
    """One worker process and the pipes to it."""

    def __init__(self, limits: WorkerLimits) -> None:
        command = [sys.executable, "-P", "-m", _MODULE, str(limits.memory_bytes), str(limits.processor_seconds)]
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_bare_environment(),
        )
        self._is_ready = False
        self.pictures = 0

    def answer(self, body: bytes | None) -> tuple[dict[str, Any], list[bytes]]:
        """Wait until the process is ready and, if there is a picture, for what it says of it."""
        try:
            if not self._is_ready:
                self._is_ready = self._read(len(_READY)) == _READY
            if body is None:
                return {}, []
            return self._exchange(body)
        except (OSError, EOFError, ValueError):
            raise NotAPicture(self._cause_of_death()) from None

    def _exchange(self, body: bytes) -> tuple[dict[str, Any], list[bytes]]:
        assert self.process.stdin is not None  # noqa: S101 - opened as a pipe
        self.process.stdin.write(len(body).to_bytes(_LENGTH_BYTES, "big"))
        self.process.stdin.write(body)
        self.process.stdin.flush()
        self.pictures += 1
        header = json.loads(self._read(int.from_bytes(self._read(_LENGTH_BYTES), "big")))
        return header, [self._read(length) for length in header["lengths"]]

    def _read(self, length: int) -> bytes:
        assert self.process.stdout is not None  # noqa: S101 - opened as a pipe
        if length > _LONGEST_ANSWER:
            raise ValueError("the worker's answer is too long")
        content = self.process.stdout.read(length)
        if len(content) < length:
            raise EOFError
        return content

    def _cause_of_death(self) -> str:
        self.stop()
        ended_by = self.process.returncode
        if ended_by == _EXIT_OUT_OF_MEMORY:
            return "it needs more memory than a picture may"
        if sys.platform != "win32" and ended_by == -signal.SIGXCPU:
            return "it needs more processor time than a picture may"
        return f"the worker process that rendered it ended unexpectedly ({ended_by})"

    def stop(self) -> None:
        """End the process and close the pipes to it."""
        if self.process.poll() is None:
            # A process that is about to end by itself keeps its own exit code.
            try:
                self.process.wait(0.2)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            _close(pipe)


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _close(pipe: Any) -> None:
    # What was buffered for a process that is gone cannot be written.
    with contextlib.suppress(OSError):
        pipe.close()


def _bare_environment() -> dict[str, str]:
    """Return the environment of a worker: where the code is, and nothing else."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    search_path = os.pathsep.join(entry for entry in sys.path if entry)
    single_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return kept | single_thread | {"PYTHONPATH": search_path}


def _discard(worker: _Worker | None, living: set[_Worker]) -> None:
    if worker is not None:
        worker.stop()
        living.discard(worker)


def _stop_all(living: set[_Worker], owner: int) -> None:
    """End all workers; in a forked process they belong to the parent and are left alone."""
    if os.getpid() != owner:
        return
    for worker in list(living):
        worker.process.kill()
    while living:
        living.pop().stop()


def _picture_from(header: dict[str, Any], blobs: list[bytes]) -> RenderedPicture:
    if "refused" in header:
        raise NotAPicture(header["refused"])
    left, top, side = header["crop"]
    return RenderedPicture(
        content_hash=header["content_hash"],
        renditions={int(size): blobs[index] for size, index in header["renditions"].items()},
        width=header["width"],
        height=header["height"],
        side=header["side"],
        crop=CropBox(left=left, top=top, side=side),
        focus_x=header["focus"][0],
        focus_y=header["focus"][1],
        perceptual_hash=header["perceptual_hash"],
        is_generated=header["generated_message"] is not None,
        generated_message=header["generated_message"],
    )
