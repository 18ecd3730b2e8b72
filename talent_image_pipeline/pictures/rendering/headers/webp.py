"""Reads the outline of a WebP file (RFC 9649).

What belongs here: the walk over its RIFF chunks.
What does not: decoding, and the limits on what was read.
"""

import struct
from collections.abc import Iterator

from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

_LOSSY_START_CODE = b"\x9d\x01\x2a"


def is_webp(body: bytes) -> bool:
    """Return whether the bytes start as a WebP file does."""
    return body[:4] == b"RIFF" and body[8:12] == b"WEBP"


def read_webp(body: bytes) -> Container:
    """Walk the chunks of a WebP file to the end that its header declares.

    Args:
        body: The whole file; bytes after the declared end are left out of the result.

    Raises:
        NotAPicture: The file is shorter than declared, or its chunks do not fill it.
    """
    (declared,) = struct.unpack_from("<I", body, 4)
    end = 8 + declared
    if end > len(body):
        raise NotAPicture("the WebP file is shorter than it declares")
    sizes: list[tuple[int, int]] = []
    frames = 0
    exif, profile = None, None
    for kind, content in _chunks(body, start=12, end=end):
        if kind == b"ANMF":
            frames += 1
            sizes.extend(_frame_sizes(content))
        elif kind == b"EXIF":
            exif = content
        elif kind == b"ICCP":
            profile = content
        else:
            sizes.extend(_sizes(kind, content))
    if not sizes:
        raise NotAPicture("the WebP file has no picture")
    return Container(
        decoder="WEBP",
        width=max(width for width, _ in sizes),
        height=max(height for _, height in sizes),
        frames=max(1, frames),
        body=body[:end],
        colour_profile=profile,
        exif=exif,
    )


def _chunks(body: bytes, *, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    position = start
    while position < end:
        kind, length = struct.unpack_from("<4sI", body, position)
        if position + 8 + length > end:
            raise NotAPicture("the WebP file is cut off inside a chunk")
        yield kind, body[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _frame_sizes(content: bytes) -> list[tuple[int, int]]:
    """Return the size that an animation frame declares, and those of the pictures inside it."""
    declared = (_unsigned_24(content, 6) + 1, _unsigned_24(content, 9) + 1)
    inner = [size for kind, data in _chunks(content, start=16, end=len(content)) for size in _sizes(kind, data)]
    return [declared, *inner]


def _sizes(kind: bytes, content: bytes) -> list[tuple[int, int]]:
    """Return the size that a chunk declares, if it is of a kind that does."""
    if kind == b"VP8X":
        return [(_unsigned_24(content, 4) + 1, _unsigned_24(content, 7) + 1)]
    if kind == b"VP8 ":
        if content[3:6] != _LOSSY_START_CODE:
            raise NotAPicture("the WebP file has a damaged frame header")
        width, height = struct.unpack_from("<HH", content, 6)
        return [(width & 0x3FFF, height & 0x3FFF)]
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 1)
        return [((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)]
    return []


def _unsigned_24(content: bytes, position: int) -> int:
    low, high = struct.unpack_from("<HB", content, position)
    return int(low) | int(high) << 16
