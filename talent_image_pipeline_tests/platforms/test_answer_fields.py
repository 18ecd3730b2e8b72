"""Values taken out of answers that nobody vouches for."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.platforms.meta_graph import picture_reference as graph_picture
from talent_image_pipeline.platforms.tiktok import picture_reference as tiktok_picture


@pytest.mark.parametrize(
    ("query", "expiry"),
    [
        ("oe=65F5C2A0", datetime(2024, 3, 16, 16, 2, 40, tzinfo=UTC)),
        ("_nc_cat=1&oe=65f5c2a0&oh=x", datetime(2024, 3, 16, 16, 2, 40, tzinfo=UTC)),
        ("oe=65F5C2A0&oe=65F5C29F", datetime(2024, 3, 16, 16, 2, 39, tzinfo=UTC)),
        ("oe=", None),
        ("oe=xyz", None),
        ("oe=-1", None),
        ("oe=0x65F5C2A0", None),
        ("oe=ffffffffffffffff", None),
        ("noe=65F5C2A0", None),
        ("x-expires=1656828000", None),
        ("", None),
    ],
)
def test_the_expiry_of_metas_signed_address_is_hexadecimal(query: str, expiry: datetime | None) -> None:
    picture = graph_picture(f"https://x.fbcdn.net/a_n.jpg?{query}")
    assert picture is not None
    assert picture.expires_at == expiry


@pytest.mark.parametrize(
    ("query", "expiry"),
    [
        ("x-expires=1656828000&x-signature=a%3D", datetime(2022, 7, 3, 6, tzinfo=UTC)),
        ("x-expires=99999999999999999999", None),
        ("x-expires=0x65F5C2A0", None),
        ("oe=65F5C2A0", None),
    ],
)
def test_the_expiry_of_tiktoks_signed_address_is_decimal(query: str, expiry: datetime | None) -> None:
    picture = tiktok_picture(f"https://p16.tiktokcdn.com/bucket/a~c5.jpeg?{query}")
    assert picture is not None
    assert picture.expires_at == expiry


@given(st.text(alphabet="0123456789abcdefxoe-pirs=&?", max_size=40))
def test_reading_an_expiry_never_fails(query: str) -> None:
    picture = graph_picture(f"https://x.fbcdn.net/a_n.jpg?oe={query}")
    assert picture is not None
    assert picture.expires_at is None or picture.expires_at.tzinfo is UTC
