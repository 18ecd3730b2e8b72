"""What runs in a worker process: one picture after the other, each under its own limits.

What belongs here: the process's side of the conversation with ``worker_pool.py``. Bytes of strangers are decoded here
and nowhere else, with nothing worth stealing in memory: the process gets neither settings nor the environment.
What does not: starting, watching and replacing processes (``worker_pool.py``) and the rendering itself (``render.py``).
"""

import json
import os
import struct
import sys
import traceback
from typing import Any, BinaryIO

import cv2

from talent_image_pipeline.pictures.rendering.decode import Pixels
from talent_image_pipeline.pictures.rendering.faces import find_faces
from talent_image_pipeline.pictures.rendering.render import render_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture, RenderedPicture

EXIT_OUT_OF_MEMORY = 3
LENGTH = struct.Struct(">Q")
READY = b"ready\n"


def main() -> None:
    """Serve pictures from standard input until it ends.

    The arguments are the limits: bytes of address space, and seconds of processor time for each picture.
    """
    memory_bytes, processor_seconds = int(sys.argv[1]), int(sys.argv[2])
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever a decoder prints must not end up between the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cv2.setNumThreads(1)
    find_faces(Pixels(shape=(64, 64, 3), dtype="uint8"))
    _limit_memory(memory_bytes)
    answers.write(READY)
    answers.flush()
    while length := requests.read(LENGTH.size):
        body = requests.read(LENGTH.unpack(length)[0])
        _limit_processor(processor_seconds)
        _answer(answers, body)


def _answer(answers: BinaryIO, body: bytes) -> None:
    try:
        header, blobs = described(render_picture(body))
    except NotAPicture as reason:
        header, blobs = {"refused": str(reason)}, []
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)
    except Exception as error:  # noqa: BLE001 - a defect of ours over one picture must not end the others
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = f"it could not be rendered ({type(error).__name__} in {place.name})"
        header, blobs = {"refused": words}, []
    text = json.dumps(header | {"lengths": [len(blob) for blob in blobs]}).encode()
    answers.write(b"".join((LENGTH.pack(len(text)), text, *blobs)))
    answers.flush()


def described(picture: RenderedPicture) -> tuple[dict[str, Any], list[bytes]]:
    """Return a picture as a JSON object and the distinct bytes of its renditions."""
    blobs = list(dict.fromkeys(picture.renditions.values()))
    described = {
        "content_hash": picture.content_hash,
        "renditions": {size: blobs.index(blob) for size, blob in picture.renditions.items()},
        "width": picture.width,
        "height": picture.height,
        "side": picture.side,
        "crop": [picture.crop.left, picture.crop.top, picture.crop.side],
        "focus": [picture.focus_x, picture.focus_y],
        "perceptual_hash": picture.perceptual_hash,
        "generated_message": picture.generated_message,
    }
    return described, blobs


def _limit_memory(memory_bytes: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_processor(seconds: int) -> None:
    """Let the system end this process once it has used some more seconds of processor time than now."""
    if sys.platform == "win32":
        return
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
