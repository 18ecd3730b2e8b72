"""Measuring this process and its children: time, processor time, memory.

What belongs here: clocks and what the operating system counts.
What does not: what is measured, and how it is shown (``report.py``).
"""

import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

_SECONDS_BETWEEN_LOOKS = 0.25
_PROC = Path("/proc")


@dataclass(kw_only=True)
class Effort:
    """What a piece of work took, the child processes that have ended included.

    Attributes:
        seconds: On the clock.
        processor_seconds: Of this process, all threads.
        children_processor_seconds: Of children that ended meanwhile.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    children_processor_seconds: float = 0.0


@contextmanager
def effort() -> Iterator[Effort]:
    """Measure a block; what is yielded is filled in when it ends."""
    measured = Effort()
    clock, own, children = time.perf_counter(), time.process_time(), _children_seconds()
    try:
        yield measured
    finally:
        measured.seconds = time.perf_counter() - clock
        measured.processor_seconds = time.process_time() - own
        measured.children_processor_seconds = _children_seconds() - children


def median_seconds(work: Callable[[], object], *, repetitions: int) -> float:
    """Return the median time of several repetitions, in seconds on the clock."""
    taken = []
    for _ in range(repetitions):
        with effort() as measured:
            work()
        taken.append(measured.seconds)
    return statistics.median(taken)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass(kw_only=True)
class PeakMemory:
    """Watches the resident memory of this process and of its children, as an upper bound: the sum of all peaks.

    Pages that processes share count once for each of them. On Linux the kernel's own high-water marks are read, so
    nothing is missed between two looks; elsewhere the largest child stands for every child.

    Attributes:
        own_bytes: The peak of this process.
        children_bytes: The peaks of all children that were seen alive, added up.
    """

    own_bytes: int = 0
    children_bytes: int = 0
    _peaks: dict[int, int] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join()

    @property
    def total_bytes(self) -> int:
        """This process and its children together."""
        return self.own_bytes + self.children_bytes

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            self._look()
        self._look()

    def _look(self) -> None:
        if not _PROC.exists():
            self.own_bytes = _largest(resource.RUSAGE_SELF)
            self.children_bytes = _largest(resource.RUSAGE_CHILDREN) * (os.cpu_count() or 1)
            return
        self.own_bytes = max(self.own_bytes, _high_water_mark(os.getpid()))
        for child in children_of(os.getpid()):
            self._peaks[child] = max(self._peaks.get(child, 0), _high_water_mark(child))
        self.children_bytes = sum(self._peaks.values())


def _largest(who: int) -> int:
    peak = resource.getrusage(who).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def children_of(process: int) -> list[int]:
    """Return the ids of a process's children; none where the system does not tell."""
    children: list[int] = []
    for listing in _PROC.glob(f"{process}/task/*/children"):
        try:
            children += [int(child) for child in listing.read_text().split()]
        except OSError:
            continue
    return children


def _high_water_mark(process: int) -> int:
    """Return the peak of a process's resident memory in bytes; 0 where it has just ended."""
    try:
        lines = (_PROC / str(process) / "status").read_text().splitlines()
    except OSError:
        return 0
    marks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else 0
