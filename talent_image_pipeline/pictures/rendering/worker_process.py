"""What runs in a worker process: one picture after the other, each under its own limits.

What belongs here: the process's side of the conversation with ``worker_pool.py``. Bytes of strangers are decoded here
and nowhere else, with nothing worth stealing in memory, and locked up (``sandbox.py``) before the first of them comes.
What does not: starting, watching and replacing processes (``worker_pool.py``) and the rendering itself (``render.py``).
"""

import json
import os
import struct
import sys
import traceback
from typing import Any, BinaryIO

import cv2
from PIL import AvifImagePlugin, Image

from talent_image_pipeline.pictures.rendering.render import LargePicture, render_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture, RenderedPicture
from talent_image_pipeline.pictures.rendering.sandbox import Protection, lock_up
from talent_image_pipeline.pictures.rendering.warm_up import load_everything

if sys.platform != "win32":
    import resource

EXIT_OUT_OF_MEMORY = 3
LENGTH = struct.Struct(">Q")


def main(memory_bytes: int, processor_seconds: int) -> None:
    """Serve pictures from standard input until it ends.

    Args:
        memory_bytes: How much memory pictures may take, beyond what the process takes by itself.
        processor_seconds: Processor time for each picture, in seconds.
    """
    requests, answers, protections = prepare(memory_bytes)
    _send(answers, {"protections": protections}, [])
    while length := requests.read(LENGTH.size):
        options = json.loads(requests.read(LENGTH.unpack(length)[0]))
        body = requests.read(LENGTH.unpack(requests.read(LENGTH.size))[0])
        _limit_processor(processor_seconds)
        _answer(answers, body, options)


def prepare(memory_bytes: int) -> tuple[BinaryIO, BinaryIO, list[Protection]]:
    """Load all that decoding needs, then give up everything else; return where requests come from and answers go."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever a decoder prints must not end up between the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # Threads are processes to the kernel, and none starts any more once this one is locked up.
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.MAX_IMAGE_PIXELS = None
    load_everything()
    return requests, answers, lock_up(memory_bytes=memory_bytes)


def _answer(answers: BinaryIO, body: bytes, options: dict[str, Any]) -> None:
    try:
        header, blobs = described(render_picture(body, **options))
    except LargePicture:
        header, blobs = {"is_large": True}, []
    except NotAPicture as reason:
        header, blobs = {"refused": str(reason)}, []
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)
    except Exception as error:  # noqa: BLE001 - a defect of ours over one picture must not end the others
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = f"it could not be rendered ({type(error).__name__} in {place.name})"
        header, blobs = {"refused": words}, []
    _send(answers, header, blobs)


def _send(answers: BinaryIO, header: dict[str, Any], blobs: list[bytes]) -> None:
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


def _limit_processor(seconds: int) -> None:
    """Let the system end this process once it has used some more seconds of processor time than now."""
    if sys.platform == "win32":
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
