"""What may be removed from the picture store, and how damage in it is found."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.pictures.store.damage import DamageKind
from talent_image_pipeline.pictures.store.keys import content_hash_of
from talent_image_pipeline.pictures.store.picture_store import PictureStore, PictureStoreUnavailableError, StoredPicture
from talent_image_pipeline.pictures.store.verification import find_garbage, verify_pictures

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def make_renditions(seed: int, *, source_side: int = 512) -> dict[int, bytes]:
    """Encode four squares; where the source is smaller, the largest that it allows stands in."""
    noise = sha256(str(seed).encode()).digest() * 4
    source = Image.frombytes("L", (8, 16), noise).convert("RGB")
    renditions = {}
    for size in RENDITION_SIZES:
        encoded = BytesIO()
        source.resize((min(size, source_side),) * 2).save(encoded, "WEBP")
        renditions[size] = encoded.getvalue()
    return renditions


def stored_picture(name: str, *, age: timedelta, sizes: tuple[int, ...] = RENDITION_SIZES) -> StoredPicture:
    return StoredPicture(
        content_hash=sha256(name.encode()).hexdigest(), sizes=sizes, bytes=1000, last_modified=NOW - age
    )


async def test_only_old_pictures_that_nothing_refers_to_are_garbage() -> None:
    shown = stored_picture("shown", age=timedelta(days=30))
    forgotten = stored_picture("forgotten", age=timedelta(days=30))
    just_stored = stored_picture("just stored", age=timedelta(minutes=1))
    at_the_limit = stored_picture("at the limit", age=timedelta(days=7))
    half_written = stored_picture("half written", age=timedelta(days=30), sizes=(64, 128))

    garbage = find_garbage(
        [shown, forgotten, just_stored, at_the_limit, half_written],
        {shown.content_hash},
        older_than=NOW - timedelta(days=7),
    )

    assert list(garbage) == [forgotten, half_written]


async def test_sound_pictures_have_no_damage_and_progress_counts_them_all(tmp_path: Path) -> None:
    store = PictureStore.from_url(str(tmp_path))
    pictures = [make_renditions(seed, source_side=512 if seed % 2 else 100) for seed in range(40)]
    for renditions in pictures:
        await store.put(content_hash_of(renditions), renditions)
    progress: list[int] = []

    damage = await verify_pictures(store, map(content_hash_of, pictures), on_progress=progress.append)

    assert damage == []
    assert progress[-1] == 40
    assert progress == sorted(progress)


def flip_a_bit(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def as_png(content: bytes) -> bytes:
    encoded = BytesIO()
    Image.open(BytesIO(content)).save(encoded, "PNG")
    return encoded.getvalue()


def with_wrong_header(content: bytes) -> bytes:
    return content[:12] + b"NOPE" + content[16:]


def of_other_dimensions(content: bytes) -> bytes:
    encoded = BytesIO()
    Image.new("RGB", (300, 20)).save(encoded, "WEBP")
    return encoded.getvalue()


@pytest.mark.parametrize(
    ("size", "spoil", "kind"),
    [
        (512, flip_a_bit, DamageKind.DAMAGED),
        (256, flip_a_bit, DamageKind.DAMAGED),
        (128, flip_a_bit, DamageKind.DAMAGED),
        (64, flip_a_bit, DamageKind.DAMAGED),
        (512, lambda content: content[: len(content) // 2], DamageKind.TORN),
        (512, lambda _: b"", DamageKind.TORN),
        (512, lambda content: content + b"more", DamageKind.DAMAGED),
        (512, as_png, DamageKind.DAMAGED),
        (64, lambda content: content[:-1], DamageKind.TORN),
        (128, as_png, DamageKind.DAMAGED),
        (128, with_wrong_header, DamageKind.DAMAGED),
        (256, of_other_dimensions, DamageKind.DAMAGED),
        (64, lambda _: make_renditions(1)[256], DamageKind.DAMAGED),
        (256, lambda content: bytes(len(content)), DamageKind.DAMAGED),
        (256, None, DamageKind.MISSING),
    ],
)
async def test_a_spoilt_rendition_is_found_named_and_repaired(
    tmp_path: Path, size: int, spoil: Callable[[bytes], bytes] | None, kind: DamageKind
) -> None:
    store = PictureStore.from_url(str(tmp_path))
    spoilt, sound = make_renditions(1), make_renditions(2)
    for renditions in (spoilt, sound):
        await store.put(content_hash_of(renditions), renditions)
    spoil_file(tmp_path / content_hash_of(spoilt) / f"{size}.webp", spoil)

    damage = await verify_pictures(store, [content_hash_of(sound), content_hash_of(spoilt)])

    assert [(found.content_hash, found.size, found.kind) for found in damage] == [(content_hash_of(spoilt), size, kind)]
    assert damage[0].message.startswith(f"the {size} px rendition ")
    await store.put(content_hash_of(spoilt), spoilt)
    assert await verify_pictures(store, [content_hash_of(spoilt)]) == []


def spoil_file(path: Path, spoil: Callable[[bytes], bytes] | None) -> None:
    if spoil is None:
        path.unlink()
    else:
        path.write_bytes(spoil(path.read_bytes()))


@pytest.mark.parametrize("size", [64, 128, 256])
async def test_a_picture_from_before_checksums_gets_them_when_it_is_found_sound(tmp_path: Path, size: int) -> None:
    store = PictureStore.from_url(str(tmp_path))
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)
    (tmp_path / content_hash / "SHA256SUMS").unlink()
    assert await PictureStore.from_url(str(tmp_path)).read_verified(content_hash, size) == renditions[size]

    assert await verify_pictures(store, [content_hash]) == []

    spoil_file(tmp_path / content_hash / f"{size}.webp", flip_a_bit)
    assert [damage.size for damage in await verify_pictures(store, [content_hash])] == [size]


async def test_damaged_checksums_condemn_the_renditions_and_come_back_with_the_picture(tmp_path: Path) -> None:
    store = PictureStore.from_url(str(tmp_path))
    renditions = make_renditions(1)
    content_hash = content_hash_of(renditions)
    await store.put(content_hash, renditions)
    (tmp_path / content_hash / "SHA256SUMS").write_bytes(b"\xff\0 nonsense")

    assert [damage.size for damage in await verify_pictures(store, [content_hash])] == [64, 128, 256]

    await store.put(content_hash, renditions)
    assert await verify_pictures(store, [content_hash]) == []


async def test_a_picture_that_is_not_there_at_all_misses_every_rendition(tmp_path: Path) -> None:
    damage = await verify_pictures(PictureStore.from_url(str(tmp_path)), ["a" * 64])

    assert [(found.size, found.kind) for found in damage] == [(size, DamageKind.MISSING) for size in RENDITION_SIZES]


async def test_a_store_whose_directory_is_gone_is_no_damage(tmp_path: Path) -> None:
    store = PictureStore.from_url(str(tmp_path / "mounted"))
    (tmp_path / "mounted").rename(tmp_path / "unmounted")

    with pytest.raises(PictureStoreUnavailableError, match="mounted"):
        await verify_pictures(store, ["a" * 64])


async def test_a_store_that_cannot_be_read_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "false")

    with pytest.raises(PictureStoreUnavailableError):
        await verify_pictures(PictureStore.from_url("s3://talent-pictures"), ["a" * 64])
