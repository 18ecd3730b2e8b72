"""Builds ICC profiles for colours that a file describes in other words: code points, or primaries and a gamma.

What belongs here: the bytes of small matrix profiles (ICC.1:2022), as pure functions.
What does not: reading those words (``headers/``) and applying profiles (``decode.py``).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_Matrix = tuple[tuple[float, ...], ...]

#: The white of every ICC profile's connection space, CIE D50, as XYZ.
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD: _Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
# A curve is given in the form y = (a x + b) ^ g above d and y = c x below.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_LINEAR_WHITE_FLOOR = 1e-6


@dataclass(frozen=True, kw_only=True)
class Primaries:
    """The corners of a colour space, as CIE xy.

    Attributes:
        white: Its white.
        red: Its purest red.
        green: Its purest green.
        blue: Its purest blue.
    """

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]


_D65 = (0.3127, 0.3290)
SRGB_PRIMARIES = Primaries(white=_D65, red=(0.64, 0.33), green=(0.30, 0.60), blue=(0.15, 0.06))
# Rec. ITU-T H.273, table 2.
_PRIMARIES_BY_CODE = {
    1: SRGB_PRIMARIES,
    9: Primaries(white=_D65, red=(0.708, 0.292), green=(0.170, 0.797), blue=(0.131, 0.046)),
    11: Primaries(white=(0.314, 0.351), red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060)),
    12: Primaries(white=_D65, red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060)),
}
# Table 3, without those of high dynamic range. The video curves (1, 6, 14, 15) stand for what a display shows with the
# curve of sRGB, as browsers take them for still pictures.
_CURVE_BY_CODE: dict[int, Sequence[float]] = {
    **dict.fromkeys((1, 6, 13, 14, 15), _SRGB_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
}


def profile_of_code_points(*, primaries: int, transfer: int) -> bytes | None:
    """Return the profile of code points (Rec. ITU-T H.273); none for sRGB itself and for those that are not known.

    Args:
        primaries: Code point of the colour primaries.
        transfer: Code point of the transfer characteristics.
    """
    corners, curve = _PRIMARIES_BY_CODE.get(primaries), _CURVE_BY_CODE.get(transfer)
    if corners is None or curve is None or (corners is SRGB_PRIMARIES and curve is _SRGB_CURVE):
        return None
    return matrix_profile(corners, curve)


def matrix_profile(primaries: Primaries, curve: Sequence[float]) -> bytes | None:
    """Return an RGB profile, or none where the primaries span no colours.

    Args:
        primaries: The corners of the colour space.
        curve: A gamma alone, or the five numbers g, a, b, c and d of a curve with a straight foot.
    """
    columns = _to_connection_space(primaries)
    if columns is None:
        return None
    tags = [(b"wtpt", _xyz(_D50))]
    tags += [(kind, _xyz(column)) for kind, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)]
    tags += [(kind, _parametric(curve)) for kind in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    """Return a profile of greys whose light grows with the given power of their value."""
    return _profile(b"GRAY", [(b"wtpt", _xyz(_D50)), (b"kTRC", _parametric((gamma,)))])


def _to_connection_space(primaries: Primaries) -> list[tuple[float, ...]] | None:
    """Return the primaries as XYZ under D50, each as bright as it is in the white."""
    corners = [_xyz_of(point) for point in (primaries.red, primaries.green, primaries.blue)]
    white = _xyz_of(primaries.white)
    inverse = _inverse(_transposed(corners)) if all(corners) and white else None
    if inverse is None or not white:
        return None
    shares = _times(inverse, white)
    cones, cones_d50 = _times(_BRADFORD, white), _times(_BRADFORD, _D50)
    if min(map(abs, cones)) < _LINEAR_WHITE_FLOOR:
        return None
    gains = [target / source for source, target in zip(cones, cones_d50, strict=True)]
    back = _inverse(_BRADFORD)
    adapted = []
    for corner, share in zip(corners, shares, strict=True):
        response = _times(_BRADFORD, tuple(value * share for value in corner))
        adapted.append(_times(back or (), tuple(value * gain for value, gain in zip(response, gains, strict=True))))
    return adapted


def _xyz_of(point: tuple[float, float]) -> tuple[float, ...]:
    x, y = point
    return (x / y, 1.0, (1 - x - y) / y) if y > 0 else ()


def _times(matrix: _Matrix, vector: Sequence[float]) -> tuple[float, ...]:
    return tuple(sum(one * other for one, other in zip(row, vector, strict=True)) for row in matrix)


def _transposed(columns: Sequence[tuple[float, ...]]) -> _Matrix:
    return tuple(zip(*columns, strict=True))


def _inverse(matrix: _Matrix) -> _Matrix | None:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    if abs(determinant) < _LINEAR_WHITE_FLOOR:
        return None
    return tuple(tuple(value / determinant for value in row) for row in cofactors)


def _fixed(value: float) -> bytes:
    """Return a number as the profile format writes it: 16 bits before the point and 16 behind."""
    return struct.pack(">i", max(-(2**31), min(2**31 - 1, round(value * 65536))))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _parametric(curve: Sequence[float]) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, curve))


def _profile(space: bytes, tags: Sequence[tuple[bytes, bytes]]) -> bytes:
    position = 128 + 4 + 12 * len(tags)
    table, data = [struct.pack(">I", len(tags))], []
    for kind, content in tags:
        padded = content + bytes(-len(content) % 4)
        table.append(kind + struct.pack(">II", position, len(content)))
        data.append(padded)
        position += len(padded)
    header = b"".join(
        (
            struct.pack(">I", position) + bytes(4) + b"\x04\x30\0\0mntr" + space + b"XYZ " + bytes(12) + b"acsp",
            bytes(28) + b"".join(map(_fixed, _D50)) + bytes(48),
        )
    )
    return header + b"".join((*table, *data))
