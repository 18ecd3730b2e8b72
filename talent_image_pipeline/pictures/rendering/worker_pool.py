"""Renders pictures in worker processes, so that a hostile one can harm neither the run nor the other pictures.

What belongs here: starting, watching, limiting and replacing the processes. This module imports nothing heavy: the
libraries that decode are loaded in the workers alone.
What does not: what a worker does with a picture (``worker_process.py``, ``render.py``).

The standard library's process pool ends all its workers when one dies, cannot end a single one, refuses to work inside
daemonic processes (as of Celery) and unpickles what workers say. Here a worker is a plain subprocess that is spoken to
in JSON and bytes, gets an empty environment, and may be killed at any time.

Whose fault it is when a worker is lost. Out of memory, out of processor time, or ended by its own fault (a signal such
as SIGSEGV): the picture's. Killed from outside, out of time on the clock, or never started: ours. Then the picture is
tried once more in a fresh process, and after that it is unavailable, not refused.

Memory. An ordinary picture takes some tens of megabytes beyond what a worker takes by itself. A large one
(``InspectedPicture.is_large``) may take ten times as much: it waits until no other worker is busy, the others are
ended, and it is rendered alone.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any

import anyio
from anyio import to_thread
from anyio.lowlevel import RunVar

from talent_image_pipeline.pictures.rendering.rendered_picture import (
    CropBox,
    NotAPicture,
    RenderedPicture,
    RenderingUnavailable,
)
from talent_image_pipeline.pictures.rendering.sandbox import Protection, protect_memory

MOST_WORKERS = 3
"""The most processes at once, whatever the number of cores: each takes about 120 MB, and a run has 600 MB in all."""

_MODULE = "talent_image_pipeline.pictures.rendering.worker_process"
# Without the environment, the user's own packages and the working directory; the way to the code is an argument.
_START = (
    "import os, sys, json; os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1');"
    " sys.path[:] = json.loads(sys.argv[1]);"
    f" from {_MODULE} import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
_LENGTH_BYTES = 8
_LONGEST_ANSWER = 16 * 1024 * 1024
_EXIT_OUT_OF_MEMORY = 3
# How a process ends that a decoder crashed, by the names of the signals.
_CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS"})
_TRIES = 2


@dataclass(frozen=True, kw_only=True)
class WorkerLimits:
    """What one picture may cost.

    Attributes:
        memory_bytes: Memory beyond the 75 MB or so that a worker process takes by itself: it stays under 400 MB.
        processor_seconds: Processor time for one picture. It counts first: the slowest harmless one takes 2.5 s.
        seconds: Time on the clock for one picture, for what waits instead of computing, and for a machine so busy that
            it says nothing about the picture.
        pictures: How many a worker renders before a fresh one takes its place: over 10,000 pictures one grew from 75 to
            190 MB.
    """

    memory_bytes: int = 310 * 1024 * 1024
    processor_seconds: int = 8
    seconds: float = 60.0
    pictures: int = 500


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What a worker is asked for.

    Attributes:
        body: The bytes of a picture; none only asks whether the process is ready.
        options: How to render it: the keyword arguments of ``render_picture``.
    """

    body: bytes | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict)


_Answer = tuple[dict[str, Any], list[bytes]]


class PictureWorkers:
    """A bounded set of worker processes that render pictures.

    It belongs to no event loop: one instance serves any number of them, one after the other or at once, and keeps its
    processes in between. It may be created before a fork; each process then has workers of its own.
    """

    def __init__(self, *, processes: int | None = None, limits: WorkerLimits | None = None) -> None:
        """Plan the workers; the processes start with the first picture, or with :meth:`warm`.

        Args:
            processes: How many, by default one for each core that this process may use, and ``MOST_WORKERS`` at most.
            limits: What one picture may cost.
        """
        self.processes = processes or min(available_cores(), MOST_WORKERS)
        self._limits = limits or WorkerLimits()
        self._limiter = RunVar[anyio.CapacityLimiter]("picture workers")
        self._begin()

    def _begin(self) -> None:
        self._owner = os.getpid()
        self._slots: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.processes):
            self._slots.put(None)
        self._living: set[_Worker] = set()
        self._alone = threading.Lock()
        self._protections: tuple[Protection, ...] = ()
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

    async def render(self, body: bytes, *, may_be_letter_avatar: bool = False) -> RenderedPicture:
        """Render one picture in a worker process.

        Args:
            body: The bytes as they were received.
            may_be_letter_avatar: Whether the network makes letter avatars for people without a picture.

        Raises:
            NotAPicture: The bytes are refused, cost more than a picture may, or crashed the worker. Other pictures are
                not affected; a worker that was lost is replaced.
            RenderingUnavailable: Two workers, one after the other, were lost for reasons that are not the picture's.
        """
        self._forget_after_fork()
        options = {"may_be_large": False, "may_be_letter_avatar": may_be_letter_avatar}
        header, blobs = await self._supervised(_Request(body=body, options=options))
        if "is_large" in header:
            options["may_be_large"] = True
            header, blobs = await self._supervised(_Request(body=body, options=options))
        return _picture_from(header, blobs)

    async def protections(self) -> tuple[Protection, ...]:
        """Return what the worker processes are kept from on this system; a process is started where none has been.

        Raises:
            RenderingUnavailable: No process starts.
        """
        self._forget_after_fork()
        if not self._protections:
            await self._supervised(_Request())
        return self._protections

    async def _warm_one(self) -> None:
        with contextlib.suppress(RenderingUnavailable, NotAPicture, OSError):
            await self._supervised(_Request())

    async def _supervised(self, request: _Request) -> _Answer:
        """Let a worker answer; the one that nobody waits for any more is killed."""
        async with self._bound():
            for _ in range(_TRIES - 1):
                with contextlib.suppress(RenderingUnavailable):
                    return await self._in_thread(request)
            return await self._in_thread(request)

    async def _in_thread(self, request: _Request) -> _Answer:
        job = _Job()
        run = self._run_alone if request.options.get("may_be_large") else self._run
        try:
            return await to_thread.run_sync(run, job, request, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
        finally:
            job.abandon()

    def _bound(self) -> anyio.CapacityLimiter:
        try:
            return self._limiter.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self.processes)
            self._limiter.set(limiter)
            return limiter

    def _run(self, job: "_Job", request: _Request) -> _Answer:
        """Take a place, with a living process in it, and give it back afterwards. Runs in a thread."""
        slots = self._slots
        worker = slots.get()
        try:
            worker, answer = self._run_in(worker, job, request)
            return answer
        except BaseException:
            worker = None
            raise
        finally:
            slots.put(worker)

    def _run_alone(self, job: "_Job", request: _Request) -> _Answer:
        """Take all places, end the other processes, and give the places back afterwards. Runs in a thread.

        The process ends, too: what it used stays with it for a while.
        """
        slots = self._slots
        with self._alone:
            living = [worker for worker in (slots.get() for _ in range(self.processes)) if worker is not None]
            worker = living.pop() if living else None
            try:
                for other in living:
                    _discard(other, self._living)
                worker, answer = self._run_in(worker, job, request)
                _discard(worker, self._living)
                return answer
            finally:
                for _ in range(self.processes):
                    slots.put(None)

    def _run_in(self, worker: "_Worker | None", job: "_Job", request: _Request) -> tuple["_Worker | None", _Answer]:
        """Let a worker answer, a fresh one where there is none; return it too, or none once it is to be replaced."""
        living = self._living
        try:
            if worker is None or worker.process.poll() is not None:
                _discard(worker, living)
                worker = _Worker(self._limits)
                living.add(worker)
            if not job.begin(worker):
                return worker, ({}, [])
            with _killed_after(self._limits.seconds, worker):
                answer = worker.answer(request)
            self._protections = worker.protections
            if worker.pictures >= self._limits.pictures:
                _discard(worker, living)
                worker = None
            return worker, answer
        except BaseException:
            _discard(worker, living)
            raise
        finally:
            job.end()

    def _forget_after_fork(self) -> None:
        if self._owner != os.getpid():
            self._begin()


@lru_cache(maxsize=1)
def process_workers() -> PictureWorkers:
    """Return the workers of this process, which live as long as it does.

    One run after the other in the same process (the service's refreshes, a worker of the queue) finds them warm. They
    end with the process, and one that is idle costs no processor time.
    """
    return PictureWorkers()


@contextlib.contextmanager
def _killed_after(seconds: float, worker: "_Worker") -> Iterator[None]:
    timer = threading.Timer(seconds, worker.process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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
        _protect_this_process()
        arguments = (json.dumps(_search_path()), str(limits.memory_bytes), str(limits.processor_seconds))
        # The directory is the process's own and empty, and stays so: once the process is in it, it is removed.
        directory = tempfile.mkdtemp(prefix="picture-worker-")
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-I", "-c", _START, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=directory,
                env=_bare_environment(),
            )
        except OSError as error:
            raise RenderingUnavailable(f"no process could be started ({error.strerror})") from None
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(directory)  # noqa: PTH106 - nothing else of pathlib is needed
        self._is_ready = False
        self.protections: tuple[Protection, ...] = ()
        self.pictures = 0

    def answer(self, request: _Request) -> _Answer:
        """Wait until the process is ready and, if there is a picture, for what it says of it."""
        try:
            if not self._is_ready:
                self.protections = tuple(map(Protection, self._receive()[0]["protections"]))
                self._is_ready = True
            if request.body is None:
                return {}, []
            self._send(json.dumps(request.options).encode(), request.body)
            self.pictures += 1
            return self._receive()
        except (OSError, EOFError, ValueError, KeyError):
            raise self._cause_of_death() from None

    def _send(self, *parts: bytes) -> None:
        assert self.process.stdin is not None  # noqa: S101 - opened as a pipe
        for part in parts:
            self.process.stdin.write(len(part).to_bytes(_LENGTH_BYTES, "big"))
            self.process.stdin.write(part)
        self.process.stdin.flush()

    def _receive(self) -> _Answer:
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

    def _cause_of_death(self) -> Exception:
        self.stop()
        ended_by = self.process.returncode
        name = signal.Signals(-ended_by).name if ended_by < 0 else ""
        if ended_by == _EXIT_OUT_OF_MEMORY:
            return NotAPicture("it needs more memory than a picture may")
        if name == "SIGXCPU":
            return NotAPicture("it needs more processor time than a picture may")
        if name in _CRASHES:
            return NotAPicture(f"it crashed the process that rendered it ({name})")
        return RenderingUnavailable(f"the process that rendered it was ended from outside ({name or ended_by})")

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


@lru_cache(maxsize=1)
def _protect_this_process() -> None:
    """Keep the memory and the environment of this process, which hold secrets, from processes of the same user."""
    protect_memory()


def _search_path() -> list[str]:
    """Return where the code is."""
    return [entry for entry in sys.path if entry]


def _bare_environment() -> dict[str, str]:
    """Return the environment of a worker: nothing, but what Windows starts no process without."""
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


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
