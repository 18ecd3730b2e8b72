"""The same picture gives the same bytes on every processor: an address never changes its content."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, json
from talent_image_pipeline.pictures.rendering.render import encode_renditions
from talent_image_pipeline_tests.pictures.picture_files import astronaut
import numpy as np

found = []
for number in range(40):
    left, top, side = 3 * number, 2 * number, 90 + 7 * number
    square = np.asarray(astronaut().crop((left, top, left + side, top + side)))
    found.append([hashlib.sha256(body).hexdigest() for body in encode_renditions(square).values()])
print(json.dumps(found))
"""


def hashes_with(disabled: str) -> list[list[str]]:
    """Return the hashes of all renditions of 40 pictures, made with some features of the processor turned off."""
    environment = os.environ | {"OPENCV_CPU_DISABLE": disabled}
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True)
    hashes: list[list[str]] = json.loads(result.stdout)
    return hashes


@pytest.fixture(scope="module")
def with_all_features() -> list[list[str]]:
    return hashes_with("")


@pytest.mark.parametrize("disabled", ["AVX2", "AVX512_SKX,AVX2,FMA3,AVX,FP16,SSE4_2,SSE4_1"])
def test_every_rendition_has_the_same_bytes_whatever_the_processor_offers(
    disabled: str, with_all_features: list[list[str]]
) -> None:
    assert len(with_all_features) == 40
    assert hashes_with(disabled) == with_all_features
