"""Reads the outline of a GIF file (GIF89a specification), up to the end of its first frame.

What belongs here: the walk over its blocks, with the size of the frame, whatever the screen size claims.
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
    """Walk the blocks of a GIF file from its header to the end of its first frame.

    The decoder gets that frame alone: what follows, a missing trailer included, concerns no pixel that is shown. The
    size is the larger extent of screen and frame: a frame may be larger than the screen that it is drawn on.

    Args:
        body: The whole file.

    Raises:
        NotAPicture: The file ends inside its first frame, holds none, or holds an unknown block before it.
    """
    width, height, flags = struct.unpack_from("<HHB", body, 6)
    position = 13 + _colour_table_length(flags)
    kept = [body[:position]]
    while body[position] != _TRAILER:
        start, position = position, _end_of_block(body, position)
        if body[start] == _EXTENSION and body[start + 1] == _GRAPHIC_CONTROL:
            kept.append(body[start:position])
        if body[start] == _IMAGE:
            left, top, frame_width, frame_height = struct.unpack_from("<4H", body, start + 1)
            kept += [body[start:position], b"\x3b"]
            return Container(
                decoder="GIF",
                width=max(width, left + frame_width),
                height=max(height, top + frame_height),
                body=b"".join(kept),
            )
    raise NotAPicture("the GIF file has no frame")


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
