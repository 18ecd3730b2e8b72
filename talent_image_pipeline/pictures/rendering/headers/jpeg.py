"""Reads the outline of a JPEG file (ITU-T T.81, annex B), and takes out of it what a strict decoder stumbles over.

What belongs here: the walk over its segments, up to the end marker.
What does not: decoding, and the limits on what was read.

The decoder refuses a file at its first warning, because it warns of every pixel that it had to make up. These warnings
concern no pixel, and browsers show such files, so their cause is removed before the decoder sees it:

- *extraneous bytes before marker*, between segments: the bytes are left out. Behind the data of a scan they stay, and
  refuse the file: there they say that a scan held other data than its size asks for.
- *unknown JFIF revision number*: the decoder needs the segment's presence alone, which says how colors are coded.
- *Unknown Adobe color transform code*: the decoder goes on as with the usual code, which is written in its place.
- *Invalid SOS parameters for sequential JPEG*: the three bytes have no meaning there; they get their only legal values.

A warning cannot say that whole scans of a progressive file are missing. That is counted here.
"""

import re
import struct
from dataclasses import dataclass, field

from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

START = b"\xff\xd8\xff"

_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD8)) | {0x01}
_COMMENT = 0xFE
# JFIF and Adobe segments say how the colours are coded. Every other application segment is metadata.
_JFIF, _ADOBE = 0xE0, 0xEE
_APPLICATION_SEGMENTS = frozenset(range(0xE0, 0xF0))
_KNOWN_TRANSFORMS = 2
_USUAL_TRANSFORM = {3: 1, 4: 2}
# A progressive file usually has about ten scans; each one costs a pass over the whole picture.
_MOST_SCANS = 64
_COEFFICIENTS = 64
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_NEXT_SEGMENT = re.compile(rb"\xff+[^\x00\xff]")


@dataclass(kw_only=True)
class _Outline:
    """What was read so far.

    Attributes:
        kept: The segments that the decoder gets.
        profile_parts: The parts of the ICC profile, by their number.
        exif: The EXIF block.
        frame: Marker and content of the frame header.
        missing_bits: For each component how many low bits of each coefficient are still to come; none where not even
            the first has.
        scans: How many there were.
    """

    kept: list[bytes] = field(default_factory=lambda: [START[:2]])
    profile_parts: dict[int, bytes] = field(default_factory=dict)
    exif: bytes | None = None
    frame: tuple[int, bytes] | None = None
    missing_bits: dict[int, list[int | None]] = field(default_factory=dict)
    scans: int = 0

    @property
    def is_progressive(self) -> bool:
        return self.frame is not None and self.frame[0] in _PROGRESSIVE


def read_jpeg(body: bytes) -> Container:
    """Walk the segments of a JPEG file from its start to its end marker.

    Args:
        body: The whole file; bytes after the end marker are left out of the result.

    Raises:
        NotAPicture: The file ends before its end marker, its segments contradict each other, or scans are missing.
    """
    outline = _Outline()
    position = 2
    while True:
        marker, position = _marker_at(body, position)
        if marker == _END_OF_IMAGE:
            break
        if marker not in _WITHOUT_LENGTH:
            position = _read_segment(outline, body, marker, position)
    if outline.frame is None or not 1 <= outline.scans <= _MOST_SCANS:
        raise NotAPicture("the JPEG file has no frame, no scan, or too many scans")
    if any(bits != 0 for component in outline.missing_bits.values() for bits in component):
        raise NotAPicture("the JPEG file lacks whole scans")
    height, width = struct.unpack_from(">HH", outline.frame[1], 1)
    return Container(
        decoder="JPEG",
        width=width,
        height=height,
        body=b"".join((*outline.kept, b"\xff\xd9")),
        colour_profile=b"".join(part for _, part in sorted(outline.profile_parts.items())) or None,
        exif=outline.exif,
    )


def _read_segment(outline: _Outline, body: bytes, marker: int, position: int) -> int:
    """Take in the segment whose length stands at a position; return where it, with its scan, ends."""
    length = int.from_bytes(body[position : position + 2], "big")
    end = position + length
    if length < 2 or end > len(body):
        raise NotAPicture("the JPEG file is cut off inside a segment")
    content = body[position + 2 : end]
    start, data = bytes((0xFF, marker)) + body[position : position + 2], b""
    if marker in _FRAME_HEADERS:
        _note_frame(outline, marker, content)
    elif marker == _START_OF_SCAN:
        content = _note_scan(outline, content)
        start_of_data, end = end, _end_of_scan(body, end)
        data = body[start_of_data:end]
    elif marker in _APPLICATION_SEGMENTS:
        content = _read_application_segment(outline, marker, content)
    if marker != _COMMENT and (content or marker not in _APPLICATION_SEGMENTS):
        outline.kept += [start, content, data]
    return end


def _read_application_segment(outline: _Outline, marker: int, content: bytes) -> bytes:
    """Note the metadata in an application segment; return what the decoder is to see of it, mostly nothing."""
    if marker == 0xE1 and content.startswith(b"Exif\0\0"):
        outline.exif = content[6:]
    elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
        outline.profile_parts[content[12]] = content[14:]
    elif marker == _JFIF and content.startswith(b"JFIF\0") and len(content) >= 14:
        return content[:5] + b"\1\1" + content[7:]
    elif marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= 12:
        return content[:11] + bytes([_known_transform(content[11], outline)]) + content[12:]
    return b""


def _known_transform(transform: int, outline: _Outline) -> int:
    """Return a transform code that the decoder knows. The segment comes before the frame header, or it is late."""
    if transform <= _KNOWN_TRANSFORMS:
        return transform
    return _USUAL_TRANSFORM.get(len(outline.missing_bits), 1)


def _marker_at(body: bytes, position: int) -> tuple[int, int]:
    """Return the next marker and where its content starts."""
    found = _NEXT_SEGMENT.search(body, position)
    if found is None:
        raise NotAPicture("the JPEG file ends before its end marker")
    return body[found.end() - 1], found.end()


def _note_frame(outline: _Outline, marker: int, content: bytes) -> None:
    if outline.frame is not None:
        raise NotAPicture("the JPEG file has more than one frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", content)
    if precision != 8 or not width or not height or len(content) < 6 + 3 * components:
        raise NotAPicture("the JPEG file has an unusual frame header")
    outline.frame = (marker, content)
    outline.missing_bits = {content[6 + 3 * index]: [None] * _COEFFICIENTS for index in range(components)}


def _note_scan(outline: _Outline, content: bytes) -> bytes:
    """Note what a scan brings; return its header as the decoder is to see it."""
    outline.scans += 1
    components = content[1 : 1 + 2 * content[0] : 2]
    first, last, bits = struct.unpack_from("BBB", content, 1 + 2 * content[0])
    if not outline.is_progressive:
        first, last, bits = 0, _COEFFICIENTS - 1, 0
    for component in components:
        # Which components there are, and in which order bits may come, is for the decoder to judge.
        missing = outline.missing_bits.get(component, [])
        for coefficient in range(first, min(last + 1, len(missing))):
            missing[coefficient] = bits & 15
    return content[: 1 + 2 * content[0]] + bytes((first, last, bits))


def _end_of_scan(body: bytes, position: int) -> int:
    """Return where the marker after the entropy-coded data starts."""
    found = _NEXT_MARKER.search(body, position)
    if found is None:
        raise NotAPicture("the JPEG file ends before its end marker")
    return found.start()
