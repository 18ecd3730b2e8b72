"""Reads the outline of a WebP file (RFC 9649), and takes its first frame out.

What belongs here: the walk over its RIFF chunks.
What does not: decoding, and the limits on what was read.
"""

import struct
from collections.abc import Iterable, Iterator

from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

_LOSSY_START_CODE = b"\x9d\x01\x2a"
_PICTURE_CHUNKS = (b"ALPH", b"VP8 ", b"VP8L")
_ALPHA_FLAG = 0x10
# Some writers count the padding of the last chunk although they leave it out.
_LONGEST_PADDING = 1


def is_webp(body: bytes) -> bool:
    """Return whether the bytes start as a WebP file does."""
    return body[:4] == b"RIFF" and body[8:12] == b"WEBP"


def read_webp(body: bytes) -> Container:
    """Walk the chunks of a WebP file to its first frame, and on to its metadata.

    The decoder gets a file with that frame alone.

    Args:
        body: The whole file; bytes after the declared end are left out of the result.

    Raises:
        NotAPicture: The file is shorter than declared, its chunks do not fill it, or it holds no frame.
    """
    (declared,) = struct.unpack_from("<I", body, 4)
    end = min(8 + declared, len(body))
    if 8 + declared > len(body) + _LONGEST_PADDING:
        raise NotAPicture("the WebP file is shorter than it declares")
    canvas: tuple[int, int] | None = None
    place = (0, 0)
    first_frame: dict[bytes, bytes] = {}
    exif, profile = None, None
    for kind, content in _chunks(body, start=12, end=end):
        if kind == b"VP8X":
            canvas = _unsigned_24(content, 4) + 1, _unsigned_24(content, 7) + 1
        elif kind == b"ANMF" and not first_frame:
            place = 2 * _unsigned_24(content, 0), 2 * _unsigned_24(content, 3)
            first_frame = _picture_chunks(_chunks(content, start=16, end=len(content)))
        elif kind in _PICTURE_CHUNKS:
            first_frame.setdefault(kind, content)
        elif kind == b"EXIF":
            exif = content
        elif kind == b"ICCP":
            profile = content
    width, height = _frame_size(first_frame)
    is_part = canvas is not None and (place != (0, 0) or canvas != (width, height))
    return Container(
        decoder="WEBP",
        width=width,
        height=height,
        body=_file_with(first_frame, width, height),
        canvas=canvas if is_part else None,
        frame_left=place[0],
        frame_top=place[1],
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


def _picture_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for kind, content in chunks:
        if kind in _PICTURE_CHUNKS:
            found.setdefault(kind, content)
    return found


def _frame_size(frame: dict[bytes, bytes]) -> tuple[int, int]:
    """Return the size of a frame as its coded data declares it."""
    if b"VP8 " in frame:
        lossy = frame[b"VP8 "]
        if lossy[3:6] != _LOSSY_START_CODE:
            raise NotAPicture("the WebP file has a damaged frame header")
        width, height = struct.unpack_from("<HH", lossy, 6)
        return width & 0x3FFF, height & 0x3FFF
    if b"VP8L" in frame:
        (bits,) = struct.unpack_from("<I", frame[b"VP8L"], 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise NotAPicture("the WebP file has no picture")


def _file_with(frame: dict[bytes, bytes], width: int, height: int) -> bytes:
    """Return a WebP file that holds one frame and nothing else."""
    kinds = [b"VP8 "] if b"VP8 " in frame else [b"VP8L"]
    if b"ALPH" in frame and kinds == [b"VP8 "]:
        kinds = [b"ALPH", b"VP8 "]
        extent = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        frame = {**frame, b"VP8X": bytes((_ALPHA_FLAG, 0, 0, 0)) + extent}
        kinds = [b"VP8X", *kinds]
    chunks = b"".join(
        kind + struct.pack("<I", len(frame[kind])) + frame[kind] + bytes(len(frame[kind]) % 2) for kind in kinds
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _unsigned_24(content: bytes, position: int) -> int:
    low, high = struct.unpack_from("<HB", content, position)
    return int(low) | int(high) << 16
