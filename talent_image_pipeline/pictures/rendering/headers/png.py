"""Reads the outline of a PNG file (W3C PNG, third edition).

What belongs here: the walk over its chunks, with their checksums.
What does not: decoding, and the limits on what was read.
"""

import struct
import zlib

from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

START = b"\x89PNG\r\n\x1a\n"

# Text, time and animation chunks are left out: compressed text inflates to far more than its size.
_KEPT_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_LARGEST_PROFILE = 4 * 1024 * 1024
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# The seven passes of an interlaced picture: first column, first row, column step, row step.
_WHOLE = ((0, 0, 1, 1),)
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_INFLATED_AT_ONCE = 256 * 1024


def read_png(body: bytes) -> Container:
    """Walk the chunks of a PNG file from its header to its end chunk.

    Args:
        body: The whole file; bytes after the end chunk are left out of the result.

    Raises:
        NotAPicture: The file ends before its end chunk, or a chunk's checksum is wrong.
    """
    kept = [START]
    header: bytes | None = None
    data: list[bytes] = []
    exif, profile = None, None
    declared_frames, counted_frames = 0, 0
    position, kind = len(START), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", body, position)
        end = position + 12 + length
        content = _checked_content(body, position, end)
        if kind == b"IHDR":
            header = header or content
        elif kind == b"IDAT":
            data.append(content)
        elif kind == b"acTL":
            (declared_frames,) = struct.unpack_from(">I", content)
        elif kind == b"fcTL":
            counted_frames += 1
        elif kind == b"eXIf":
            exif = content
        elif kind == b"iCCP":
            profile = _inflated_profile(content)
        if kind in _KEPT_CHUNKS:
            kept.append(body[position:end])
        position = end
    if header is None or not kept[1].startswith(b"\0\0\0\x0dIHDR"):
        raise NotAPicture("the PNG file does not start with its header")
    width, height = struct.unpack_from(">II", header)
    return Container(
        decoder="PNG",
        width=width,
        height=height,
        frames=max(1, declared_frames, counted_frames),
        body=b"".join(kept),
        colour_profile=profile,
        exif=exif,
        is_complete=lambda: _holds_all_rows(header, data),
    )


def _checked_content(body: bytes, position: int, end: int) -> bytes:
    if end > len(body):
        raise NotAPicture("the PNG file is cut off inside a chunk")
    (checksum,) = struct.unpack_from(">I", body, end - 4)
    if zlib.crc32(body[position + 4 : end - 4]) != checksum:
        raise NotAPicture("a checksum in the PNG file is wrong")
    return body[position + 8 : end - 4]


def _inflated_profile(content: bytes) -> bytes | None:
    """Return the profile of an ``iCCP`` chunk; none where it is damaged or unreasonably large."""
    _, _, compressed = content.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(compressed[1:], _LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if inflater.eof else None


def _holds_all_rows(header: bytes, data: list[bytes]) -> bool:
    """Return whether the data inflates to all rows of the picture, checksum included; decoders stop before it."""
    expected = _inflated_length(header)
    inflater = zlib.decompressobj()
    inflated = 0
    pending = b"".join(data)
    try:
        while not inflater.eof and inflated <= expected:
            part = inflater.decompress(pending, _INFLATED_AT_ONCE)
            pending = inflater.unconsumed_tail
            inflated += len(part)
            if not part and not pending:
                break
    except zlib.error:
        return False
    return inflated >= expected and (inflater.eof or inflated > expected)


def _inflated_length(header: bytes) -> int:
    """Return how many bytes the rows of a picture take, each with its filter byte."""
    width, height, depth, colour_type, _, _, interlace = struct.unpack_from(">IIBBBBB", header)
    bits = depth * _CHANNELS.get(colour_type, 0)
    length = 0
    for column, row, column_step, row_step in _PASSES if interlace else _WHOLE:
        columns = -(-(width - column) // column_step)
        rows = -(-(height - row) // row_step)
        if columns > 0 and rows > 0:
            length += rows * (1 + (columns * bits + 7) // 8)
    return length
