"""Pictures alone, without network and database: how many a core renders in a second, and how large they become.

What belongs here: rendering in this process and in worker processes.
What does not: what a whole sync takes (``syncing.py``).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from benchmarks.measuring import PeakMemory, effort
from talent_image_pipeline.pictures.rendering.decode import decode_picture
from talent_image_pipeline.pictures.rendering.inspect import inspect_picture
from talent_image_pipeline.pictures.rendering.render import encode_renditions, render_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES, RenderedPicture
from talent_image_pipeline.pictures.rendering.worker_pool import PictureWorkers
from talent_image_pipeline.sandbox.portraits import Picture, encoded
from talent_image_pipeline.sandbox.situations import PictureKind


@dataclass(frozen=True, kw_only=True)
class RenderingFigures:
    """What pictures of one size take.

    Attributes:
        side: Of the sources, in pixels.
        pictures: How many were rendered each way.
        source_bytes: Of one source, on average.
        per_second_and_core: Pictures a second of processor time, in this process.
        coding_milliseconds: Of it, decoding and encoding alone: processor time for one picture.
        rendering_milliseconds: Everything: inspecting, decoding, finding the face, scaling, encoding, recognising.
        workers_per_second: Pictures a second on the clock in worker processes, starting them included.
        workers: How many processes.
        worker_peak_bytes: Peak memory of one worker.
        rendition_bytes: Of one rendition, on average, by its size.
    """

    side: int
    pictures: int
    source_bytes: float
    per_second_and_core: float
    coding_milliseconds: float
    rendering_milliseconds: float
    workers_per_second: float
    workers: int
    worker_peak_bytes: float
    rendition_bytes: dict[int, float]


def sample_pictures(count: int, *, side: int) -> list[bytes]:
    """Return distinct JPEG portraits, as the sandbox draws them for its many accounts."""
    return [encoded(Picture(kind=PictureKind.CROWD, seed=7919 * number, size=side), side) for number in range(count)]


def measure_rendering(*, side: int, pictures: int) -> RenderingFigures:
    """Render pictures in this process and in workers."""
    sources = sample_pictures(pictures, side=side)
    _warm(sources)
    with effort() as whole:
        rendered = [render_picture(source) for source in sources]
    with PeakMemory() as memory, effort() as in_workers:
        processes = anyio.run(_render_in_workers, sources)
    return RenderingFigures(
        side=side,
        pictures=pictures,
        source_bytes=statistics.mean(len(source) for source in sources),
        per_second_and_core=pictures / whole.processor_seconds,
        coding_milliseconds=1000 * coding_seconds(sources) / pictures,
        rendering_milliseconds=1000 * whole.processor_seconds / pictures,
        workers_per_second=pictures / in_workers.seconds,
        workers=processes,
        worker_peak_bytes=memory.children_bytes / processes,
        rendition_bytes=_rendition_bytes(rendered),
    )


def coding_seconds(sources: Sequence[bytes]) -> float:
    """Return the processor time of nothing but decoding pictures and encoding their renditions."""
    with effort() as taken:
        for source in sources:
            encode_renditions(decode_picture(inspect_picture(source), short_side=RENDITION_SIZES[-1]).pixels)
    return taken.processor_seconds


def rendering_seconds(sources: Sequence[bytes]) -> float:
    """Return the processor time of rendering pictures in this process, with all that belongs to it."""
    _warm(sources)
    with effort() as taken:
        for source in sources:
            render_picture(source)
    return taken.processor_seconds


def _warm(sources: Sequence[bytes]) -> None:
    """Load what the first picture loads; a worker does it before its first picture."""
    render_picture(sources[0])


async def _render_in_workers(sources: Sequence[bytes]) -> int:
    async with PictureWorkers() as workers, anyio.create_task_group() as group:
        waiting = iter(sources)

        async def render_what_waits() -> None:
            for source in waiting:
                await workers.render(source)

        for _ in range(2 * workers.processes):
            group.start_soon(render_what_waits)
    return workers.processes


def _rendition_bytes(rendered: Sequence[RenderedPicture]) -> dict[int, float]:
    return {size: statistics.mean(len(one.renditions[size]) for one in rendered) for size in RENDITION_SIZES}
