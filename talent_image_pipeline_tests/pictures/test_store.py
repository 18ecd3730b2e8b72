"""The picture store, on a real directory and on a real S3 API on loopback."""

import asyncio
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import anyio
import httpx
import obstore.store
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import LocalStore
from PIL import Image

from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.pictures.store.damage import DamagedRenditionError
from talent_image_pipeline.pictures.store.durable_directory import DurableDirectory
from talent_image_pipeline.pictures.store.keys import content_hash_of, rendition_url
from talent_image_pipeline.pictures.store.picture_store import (
    PictureStore,
    PictureStoreAddressError,
    PictureStoreUnavailableError,
    StoredPicture,
)

pytestmark = pytest.mark.anyio

BUCKET = "talent-pictures"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def s3_bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty bucket, with the environment set as an operator would set it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    httpx.post(f"{s3_endpoint}/moto-api/reset").raise_for_status()
    httpx.put(f"{s3_endpoint}/{BUCKET}").raise_for_status()
    return f"{s3_endpoint}/{BUCKET}"


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PictureStore:
    if request.param == "directory":
        return PictureStore.from_url(str(tmp_path / "pictures"))
    request.getfixturevalue("s3_bucket")
    return PictureStore.from_url(f"s3://{BUCKET}/some/prefix")


def make_renditions(seed: int) -> dict[int, bytes]:
    """Encode four square pictures of one colour that the seed decides."""
    colour = tuple(sha256(str(seed).encode()).digest()[:3])
    renditions = {}
    for size in RENDITION_SIZES:
        encoded = BytesIO()
        Image.new("RGB", (size, size), colour).save(encoded, "WEBP")
        renditions[size] = encoded.getvalue()
    return renditions


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def inodes_of(directory: Path) -> set[int]:
    return {inode_of(path) for path in (directory, *directory.iterdir())}


def inode_of(path: Path) -> int:
    return path.stat().st_ino


async def listed(store: PictureStore) -> dict[str, StoredPicture]:
    return {picture.content_hash: picture async for picture in store.list_pictures()}


async def test_a_stored_picture_is_read_back_byte_for_byte(store: PictureStore) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)

    assert await store.put(content_hash, renditions) is True

    assert await store.has(content_hash)
    assert {size: await store.get(content_hash, size) for size in RENDITION_SIZES} == renditions


async def test_a_picture_that_was_never_stored_is_absent(store: PictureStore) -> None:
    content_hash = content_hash_of(make_renditions(1))

    assert not await store.has(content_hash)
    assert await store.get(content_hash, 256) is None
    assert await listed(store) == {}
    await store.delete(content_hash)


async def test_storing_a_picture_again_writes_nothing_and_keeps_the_first_bytes(store: PictureStore) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)

    again = {**renditions, 64: b"RIFF of another encoder"}

    assert await store.put(content_hash, again) is False
    assert await store.get(content_hash, 64) == renditions[64]


async def test_storing_a_picture_again_makes_it_new_for_the_clean_up(tmp_path: Path) -> None:
    store = PictureStore.from_url(str(tmp_path))
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    for path in (tmp_path / content_hash).iterdir():
        os.utime(path, (long_ago, long_ago))
    limit = datetime(2021, 1, 1, tzinfo=UTC)
    assert (await listed(store))[content_hash].last_modified < limit

    await store.put(content_hash, renditions)

    assert (await listed(store))[content_hash].last_modified > limit
    assert await store.delete_unless_touched(content_hash, since=limit) is False
    assert await store.has(content_hash)


async def test_storing_a_picture_again_makes_it_new_in_an_object_store_too(s3_bucket: str) -> None:
    store = PictureStore.from_url(f"s3://{BUCKET}")
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)
    first = (await listed(store))[content_hash].last_modified

    # The service counts in whole seconds.
    for _ in range(300):
        await store.put(content_hash, renditions)
        if (await listed(store))[content_hash].last_modified > first:
            break
        await anyio.sleep(0.01)
    else:
        pytest.fail("storing it again did not make it new")


async def test_a_picture_with_a_missing_rendition_is_not_present_and_is_completed(store: PictureStore) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)
    delete_rendition(store, content_hash, 128)
    assert not await store.has(content_hash)

    assert await store.put(content_hash, {**renditions, 64: b"RIFF of another encoder"}) is True

    assert {size: await store.get(content_hash, size) for size in RENDITION_SIZES} == renditions


def delete_rendition(store: PictureStore, content_hash: str, size: int) -> None:
    address = store.location if "://" in store.location else f"file://{store.location}"
    obstore.delete(obstore.store.from_url(address), f"{content_hash}/{size}.webp")


async def test_only_what_fails_its_own_checksum_is_overwritten(store: PictureStore) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)
    overwrite_rendition(store, content_hash, 128, b"damaged")
    of_another_encoder = {**renditions, 64: b"RIFF of another encoder"}

    assert await store.put(content_hash, of_another_encoder) is True
    assert await store.put(content_hash, of_another_encoder) is False

    assert {size: await store.get(content_hash, size) for size in RENDITION_SIZES} == renditions
    assert await store.check(content_hash) == []


def overwrite_rendition(store: PictureStore, content_hash: str, size: int, content: bytes) -> None:
    address = store.location if "://" in store.location else f"file://{store.location}"
    obstore.put(obstore.store.from_url(address), f"{content_hash}/{size}.webp", content)


@pytest.mark.parametrize("size", RENDITION_SIZES)
async def test_a_rendition_with_one_flipped_bit_is_not_read_until_it_is_stored_again(
    store: PictureStore, size: int
) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)
    assert await store.read_verified(content_hash, size) == renditions[size]
    flipped = bytes([renditions[size][0] ^ 1]) + renditions[size][1:]
    overwrite_rendition(store, content_hash, size, flipped)

    with pytest.raises(DamagedRenditionError, match=f"the {size} px rendition"):
        await store.read_verified(content_hash, size)
    assert [damage.size for damage in await store.check(content_hash)] == [size]

    await store.put(content_hash, renditions)
    assert await store.read_verified(content_hash, size) == renditions[size]


async def test_a_repair_by_another_process_is_seen_by_one_that_knew_the_old_checksums(tmp_path: Path) -> None:
    reader, writer = (PictureStore.from_url(str(tmp_path)) for _ in range(2))
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await writer.put(content_hash, renditions)
    assert await reader.read_verified(content_hash, 64) == renditions[64]
    overwrite_rendition(writer, content_hash, 64, b"damaged")

    await writer.put(content_hash, {**renditions, 64: b"RIFF of another encoder"})

    assert await reader.read_verified(content_hash, 64) == b"RIFF of another encoder"


async def test_a_picture_that_is_not_there_is_no_damage_to_a_reader(store: PictureStore) -> None:
    assert await store.read_verified("a" * 64, 256) is None


async def test_a_store_that_returns_other_bytes_than_were_just_written_is_an_error(tmp_path: Path) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    stale = PictureStore.from_url(str(tmp_path / "stale"))
    await stale.put(content_hash, renditions)
    overwrite_rendition(stale, content_hash, 64, b"damaged")
    written = DurableDirectory(tmp_path / "written")
    store = PictureStore(backend=LocalStore(tmp_path / "stale"), location="a stale mirror", directory=written)

    with pytest.raises(PictureStoreUnavailableError, match=r"64 px rendition .* right after it was written"):
        await store.put(content_hash, renditions)


async def test_the_checksums_beside_the_renditions_are_what_sha256sum_reads(tmp_path: Path) -> None:
    renditions = make_renditions(1)
    await PictureStore.from_url(str(tmp_path)).put(content_hash_of(renditions), renditions)

    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    result = await anyio.run_process(command, cwd=tmp_path / content_hash_of(renditions))

    assert result.stdout.decode().splitlines() == [f"{size}.webp: OK" for size in RENDITION_SIZES]


async def test_a_deleted_picture_is_gone_and_can_be_stored_again(store: PictureStore) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)

    await store.delete(content_hash)

    assert not await store.has(content_hash)
    assert await listed(store) == {}
    assert await store.put(content_hash, renditions) is True
    assert await store.has(content_hash)


async def test_the_clean_up_deletes_what_was_not_stored_since(store: PictureStore) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)
    stored_at = (await listed(store))[content_hash].last_modified

    assert await store.delete_unless_touched(content_hash, since=stored_at) is False
    assert await store.has(content_hash)
    assert await store.delete_unless_touched(content_hash, since=stored_at + timedelta(seconds=1)) is True
    assert await store.find(content_hash) is None
    assert await store.delete_unless_touched(content_hash, since=stored_at + timedelta(seconds=1)) is False


async def test_listing_says_what_is_there_and_how_large_it_is(store: PictureStore) -> None:
    pictures = {content_hash_of(renditions): renditions for renditions in map(make_renditions, range(5))}
    for content_hash, renditions in pictures.items():
        await store.put(content_hash, renditions)
    incomplete = next(iter(pictures))
    delete_rendition(store, incomplete, 64)
    del pictures[incomplete][64]

    found = await listed(store)

    assert {content_hash: (picture.sizes, picture.bytes) for content_hash, picture in found.items()} == {
        content_hash: (tuple(renditions), sum(map(len, renditions.values())))
        for content_hash, renditions in pictures.items()
    }
    assert [content_hash for content_hash, picture in found.items() if not picture.is_complete] == [incomplete]


async def test_many_writers_of_the_same_picture_at_once_all_end_with_it_whole(store: PictureStore) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)

    outcomes = await asyncio.gather(*(store.put(content_hash, renditions) for _ in range(12)))

    assert any(outcomes)
    assert {size: await store.get(content_hash, size) for size in RENDITION_SIZES} == renditions


async def test_writers_beside_a_deleting_clean_up_leave_no_torn_object(store: PictureStore) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)

    async def write() -> None:
        for _ in range(10):
            await store.put(content_hash, renditions)

    async def clean_up() -> None:
        for _ in range(20):
            await store.delete(content_hash)

    await asyncio.gather(write(), clean_up(), write())
    await store.put(content_hash, renditions)

    assert {size: await store.get(content_hash, size) for size in RENDITION_SIZES} == renditions


@pytest.mark.parametrize(
    "content_hash",
    ["", "..", "../../etc/passwd", "a" * 63, "a" * 65, "A" * 64, "a" * 63 + "/", "a" * 64 + "\n", "٣" * 64, "g" * 64],
)
async def test_a_name_that_is_no_content_hash_reaches_no_file(tmp_path: Path, content_hash: str) -> None:
    store = PictureStore.from_url(str(tmp_path / "pictures"))
    renditions = make_renditions(1)

    for attempt in (
        store.get(content_hash, 256),
        store.has(content_hash),
        store.delete(content_hash),
        store.put(content_hash, renditions),
    ):
        with pytest.raises(ValueError, match="content hash"):
            await attempt
    assert names_in(tmp_path) == {"pictures"}


@pytest.mark.parametrize("size", [0, -64, 63, 65, 1024])
async def test_a_size_that_is_not_ours_is_refused(tmp_path: Path, size: int) -> None:
    store = PictureStore.from_url(str(tmp_path))

    with pytest.raises(ValueError, match="rendition"):
        await store.get("a" * 64, size)


async def test_a_hash_that_is_not_that_of_the_largest_rendition_is_refused(store: PictureStore) -> None:
    with pytest.raises(ValueError, match="content hash"):
        await store.put(content_hash_of(make_renditions(2)), make_renditions(1))
    assert await listed(store) == {}


@pytest.mark.parametrize("damage", [{64: b""}, {64: None}, {1024: b"more"}])
async def test_an_incomplete_set_of_renditions_is_refused(store: PictureStore, damage: dict[int, bytes | None]) -> None:
    renditions = make_renditions(1)
    changed = {size: content for size, content in {**renditions, **damage}.items() if content is not None}

    with pytest.raises(ValueError, match="renditions"):
        await store.put(content_hash_of(renditions), changed)
    assert await listed(store) == {}


async def test_the_public_address_names_the_hash_and_the_size() -> None:
    assert rendition_url("https://talent.example/", "a" * 64) == f"https://talent.example/images/{'a' * 64}/256.webp"
    assert rendition_url("https://talent.example", "a" * 64, 64) == f"https://talent.example/images/{'a' * 64}/64.webp"


async def test_a_file_address_and_a_plain_directory_are_the_same_store(tmp_path: Path) -> None:
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    directory = tmp_path / "with a space"

    await PictureStore.from_url(str(directory)).put(content_hash, renditions)

    assert await PictureStore.from_url(f"file://{str(directory).replace(' ', '%20')}").has(content_hash)
    assert (directory / content_hash / "512.webp").read_bytes() == renditions[512]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "   ",
        "http://example.com/pictures",
        "ftp://example.com/pictures",
        "file://otherhost/pictures",
        "file://",
        "s3://",
        "s3://key:hunter2@bucket/prefix",
        "s3://bucket/prefix?sig=hunter2",
        "az://container/prefix",
    ],
)
async def test_an_address_that_cannot_be_used_is_refused_in_words_without_its_secrets(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)

    with pytest.raises(PictureStoreAddressError) as refusal:
        PictureStore.from_url(address)

    assert "picture" in str(refusal.value) or "file:///" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(PictureStoreAddressError, match="cannot be stored in"):
        PictureStore.from_url(str(tmp_path / "file"))


async def test_google_and_azure_addresses_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bm90LWEtc2VjcmV0")

    assert PictureStore.from_url("gs://bucket/prefix").location == "gs://bucket/prefix"
    store = PictureStore.from_url("az://container/prefix")
    assert store.location == "az://container/prefix"
    assert "bm90LWEtc2VjcmV0" not in repr(store)


async def test_a_missing_bucket_is_a_failure_in_words_and_not_an_absent_picture(s3_bucket: str) -> None:
    store = PictureStore.from_url("s3://no-such-bucket/prefix")
    renditions = make_renditions(1)
    with pytest.raises(PictureStoreUnavailableError, match="does not exist"):
        await store.check_reachable()

    with pytest.raises(PictureStoreUnavailableError, match="does not exist"):
        await store.put(content_hash_of(renditions), renditions)


@pytest.mark.parametrize("address", ["s3://talent-pictures/prefix", "az://talent-pictures/prefix"])
async def test_a_store_that_is_down_is_a_failure_in_words_without_its_secrets(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", nowhere)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_SAS_KEY", "sv=2024-01-01&sig=hunter2")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", nowhere)
    monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
    store = PictureStore.from_url(address)

    with pytest.raises(PictureStoreUnavailableError, match="talent-pictures") as failure:
        await store.get("a" * 64, 64)

    assert "hunter2" not in f"{failure.value!r} {failure.value.__cause__!r} {store!r}"


async def test_every_file_is_flushed_before_it_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PictureStore.from_url(str(tmp_path))
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    flushed_unseen: set[int] = set()
    flushed: set[int] = set()
    real_fsync = os.fsync

    def watched_fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        inode = os.fstat(descriptor).st_ino
        flushed.add(inode)
        if not (tmp_path / content_hash).exists():
            flushed_unseen.add(inode)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    await store.put(content_hash, renditions)

    assert inodes_of(tmp_path / content_hash) <= flushed_unseen
    assert inode_of(tmp_path) in flushed


async def test_leftovers_of_killed_writers_are_removed_once_they_are_old(tmp_path: Path) -> None:
    store = PictureStore.from_url(str(tmp_path))
    leftover = tmp_path / ".incoming" / "left by a killed writer"
    leftover.mkdir()
    (leftover / "512.webp").write_bytes(b"half")
    now = datetime.now(UTC)

    assert await listed(store) == {}
    assert await store.delete_leftovers(older_than=now - timedelta(hours=1)) == 0
    assert await store.delete_leftovers(older_than=now + timedelta(hours=1)) == 1
    assert not leftover.exists()


WRITER = """
import asyncio, itertools, os, sys
from talent_image_pipeline.pictures.store.keys import content_hash_of
from talent_image_pipeline.pictures.store.picture_store import PictureStore

async def write() -> None:
    store = PictureStore.from_url(sys.argv[1])
    for number in itertools.count():
        renditions = {size: f"{size} {os.getpid()} {number} ".encode() * 3000 for size in (64, 128, 256, 512)}
        await store.put(content_hash_of(renditions), renditions)
        if number == 0:
            print("ready", flush=True)

asyncio.run(write())
"""


async def test_a_writer_killed_at_any_moment_leaves_every_visible_picture_whole(tmp_path: Path) -> None:
    moments = random.Random(20)
    root = tmp_path / "pictures"

    for _ in range(12):
        kill_a_writer_after(moments.uniform(0.0, 0.05), root)

    store = PictureStore.from_url(str(root))
    pictures = await listed(store)
    assert len(pictures) > 12
    for content_hash, picture in pictures.items():
        assert picture.is_complete
        renditions = {size: await store.get(content_hash, size) or b"" for size in RENDITION_SIZES}
        assert content_hash_of(renditions) == content_hash
        written = renditions[512][: len(renditions[512]) // 3000].partition(b" ")[2]
        assert renditions == {size: b"%d %b" % (size, written) * 3000 for size in RENDITION_SIZES}
    assert names_in(root) == {".incoming", *pictures}


def kill_a_writer_after(seconds: float, root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        writer.kill()
