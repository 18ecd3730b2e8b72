"""Encoded picture files that the picture tests share: real portraits in every format, and files made to harm.

What belongs here: building bytes. What does not: expectations about them, which are in the tests.
"""

import io
import struct
import zlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")


@lru_cache(maxsize=1)
def astronaut() -> Image.Image:
    """Return a public-domain portrait of 512 x 512 pixels: Eileen Collins, photographed by NASA."""
    with Image.open(io.BytesIO((files("skimage") / "data" / "astronaut.png").read_bytes())) as image:
        portrait = image.convert("RGB")
    portrait.info.clear()
    return portrait


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """Return an image as a file."""
    output = io.BytesIO()
    image.save(output, image_format, **options)
    return output.getvalue()


@lru_cache(maxsize=16)
def small_file(image_format: str) -> bytes:
    """Return a portrait of 72 x 72 pixels as a file of a few kilobytes."""
    return encoded(astronaut().crop((150, 20, 320, 190)).resize((72, 72)), image_format)


def decoded(body: bytes) -> Image.Image:
    """Return the picture in a file, as a viewer shows it."""
    with Image.open(io.BytesIO(body)) as image:
        return image.convert("RGB")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_png_chunks(body: bytes, *chunks: bytes) -> bytes:
    """Return a PNG file with more chunks right after its header."""
    return body[:33] + b"".join(chunks) + body[33:]


def gif_with_a_huge_frame(*, side: int = 65535, screen: int = 72) -> bytes:
    """Return 44 bytes that claim a small screen and draw a huge frame on it."""
    header = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, side, side, 0)
    return header + frame + b"\x02\x0b" + b"\x8c\x2d\x99\x87\x2a\x1c\xdc\x33\xa0\x02\x75" + b"\0\x3b"


def png_of_size(width: int, height: int) -> bytes:
    """Return a tiny PNG file whose header declares a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = png_chunk(b"IDAT", zlib.compress(bytes(4096)))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + data + png_chunk(b"IEND", b"")


def jpeg_of_size(width: int, height: int) -> bytes:
    """Return a small JPEG file whose frame header declares another size."""
    body = small_file("JPEG")
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", height, width) + body[at + 4 :]


def webp_of_size(width: int, height: int) -> bytes:
    """Return a small lossy WebP file whose frame header declares another size."""
    body = small_file("WEBP")
    at = body.index(b"\x9d\x01\x2a") + 3
    return body[:at] + struct.pack("<HH", width, height) + body[at + 4 :]


def webp_on_canvas(width: int, height: int) -> bytes:
    """Return a WebP animation of two small frames that declares a canvas of a size."""
    body = animation("WEBP", frames=2, side=80, lossless=True)
    at = body.index(b"VP8X") + 12
    extent = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return body[:at] + extent + body[at + 6 :]


def avif_of_size(width: int, height: int) -> bytes:
    """Return a small AVIF file whose size property declares another size."""
    body = small_file("AVIF")
    at = body.index(b"ispe") + 8
    return body[:at] + struct.pack(">II", width, height) + body[at + 8 :]


def animation(image_format: str, *, frames: int, side: int, **options: Any) -> bytes:
    """Return an animation whose frames all differ."""
    pictures = [Image.new("RGB", (side, side), (index, 0, 90)) for index in range(frames)]
    return encoded(pictures[0], image_format, save_all=True, append_images=pictures[1:], duration=40, **options)


def sixteen_bit_png(image: Image.Image) -> bytes:
    """Return an image as a grey PNG file of 16 bits a pixel."""
    return encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")


def portrait_on(canvas: tuple[int, int], *, width: int, at: tuple[int, int]) -> Image.Image:
    """Return a soft background with the portrait's upper body, scaled to a width, pasted at a position."""
    across, down = np.meshgrid(np.linspace(0, 6, canvas[0]), np.linspace(0, 5, canvas[1]))
    channels = (90 + 40 * np.sin(across), 110 + 30 * np.cos(down), 120 + 10 * down)
    image = Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))
    body = astronaut().crop((90, 0, 350, 330))
    image.paste(body.resize((width, round(width * 330 / 260))), at)
    return image


FACE_IN_ASTRONAUT = (224.0, 116.0, 100.0)
"""The face's centre and its width from ear to ear, in pixels, measured by hand."""
