"""The picture store: renditions under the hash of their content, in a directory or in an object store.

What belongs here: reading, writing, listing and deleting stored pictures.
What does not: making renditions, judging stored bytes (``damage.py``), and which pictures may go
(``verification.py``).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio.to_thread
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from talent_image_pipeline.errors import UserError
from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.pictures.store import checksums as checksum_file
from talent_image_pipeline.pictures.store.checksums import Checksums, checksums_of, format_checksums, parse_checksums
from talent_image_pipeline.pictures.store.damage import Damage, DamagedRenditionError, DamageKind, find_damage
from talent_image_pipeline.pictures.store.durable_directory import DurableDirectory
from talent_image_pipeline.pictures.store.keys import (
    LARGEST_SIZE,
    checksums_key,
    content_hash_of,
    parse_rendition_key,
    rendition_key,
)

_OBJECT_STORE_SCHEMES = ("s3", "gs", "az")
_EXPECTED = "a directory, file:///directory, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
# A batch must not hang on a store that is down: a few tries, then the error reaches the run.
_RETRY_TIMEOUT = timedelta(seconds=20)
_MAX_RETRIES = 4
# Four checksums take about 700 bytes.
_MOST_KNOWN_CHECKSUMS = 10_000
# No picture has it: nobody knows bytes whose SHA-256 is zero.
_NO_PICTURES_HASH = "0" * 64
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")


class PictureStoreAddressError(UserError):
    """The address of the picture store cannot be used; the message says what is expected."""


class PictureStoreUnavailableError(UserError):
    """The picture store could not be read or written; the message says where and why, free of secrets."""


@dataclass(frozen=True, kw_only=True)
class StoredPicture:
    """What the store holds under one content hash.

    Attributes:
        content_hash: SHA-256 of the largest rendition, in hex.
        sizes: Sides of the renditions that are there, in pixels, ascending.
        bytes: Of all of them together.
        last_modified: When the newest of them was written or confirmed, UTC.
    """

    content_hash: str
    sizes: tuple[int, ...]
    bytes: int
    last_modified: datetime

    @property
    def is_complete(self) -> bool:
        """Whether every rendition is there; only then does the picture count as present."""
        return self.sizes == RENDITION_SIZES


class PictureStore:
    """Content-addressed renditions. Safe for any number of writers and readers in any number of processes."""

    def __init__(self, *, backend: ObjectStore, location: str, directory: DurableDirectory | None = None) -> None:
        self._backend = backend
        self._directory = directory
        self.location = location
        self._known_checksums: dict[str, Checksums] = {}

    def __repr__(self) -> str:
        return f"PictureStore({self.location!r})"

    @classmethod
    def from_url(cls, url: str) -> "PictureStore":
        """Open the store at a directory or an object-store address.

        Credentials, region and endpoint of an object store come from its usual environment variables: ``AWS_*``
        (with ``AWS_ENDPOINT_URL`` and ``AWS_ALLOW_HTTP``), ``GOOGLE_*`` and ``AZURE_STORAGE_*``.

        Args:
            url: A directory, ``file://``, ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``az://container/prefix``.

        Raises:
            PictureStoreAddressError: when it is none of these, holds credentials, or lacks what its backend needs.
        """
        scheme = _scheme_of(url)
        if scheme == "file":
            return cls._in_directory(_directory_of(url))
        if scheme == "":
            return cls._in_directory(url)
        if scheme in _OBJECT_STORE_SCHEMES:
            return cls._in_object_store(url)
        raise PictureStoreAddressError(f"pictures cannot be stored at {scheme}://…; give {_EXPECTED}")

    @classmethod
    def _in_directory(cls, path: str) -> "PictureStore":
        if not path.strip() or "\0" in path:
            raise PictureStoreAddressError(f"pictures need a place to be stored at; give {_EXPECTED}")
        root = Path(path).expanduser().absolute()
        try:
            directory = DurableDirectory(root)
        except OSError as error:
            raise PictureStoreAddressError(f"pictures cannot be stored in {root}: {error.strerror}") from None
        return cls(backend=LocalStore(root, automatic_cleanup=True), location=str(root), directory=directory)

    @classmethod
    def _in_object_store(cls, url: str) -> "PictureStore":
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise PictureStoreAddressError(
                "the picture store's address must hold no credentials or options; set them in the environment"
            )
        if not parts.netloc:
            raise PictureStoreAddressError(f"the picture store's address names no bucket; give {_EXPECTED}")
        try:
            backend = from_url(
                url,
                retry_config={"max_retries": _MAX_RETRIES, "retry_timeout": _RETRY_TIMEOUT},
            )
        except (BaseError, ValueError) as error:
            raise PictureStoreAddressError(f"pictures cannot be stored at {url}: {_reason(error)}") from None
        return cls(backend=backend, location=url)

    async def put(self, content_hash: str, renditions: Mapping[int, bytes]) -> bool:
        """Store a picture unless it is there; afterwards it is present in full and counts as new for the clean-up.

        A crash at any moment leaves no torn object: in a directory all renditions appear at once, elsewhere the
        largest is written last. A rendition that is there is left as it is, unless it fails its own checksum. What was
        written is read again before this returns.

        Args:
            content_hash: SHA-256 of the largest rendition, in hex.
            renditions: Encoded bytes by side in pixels: one for each of ``RENDITION_SIZES``.

        Returns:
            Whether any rendition was written that was not there before, or was overwritten.

        Raises:
            ValueError: when a rendition is missing or empty, or the hash is not that of the largest.
            PictureStoreUnavailableError: when the store does not take it, or returns other bytes than it took.
        """
        if set(renditions) != set(RENDITION_SIZES) or not all(renditions.values()):
            raise ValueError(f"a picture has exactly the renditions {', '.join(map(str, RENDITION_SIZES))}, none empty")
        if content_hash_of(renditions) != content_hash:
            raise ValueError("the content hash is not that of the largest rendition")
        with self._failures_named():
            if await self.find(content_hash) is None:
                is_new = await self._write(content_hash, dict(renditions), checksums_of(renditions), overwrite=False)
            else:
                is_new = await self._complete(content_hash, renditions)
            if is_new:
                await self._make_sure(content_hash, renditions)
            return is_new

    async def read_verified(self, content_hash: str, size: int) -> bytes | None:
        """Return the bytes of one rendition once its checksum was seen to be right, or none when it is not there.

        Checksums are kept in memory, so that this costs one reading of the store for all but the first rendition.

        Raises:
            DamagedRenditionError: when the bytes are not those that were stored: they must not be served.
            ValueError: when the hash is not one, or the size is none of ours.
            PictureStoreUnavailableError: when the store does not answer.
        """
        content = await self.get(content_hash, size)
        if content is None:
            return None
        checksums = self._known_checksums.get(content_hash)
        if checksums is None or find_damage(content_hash, size, content, checksum=checksums[size]) is not None:
            # Another process may have repaired the picture since.
            checksums = await self._read_checksums(content_hash)
        damage = find_damage(content_hash, size, content, checksum=checksums[size] if checksums else None)
        if damage is not None:
            raise DamagedRenditionError(damage)
        return content

    async def check(self, content_hash: str) -> list[Damage]:
        """Read every rendition of a picture and return what is not as it was stored, by ascending size.

        A sound picture without checksums, as it was stored before there were any, gets them.

        Raises:
            ValueError: when the hash is not one.
            PictureStoreUnavailableError: when the store does not answer.
        """
        contents, checksums, damages = await self._examine(content_hash)
        if checksums is None and not damages:
            await self._write(content_hash, {}, checksums_of(contents), overwrite=True)
        return list(damages.values())

    async def get(self, content_hash: str, size: int) -> bytes | None:
        """Return the encoded bytes of one rendition, or none when it is not there.

        Raises:
            ValueError: when the hash is not one, or the size is none of ours.
            PictureStoreUnavailableError: when the store does not answer.
        """
        return await self._read(rendition_key(content_hash, size))

    async def check_reachable(self) -> None:
        """Make sure that the store itself is there: without its bucket or directory no picture can be called absent.

        Raises:
            PictureStoreUnavailableError: when it is not, or does not answer.
        """
        if self._directory is not None and not self._directory.exists():
            raise PictureStoreUnavailableError(f"the picture store {self.location}: there is no such directory")
        await self.find(_NO_PICTURES_HASH)

    async def has(self, content_hash: str) -> bool:
        """Whether every rendition of the picture is there. Raises as :meth:`get` does."""
        found = await self.find(content_hash)
        return found is not None and found.is_complete

    async def find(self, content_hash: str) -> StoredPicture | None:
        """Return what is there of a picture, or none when nothing is. Raises as :meth:`get` does."""
        prefix = rendition_key(content_hash, LARGEST_SIZE).rpartition("/")[0]
        found = [picture async for picture in self._list(prefix)]
        return found[0] if found else None

    async def delete(self, content_hash: str) -> None:
        """Remove a picture, the largest rendition first; one that is not there is no error. Raises as :meth:`get`."""
        self._known_checksums.pop(content_hash, None)
        renditions = [rendition_key(content_hash, size) for size in reversed(RENDITION_SIZES)]
        for key in (*renditions, checksums_key(content_hash)):
            with self._failures_named():
                try:
                    await obstore.delete_async(self._backend, key)
                except FileNotFoundError:
                    continue

    async def delete_unless_touched(self, content_hash: str, *, since: datetime) -> bool:
        """Remove a picture that was last written before ``since``; return whether it was.

        Looking again right before removing keeps a picture that a sync stored anew after the listing.
        """
        found = await self.find(content_hash)
        if found is None or found.last_modified >= since:
            return False
        await self.delete(content_hash)
        return True

    async def delete_leftovers(self, *, older_than: datetime) -> int:
        """Remove what writers that were killed left behind, invisible to readers; return how many there were."""
        directory = self._directory
        if directory is None:
            return 0
        with self._failures_named():
            return await anyio.to_thread.run_sync(lambda: directory.delete_leftovers(older_than=older_than))

    def list_pictures(self) -> AsyncIterator[StoredPicture]:
        """Iterate over every stored picture, also incomplete ones, in no particular order. Raises as :meth:`get`."""
        return self._list(None)

    async def _list(self, prefix: str | None) -> AsyncIterator[StoredPicture]:
        # Every backend lists the objects of one picture one after the other: by key, or directory by directory.
        group: StoredPicture | None = None
        with self._failures_named():
            async for chunk in obstore.list(self._backend, prefix):
                for entry in chunk:
                    part = _stored_rendition(entry["path"], entry["size"], entry["last_modified"])
                    if part is None:
                        continue
                    if group is not None and group.content_hash != part.content_hash:
                        yield group
                        group = None
                    group = part if group is None else _joined(group, part)
        if group is not None:
            yield group

    async def _examine(self, content_hash: str) -> tuple[dict[int, bytes], Checksums | None, dict[int, Damage]]:
        """Return what is there of a picture, its checksums, and the damage, each by size."""
        checksums = await self._read_checksums(content_hash)
        found = await asyncio.gather(*(self.get(content_hash, size) for size in RENDITION_SIZES))
        contents = dict(zip(RENDITION_SIZES, found, strict=True))
        judged = {
            size: find_damage(content_hash, size, content, checksum=checksums[size] if checksums else None)
            for size, content in contents.items()
        }
        damages = {size: damage for size, damage in judged.items() if damage is not None}
        return {size: content for size, content in contents.items() if content is not None}, checksums, damages

    async def _complete(self, content_hash: str, renditions: Mapping[int, bytes]) -> bool:
        """Replace what is missing or fails its own checksum, and confirm the rest; return whether anything was."""
        contents, checksums, damages = await self._examine(content_hash)
        sound = {size: content for size, content in contents.items() if size not in damages}
        wanted = {size: renditions[size] for size in RENDITION_SIZES if size in damages}
        if wanted or checksums is None:
            is_repair = any(damage.kind is not DamageKind.MISSING for damage in damages.values())
            whole = checksums_of({**sound, **wanted})
            is_written = await self._write(content_hash, wanted, whole, overwrite=is_repair or checksums is not None)
            if wanted and is_written:
                return True
        largest = rendition_key(content_hash, LARGEST_SIZE)
        if self._directory is None:
            # The same bytes again, so that the clean-up sees it as new.
            await obstore.put_async(self._backend, largest, renditions[LARGEST_SIZE], use_multipart=False)
            return False
        if not self._directory.touch(largest):
            # The clean-up removed it between two of our calls.
            return await self._write(content_hash, dict(renditions), checksums_of(renditions), overwrite=False)
        return False

    async def _make_sure(self, content_hash: str, renditions: Mapping[int, bytes]) -> None:
        """Read again what was written; what somebody else deleted in between is written once more."""
        damages = await self.check(content_hash)
        if any(damage.kind is DamageKind.MISSING for damage in damages):
            await self._complete(content_hash, renditions)
            damages = await self.check(content_hash)
        for damage in damages:
            if damage.kind is not DamageKind.MISSING:
                raise PictureStoreUnavailableError(
                    f"the picture store {self.location}: {damage.message} right after it was written"
                )

    async def _write(
        self, content_hash: str, renditions: Mapping[int, bytes], checksums: Checksums, *, overwrite: bool
    ) -> bool:
        """Write some renditions and the checksums of all; return whether anything was written."""
        self._known_checksums.pop(content_hash, None)
        listed = format_checksums(checksums)
        if self._directory is not None:
            directory = self._directory
            files = {f"{size}.webp": content for size, content in renditions.items()}
            files[checksum_file.FILE_NAME] = listed
            return await anyio.to_thread.run_sync(lambda: directory.publish(content_hash, files, overwrite=overwrite))
        smaller = {rendition_key(content_hash, size): renditions[size] for size in renditions if size != LARGEST_SIZE}
        objects = {**smaller, checksums_key(content_hash): listed}
        written = await asyncio.gather(
            *(self._put_object(key, content, overwrite=overwrite) for key, content in objects.items())
        )
        if LARGEST_SIZE in renditions:
            largest = rendition_key(content_hash, LARGEST_SIZE)
            written.append(await self._put_object(largest, renditions[LARGEST_SIZE], overwrite=overwrite))
        return any(written)

    async def _put_object(self, key: str, content: bytes, *, overwrite: bool) -> bool:
        try:
            await obstore.put_async(
                self._backend, key, content, mode="overwrite" if overwrite else "create", use_multipart=False
            )
        except AlreadyExistsError:
            return False
        return True

    async def _read_checksums(self, content_hash: str) -> Checksums | None:
        """Return a picture's checksums from the store, and keep them; none for a picture that has none."""
        content = await self._read(checksums_key(content_hash))
        if content is None:
            return None
        checksums = parse_checksums(content)
        while len(self._known_checksums) >= _MOST_KNOWN_CHECKSUMS:
            self._known_checksums.pop(next(iter(self._known_checksums)), None)
        self._known_checksums[content_hash] = checksums
        return checksums

    async def _read(self, key: str) -> bytes | None:
        with self._failures_named():
            try:
                result = await obstore.get_async(self._backend, key)
                return bytes(await result.bytes_async())
            except FileNotFoundError:
                return None

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise PictureStoreUnavailableError(f"the picture store {self.location}: {_reason(error)}") from None


def _scheme_of(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def _directory_of(file_url: str) -> str:
    parts = urlsplit(file_url)
    if parts.netloc not in {"", "localhost"} or not parts.path:
        raise PictureStoreAddressError("a file:// address has three slashes: write it like file:///srv/pictures")
    return unquote(parts.path)


def _reason(error: BaseException) -> str:
    """Name a failure without what object stores repeat in error bodies, like access keys and the text to be signed.

    obstore itself leaves out addresses that are signed in their query.
    """
    text, _, body = str(error).partition("\n\nDebug source")[0].partition("<")
    message = _MESSAGE.search(body)
    said = f" {message[1]}" if message else ""
    return text.strip() + said or type(error).__name__


def _stored_rendition(key: str, size: int, last_modified: datetime) -> StoredPicture | None:
    parsed = parse_rendition_key(key)
    if parsed is None:
        return None
    content_hash, side = parsed
    return StoredPicture(content_hash=content_hash, sizes=(side,), bytes=size, last_modified=last_modified)


def _joined(one: StoredPicture, other: StoredPicture) -> StoredPicture:
    return StoredPicture(
        content_hash=one.content_hash,
        sizes=tuple(sorted({*one.sizes, *other.sizes})),
        bytes=one.bytes + other.bytes,
        last_modified=max(one.last_modified, other.last_modified),
    )
