"""Reads the outline of a PNG file (W3C PNG, third edition).

What belongs here: the walk over its chunks, with the checksums of those that are used.
What does not: decoding, and the limits on what was read.
"""

import struct
import zlib
from dataclasses import dataclass, field

from talent_image_pipeline.pictures.rendering.colour_profiles import (
    SRGB_PRIMARIES,
    Primaries,
    grey_profile,
    matrix_profile,
    profile_of_code_points,
)
from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

START = b"\x89PNG\r\n\x1a\n"

# What the decoder gets. Text, time and animation chunks are left out: compressed text inflates to far more than its
# size.
_KEPT_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
# Of each of these the first counts, and stands before the data.
_DESCRIPTIONS = frozenset({b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM", b"eXIf"})
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_MOST_CHUNKS = 100_000
_LARGEST_PROFILE = 2 * 1024 * 1024
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_GREY = frozenset({0, 4})
# The gamma of 1/2.2 that most writers put beside sRGB pixels, in the unit of the format, and what is as good as it.
_USUAL_GAMMA, _GAMMA_TOLERANCE = 45455, 500
_PRIMARY_TOLERANCE = 0.002
_UNIT = 100_000
# The seven passes of an interlaced picture: first column, first row, column step, row step.
_WHOLE = ((0, 0, 1, 1),)
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_INFLATED_AT_ONCE = 256 * 1024


@dataclass(kw_only=True)
class _Outline:
    kept: list[bytes] = field(default_factory=lambda: [START])
    data: list[bytes] = field(default_factory=list)
    header: bytes | None = None
    descriptions: dict[bytes, bytes] = field(default_factory=dict)


def read_png(body: bytes) -> Container:
    """Walk the chunks of a PNG file from its header to the end of its data.

    The data says itself whether it is whole, so a file without its end chunk is one, and so is a file with a wrong
    checksum in a chunk that nobody reads.

    Args:
        body: The whole file; what is behind the picture's data is left out of the result.

    Raises:
        NotAPicture: The file does not start with its header, ends inside its data, or a checksum is wrong.
    """
    outline = _Outline()
    position = len(START)
    for _ in range(_MOST_CHUNKS):
        if position + 12 > len(body):
            break
        length, kind = struct.unpack_from(">I4s", body, position)
        end = position + 12 + length
        if kind == b"IEND":
            break
        _take(outline, kind, body[position:end], is_whole=end <= len(body))
        position = end
    else:
        raise NotAPicture("the PNG file has too many chunks")
    header = outline.header
    if header is None or not outline.data:
        raise NotAPicture("the PNG file has no header or no data")
    width, height = struct.unpack_from(">II", header)
    return Container(
        decoder="PNG",
        width=width,
        height=height,
        body=b"".join((*outline.kept, _END)),
        colour_profile=_profile_of(outline.descriptions, is_grey=header[9] in _GREY),
        exif=outline.descriptions.get(b"eXIf"),
        is_complete=lambda: _holds_all_rows(header, outline.data),
    )


def _take(outline: _Outline, kind: bytes, chunk: bytes, *, is_whole: bool) -> None:
    if len(outline.kept) == 1 and not chunk.startswith(b"\0\0\0\x0dIHDR"):
        raise NotAPicture("the PNG file does not start with its header")
    if kind in _KEPT_CHUNKS:
        content = _checked_content(chunk, is_whole=is_whole)
        outline.kept.append(chunk)
        if kind == b"IDAT":
            outline.data.append(content)
        elif kind == b"IHDR":
            outline.header = outline.header or content
    elif kind in _DESCRIPTIONS and kind not in outline.descriptions and is_whole:
        # A wrong checksum in one of these makes its content doubtful: then it is not used.
        content = chunk[8:-4]
        if zlib.crc32(chunk[4:-4]) == struct.unpack(">I", chunk[-4:])[0]:
            outline.descriptions[kind] = content


def _checked_content(chunk: bytes, *, is_whole: bool) -> bytes:
    if not is_whole:
        raise NotAPicture("the PNG file is cut off inside a chunk")
    if zlib.crc32(chunk[4:-4]) != struct.unpack(">I", chunk[-4:])[0]:
        raise NotAPicture("a checksum in the PNG file is wrong")
    return chunk[8:-4]


def _profile_of(descriptions: dict[bytes, bytes], *, is_grey: bool) -> bytes | None:
    """Return the profile that a file's chunks embed or describe; none for sRGB. The order is that of the standard."""
    code_points = descriptions.get(b"cICP", b"")
    if len(code_points) == 4 and not is_grey:
        return profile_of_code_points(primaries=code_points[0], transfer=code_points[1])
    if b"iCCP" in descriptions:
        return _inflated_profile(descriptions[b"iCCP"])
    gamma = descriptions.get(b"gAMA", b"")
    if b"sRGB" in descriptions or len(gamma) != 4 or not 0 < int.from_bytes(gamma, "big") < 10 * _UNIT:
        return None
    return _profile_of_gamma(int.from_bytes(gamma, "big"), descriptions.get(b"cHRM", b""), is_grey=is_grey)


def _profile_of_gamma(gamma: int, chromaticities: bytes, *, is_grey: bool) -> bytes | None:
    is_usual = abs(gamma - _USUAL_GAMMA) <= _GAMMA_TOLERANCE
    if is_grey:
        return None if is_usual else grey_profile(_UNIT / gamma)
    primaries = SRGB_PRIMARIES
    if len(chromaticities) == 32:
        points = [value / _UNIT for value in struct.unpack(">8I", chromaticities)]
        white, red, green, blue = zip(points[::2], points[1::2], strict=True)
        primaries = Primaries(white=white, red=red, green=green, blue=blue)
    if is_usual and _is_like(primaries, SRGB_PRIMARIES):
        return None
    return matrix_profile(primaries, (_UNIT / gamma,))


def _is_like(one: Primaries, other: Primaries) -> bool:
    pairs = zip(
        (*one.white, *one.red, *one.green, *one.blue),
        (*other.white, *other.red, *other.green, *other.blue),
        strict=True,
    )
    return all(abs(first - second) <= _PRIMARY_TOLERANCE for first, second in pairs)


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
