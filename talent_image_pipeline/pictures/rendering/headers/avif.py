"""Reads the outline of an AVIF file (AV1 Image File Format 1.1 on ISO/IEC 14496-12 and 23008-12).

What belongs here: the walk over its boxes for the declared sizes and for where the coded data lies.
What does not: decoding, and the limits on what was read.
"""

import struct
from collections.abc import Iterator

from talent_image_pipeline.pictures.rendering.colour_profiles import profile_of_code_points
from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

_BRANDS = frozenset({b"avif", b"avis"})
# The general brands of still pictures and sequences; then one of the above is among the compatible ones.
_GENERAL_BRANDS = frozenset({b"mif1", b"msf1", b"miaf"})
_MOST_BRANDS = 32
# Boxes that hold other boxes, with the length of what precedes the first inner one.
_PARENTS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}
_MOST_BOXES = 4096
# A still picture has a few items of one extent each; one cut into tiles has some dozens.
_MOST_EXTENTS = 4096


def is_avif(body: bytes) -> bool:
    """Return whether the bytes start as an AVIF still picture or sequence does."""
    if body[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(body[:4], "big"), 16 + 4 * _MOST_BRANDS, len(body))
    compatible = {body[position : position + 4] for position in range(16, end, 4)}
    return body[8:12] in _BRANDS or (body[8:12] in _GENERAL_BRANDS and bool(compatible & _BRANDS))


def read_avif(body: bytes) -> Container:
    """Walk the boxes of an AVIF file.

    Args:
        body: The whole file.

    Raises:
        NotAPicture: A box or the coded data reaches beyond the file's end, or no size is declared.
    """
    sizes: list[tuple[int, int]] = []
    profile: bytes | None = None
    for count, (kind, start, end) in enumerate(_boxes(body, start=0, end=len(body))):
        if count > _MOST_BOXES:
            raise NotAPicture("the AVIF file has too many boxes")
        if kind == b"ispe":
            sizes.append(struct.unpack_from(">II", body, start + 4))
        elif kind == b"tkhd":
            width, height = struct.unpack_from(">II", body, end - 8)
            sizes.append((width >> 16, height >> 16))
        elif kind == b"colr" and body[start : start + 4] == b"nclx" and profile is None:
            primaries, transfer = struct.unpack_from(">HH", body, start + 4)
            profile = profile_of_code_points(primaries=primaries, transfer=transfer)
        elif kind == b"iloc":
            _check_locations(body, start)
    if not sizes:
        raise NotAPicture("the AVIF file declares no size")
    return Container(
        decoder="AVIF",
        width=max(width for width, _ in sizes),
        height=max(height for _, height in sizes),
        body=body,
        colour_profile=profile,
    )


def _boxes(body: bytes, *, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of every box, those inside others included.

    The nesting cannot run away: a box that is entered is at least 8 bytes longer than what is inside it, and the
    pending ranges are kept in a list, not on the call stack.
    """
    pending = [(start, end)]
    while pending:
        position, limit = pending.pop()
        while position < limit:
            length, kind = struct.unpack_from(">I4s", body, position)
            header = 8
            if length == 1:
                (length,) = struct.unpack_from(">Q", body, position + 8)
                header = 16
            elif length == 0:
                length = limit - position
            if length < header or position + length > limit:
                raise NotAPicture("the AVIF file is cut off inside a box")
            yield kind, position + header, position + length
            if kind in _PARENTS:
                pending.append((position + header + _PARENTS[kind], position + length))
            position += length


def _check_locations(body: bytes, position: int) -> None:
    """Check that all coded data that an item location box points to lies within the file."""
    version = body[position]
    packed_sizes, packed_base = body[position + 4], body[position + 5]
    offset_size, length_size = packed_sizes >> 4, packed_sizes & 15
    base_size, index_size = packed_base >> 4, packed_base & 15 if version else 0
    position += 6
    id_size = 4 if version == 2 else 2
    items = _number(body, position, id_size)
    position += id_size
    seen = 0
    for _ in range(items):
        position += id_size
        construction = _number(body, position, 2) & 15 if version else 0
        position += 2 * bool(version) + 2
        base = _number(body, position, base_size)
        extents = _number(body, position + base_size, 2)
        position += base_size + 2
        # An item without fields of any size would let a short box claim extents without end.
        seen += 1 + extents
        if seen > _MOST_EXTENTS:
            raise NotAPicture("the AVIF file declares too many extents")
        for _ in range(extents):
            position += index_size
            offset = base + _number(body, position, offset_size)
            length = _number(body, position + offset_size, length_size)
            position += offset_size + length_size
            if construction == 0 and offset + length > len(body):
                raise NotAPicture("the AVIF file is shorter than it declares")


def _number(body: bytes, position: int, size: int) -> int:
    if position + size > len(body):
        raise NotAPicture("the AVIF file is cut off inside a box")
    return int.from_bytes(body[position : position + size], "big")
