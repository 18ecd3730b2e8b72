"""Pictures kept in memory: within a bound, for a while, and byte for byte what the store answers."""

from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.picture_memory import SECONDS_KEPT, PictureMemory, names_entity_tag
from talent_image_pipeline_tests.service.in_process import running, service_on
from talent_image_pipeline_tests.service.test_app import CONTENT_HASH, RENDITIONS


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 8000)), max_size=60))
def test_what_is_kept_never_exceeds_the_bound(puts: list[tuple[int, int]]) -> None:
    memory = PictureMemory(limit_bytes=20_000)
    for number, size in puts:
        memory.keep(b"/%d" % number, b"x" * size, entity_tag="tag")
        assert 0 <= memory.kept_bytes <= 20_000


def test_the_picture_that_nobody_asked_for_the_longest_goes_first() -> None:
    memory = PictureMemory(limit_bytes=15_000)
    for path in (b"/a", b"/b", b"/c"):
        memory.keep(path, b"x" * 2000, entity_tag="tag")
    assert memory.find(b"/a") is not None

    memory.keep(b"/d", b"x" * 2000, entity_tag="tag")

    assert [memory.find(path) is not None for path in (b"/a", b"/b", b"/c", b"/d")] == [True, False, True, True]


def test_the_store_is_asked_again_before_long() -> None:
    clock = Clock()
    memory = PictureMemory(limit_bytes=10_000, clock=clock)
    memory.keep(b"/a", b"x", entity_tag="tag")
    clock.now = SECONDS_KEPT - 1
    assert memory.find(b"/a") is not None
    clock.now = SECONDS_KEPT
    assert memory.find(b"/a") is None


def test_without_room_a_picture_is_handed_out_and_not_kept() -> None:
    memory = PictureMemory(limit_bytes=0)

    assert memory.keep(b"/a", b"body", entity_tag="tag").body == b"body"
    assert memory.find(b"/a") is None


@pytest.mark.parametrize(
    ("asked", "is_named"),
    [(b'"a"', True), (b'W/"a"', True), (b'"b", "a"', True), (b"*", True), (b'"b"', False), (b"a", False), (b"", False)],
)
def test_tags_are_compared_weakly(asked: bytes, is_named: bool) -> None:
    assert names_entity_tag(asked, b'"a"') is is_named


def test_the_second_answer_is_that_of_the_first_whatever_is_asked(tmp_path: Path) -> None:
    store = PictureStore.from_url(str(tmp_path / "images"))
    anyio.run(store.put, CONTENT_HASH, RENDITIONS)
    engine = sa.create_engine("sqlite://")
    address = f"/images/{CONTENT_HASH}/256.webp"
    tag = {"If-None-Match": f'"{CONTENT_HASH}-256"'}
    service = service_on(store=store, engine=engine)

    def answers(client: httpx.Client) -> list[tuple[int, bytes, dict[str, str]]]:
        responses = [
            client.get(address),
            client.head(address),
            client.get(address, headers=tag),
            client.get(address, headers={"Range": "bytes=0-9"}),
            client.get(address, headers={"Connection": "close"}),
            client.request("GET", address, content=b"a body that nobody asked for"),
            client.get(f"{address}?query"),
        ]
        return [
            (response.status_code, response.content, {k: v for k, v in response.headers.items() if k != "date"})
            for response in responses
        ]

    with running(service) as client:
        client.get("/healthz")
        first, second = answers(client), answers(client)

    assert second == first
    assert [status for status, _, _ in first] == [200, 200, 304, 200, 200, 200, 200]
    assert [body for _, body, _ in first] == [RENDITIONS[256], b"", b"", *[RENDITIONS[256]] * 4]
    assert all("immutable" in headers["cache-control"] for _, _, headers in first)
