"""Fuzzes what reads and decodes the bytes of strangers, guided by the branches that they reach.

    uv run --group fuzz python -m fuzzing.pictures -max_total_time=60

Files of all accepted formats are the seeds; whatever ends otherwise than in a picture or a refusal in words, or takes
more than two seconds, is written to the working directory and ends the run. The options are those of libFuzzer.

What belongs here: the entry point for the fuzzer. What does not: the properties that the tests check on every change.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["talent_image_pipeline.pictures"]):
    from talent_image_pipeline.pictures.rendering import inspect
    from talent_image_pipeline.pictures.rendering.decode import decode_picture
    from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

from talent_image_pipeline_tests.pictures.picture_files import FORMATS, animation, small_file

_SLOWEST_SECONDS = 2
# Smaller than in earnest, so that a run spends its time on many files and not on large ones.
_MOST_PIXELS = 1_000_000


def read_and_decode(body: bytes) -> None:
    """Check the two ways in which any bytes may end."""
    try:
        inspected = inspect.inspect_picture(body)
        if inspected.pixels <= _MOST_PIXELS:
            decode_picture(inspected, short_side=64)
    except NotAPicture:
        return


def main() -> None:
    """Write the seeds and let the fuzzer run."""
    with tempfile.TemporaryDirectory() as directory:
        for image_format in FORMATS:
            (Path(directory) / image_format).write_bytes(small_file(image_format))
        for image_format in ("GIF", "PNG", "WEBP"):
            body = animation(image_format, frames=3, side=72)
            (Path(directory) / f"animated-{image_format}").write_bytes(body)
        atheris.Setup([*sys.argv, f"-timeout={_SLOWEST_SECONDS}", directory], read_and_decode)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
