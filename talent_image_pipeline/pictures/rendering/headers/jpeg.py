"""Reads the outline of a JPEG file (ITU-T T.81, annex B).

What belongs here: the walk over its segments, up to the end marker.
What does not: decoding, and the limits on what was read.
"""

import re
import struct

from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

START = b"\xff\xd8\xff"

_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD8)) | {0x01}
# JFIF and Adobe segments say how the colours are coded. Every other application segment is metadata.
_APPLICATION_SEGMENTS = frozenset(range(0xE0, 0xF0))
_COLOUR_SEGMENTS = frozenset({0xE0, 0xEE})
_COMMENT = 0xFE
# A progressive file usually has about ten scans; each one costs a pass over the whole picture.
_MOST_SCANS = 64
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


def read_jpeg(body: bytes) -> Container:
    """Walk the segments of a JPEG file from its start to its end marker.

    Args:
        body: The whole file; bytes after the end marker are left out of the result.

    Raises:
        NotAPicture: The file ends before its end marker, or its segments contradict each other.
    """
    kept = [START[:2]]
    profile_parts: dict[int, bytes] = {}
    exif: bytes | None = None
    size: tuple[int, int] | None = None
    scans, position = 0, 2
    while True:
        marker, position = _marker_at(body, position)
        if marker == _END_OF_IMAGE:
            break
        if marker in _WITHOUT_LENGTH:
            continue
        end = position + _segment_length(body, position)
        content = body[position + 2 : end]
        if marker in _FRAME_HEADERS:
            size = _frame_size(content, is_first=size is None)
        elif marker == _START_OF_SCAN:
            scans += 1
            end = _end_of_scan(body, end)
        elif marker == 0xE1 and content.startswith(b"Exif\0\0"):
            exif = content[6:]
        elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
            profile_parts[content[12]] = content[14:]
        if marker in _COLOUR_SEGMENTS or (marker not in _APPLICATION_SEGMENTS and marker != _COMMENT):
            kept.append(bytes((0xFF, marker)) + body[position:end])
        position = end
    if size is None or not 1 <= scans <= _MOST_SCANS:
        raise NotAPicture("the JPEG file has no frame, no scan, or too many scans")
    return Container(
        decoder="JPEG",
        width=size[0],
        height=size[1],
        body=b"".join((*kept, b"\xff\xd9")),
        colour_profile=b"".join(part for _, part in sorted(profile_parts.items())) or None,
        exif=exif,
    )


def _marker_at(body: bytes, position: int) -> tuple[int, int]:
    """Return the marker at a position and where its content starts."""
    if body[position] != 0xFF:
        raise NotAPicture("the JPEG file has bytes between its segments")
    while body[position] == 0xFF:
        position += 1
    return body[position], position + 1


def _segment_length(body: bytes, position: int) -> int:
    (length,) = struct.unpack_from(">H", body, position)
    if length < 2 or position + length > len(body):
        raise NotAPicture("the JPEG file is cut off inside a segment")
    return int(length)


def _frame_size(content: bytes, *, is_first: bool) -> tuple[int, int]:
    if not is_first:
        raise NotAPicture("the JPEG file has more than one frame header")
    precision, height, width = struct.unpack_from(">BHH", content)
    if precision != 8 or not width or not height:
        raise NotAPicture("the JPEG file has an unusual frame header")
    return width, height


def _end_of_scan(body: bytes, position: int) -> int:
    """Return where the marker after the entropy-coded data starts."""
    found = _NEXT_MARKER.search(body, position)
    if found is None:
        raise NotAPicture("the JPEG file ends before its end marker")
    return found.start()
