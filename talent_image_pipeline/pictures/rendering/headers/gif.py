"""Reads the outline of a GIF file (GIF89a specification).

What belongs here: the walk over its blocks, with the size of every frame, whatever the screen size claims.
What does not: decoding, and the limits on what was read.
"""

import struct

from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

STARTS = (b"GIF87a", b"GIF89a")

_EXTENSION = 0x21
_IMAGE = 0x2C
_TRAILER = 0x3B
_GRAPHIC_CONTROL = 0xF9


def read_gif(body: bytes) -> Container:
    """Walk the blocks of a GIF file from its header to its trailer.

    The decoder gets the first frame alone. The size is the largest extent of the screen and of all frames: a frame may
    be larger than the screen that it is drawn on.

    Args:
        body: The whole file; bytes after the trailer are left out of the result.

    Raises:
        NotAPicture: The file ends before its trailer, holds no frame, or holds an unknown block.
    """
    width, height, flags = struct.unpack_from("<HHB", body, 6)
    position = 13 + _colour_table_length(flags)
    kept = [body[:position]]
    frames = 0
    while body[position] != _TRAILER:
        start, position = position, _end_of_block(body, position)
        if body[start] == _IMAGE:
            left, top, frame_width, frame_height = struct.unpack_from("<4H", body, start + 1)
            width, height = max(width, left + frame_width), max(height, top + frame_height)
            frames += 1
        is_wanted = body[start] == _IMAGE or body[start + 1] == _GRAPHIC_CONTROL
        if is_wanted and (frames == 0 or (frames == 1 and body[start] == _IMAGE)):
            kept.append(body[start:position])
    if frames == 0:
        raise NotAPicture("the GIF file has no frame")
    return Container(decoder="GIF", width=width, height=height, frames=frames, body=b"".join((*kept, b"\x3b")))


def _colour_table_length(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _end_of_block(body: bytes, position: int) -> int:
    """Return where the block that starts at a position ends."""
    if body[position] == _EXTENSION:
        return _end_of_sub_blocks(body, position + 2)
    if body[position] == _IMAGE:
        return _end_of_sub_blocks(body, position + 11 + _colour_table_length(body[position + 9]))
    raise NotAPicture("the GIF file holds an unknown block")


def _end_of_sub_blocks(body: bytes, position: int) -> int:
    while body[position]:
        position += body[position] + 1
    return position + 1
