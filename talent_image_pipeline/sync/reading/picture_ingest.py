"""From a reading that names a picture to a picture that we own.

What belongs here: download, decode, render and store, in that order, and what each failure makes of the reading.
What does not: reading the networks (``platform_reader.py``) and how any of the steps is done (``pictures/``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread

from talent_image_pipeline.database.records import PictureRecord
from talent_image_pipeline.pictures.download.downloader import (
    DownloadedPicture,
    NotModified,
    PictureBytesRefused,
    PictureDownloader,
    PictureRefused,
    PictureUnavailable,
)
from talent_image_pipeline.pictures.rendering.near_identical import are_near_identical
from talent_image_pipeline.pictures.rendering.perceptual_hash import looks_the_same
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture, RenderedPicture, RenderingUnavailable
from talent_image_pipeline.pictures.rendering.worker_pool import PictureWorkers
from talent_image_pipeline.pictures.store.keys import PROFILE_SIZE
from talent_image_pipeline.pictures.store.picture_store import PictureStore, PictureStoreUnavailableError
from talent_image_pipeline.platforms.contract import Outcome, PictureReference, Reading
from talent_image_pipeline.sync.reading.outcome_rules import StoredReference

#: A source this much larger replaces a picture that looks the same, as long as the one we own is small.
_CLEARLY_LARGER = 1.5
_LARGEST_RENDITION = 512
_SECONDS_BEFORE_SECOND_TRY = 0.5


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """How owning a picture ended.

    Attributes:
        reading: The platform's reading, or what download, decoding or storing made of it.
        picture: What the ledger is to remember; none when nothing was stored.
        record: The stored picture's row; none when the picture that we own already stays.
        has_refused_bytes: Whether the picture's bytes broke a rule.
    """

    reading: Reading
    picture: StoredReference | None = None
    record: PictureRecord | None = None
    has_refused_bytes: bool = False


@dataclass(frozen=True, kw_only=True)
class PictureIngest:
    """Downloads, renders and stores pictures."""

    downloader: PictureDownloader
    workers: PictureWorkers
    store: PictureStore

    async def ingest(
        self,
        reading: Reading,
        *,
        hosts: Sequence[str],
        current: PictureRecord | None,
        current_etag: str | None,
        takes_new_bytes: bool = False,
    ) -> IngestResult:
        """Make the picture that a reading names ours.

        Args:
            reading: A reading with the outcome ``picture``.
            hosts: Where the platform keeps its pictures.
            current: The picture that we own of this account, if any.
            current_etag: Its ETag at the CDN, where the network gives no content id.
            takes_new_bytes: Whether a picture that looks the same is taken all the same: a person asked for it.

        Raises:
            PictureExpired: the address is dead; the platform is to be asked for a new one.
        """
        reference = reading.picture
        if reference is None:
            raise ValueError("a reading without a picture cannot be owned")
        has_intact_picture = current is not None and not current.is_damaged
        usable_etag = current_etag if has_intact_picture and reference.content_id is None else None
        try:
            answer = await self._download(reference, hosts=hosts, etag=usable_etag)
            if isinstance(answer, NotModified):
                return IngestResult(reading=replace(reading, outcome=Outcome.UNCHANGED, message="not modified"))
            rendered = await self.workers.render(answer.body, may_be_letter_avatar=reference.may_be_letter_avatar)
            return await self._keep(
                reading, reference, answer=answer, rendered=rendered, current=current, takes_new_bytes=takes_new_bytes
            )
        except PictureBytesRefused as refusal:
            return _with_refused_bytes(reading, f"the picture was refused: {refusal}")
        except PictureRefused as refusal:
            return _ended(reading, Outcome.REFUSED, f"the picture was refused: {refusal}")
        except NotAPicture as refusal:
            return _with_refused_bytes(reading, f"what came is not a usable picture: {refusal}")
        except PictureUnavailable as failure:
            return _ended(reading, Outcome.UNAVAILABLE, f"the picture could not be downloaded: {failure}")
        except RenderingUnavailable as failure:
            return _ended(reading, Outcome.UNAVAILABLE, f"the picture could not be rendered: {failure}")
        except PictureStoreUnavailableError as failure:
            return _ended(reading, Outcome.UNAVAILABLE, f"the picture could not be stored: {failure}")

    async def _download(
        self, reference: PictureReference, *, hosts: Sequence[str], etag: str | None
    ) -> DownloadedPicture | NotModified:
        try:
            return await self._request(reference, hosts=hosts, etag=etag)
        except PictureUnavailable as failure:
            if not failure.is_retryable:
                raise
        await anyio.sleep(_SECONDS_BEFORE_SECOND_TRY)
        return await self._request(reference, hosts=hosts, etag=etag)

    async def _request(
        self, reference: PictureReference, *, hosts: Sequence[str], etag: str | None
    ) -> DownloadedPicture | NotModified:
        return await self.downloader.download(reference.url, hosts=hosts, expires_at=reference.expires_at, etag=etag)

    async def _keep(
        self,
        reading: Reading,
        reference: PictureReference,
        *,
        answer: DownloadedPicture,
        rendered: RenderedPicture,
        current: PictureRecord | None,
        takes_new_bytes: bool,
    ) -> IngestResult:
        if rendered.is_generated:
            because = rendered.generated_message or "it was generated by the network"
            return _ended(reading, Outcome.NO_PICTURE, f"not the talent's own picture: {because}")
        if current is not None and await self._is_the_one_we_own(current, rendered, takes_new_bytes=takes_new_bytes):
            picture = StoredReference(
                content_hash=current.content_hash, content_id=reference.content_id, etag=answer.etag
            )
            words = "the same picture, encoded anew by the network"
            return IngestResult(reading=replace(reading, outcome=Outcome.UNCHANGED, message=words), picture=picture)
        await self.store.put(rendered.content_hash, rendered.renditions)
        record = picture_record(rendered)
        picture = StoredReference(content_hash=record.content_hash, content_id=reference.content_id, etag=answer.etag)
        return IngestResult(reading=reading, picture=picture, record=record)

    async def _is_the_one_we_own(
        self, current: PictureRecord, rendered: RenderedPicture, *, takes_new_bytes: bool
    ) -> bool:
        if current.content_hash == rendered.content_hash and not current.is_damaged:
            return True
        if takes_new_bytes or not may_be_the_same_picture(current, rendered):
            return False
        owned = await self.store.get(current.content_hash, PROFILE_SIZE)
        new = rendered.renditions[PROFILE_SIZE]
        return owned is not None and await anyio.to_thread.run_sync(are_near_identical, owned, new)


def may_be_the_same_picture(current: PictureRecord, rendered: RenderedPicture) -> bool:
    """Whether a picture looks like the one that we own, so that its pixels decide; a clearly larger one is better."""
    if current.is_damaged:
        return False
    owned_side = min(current.width, current.height)
    is_better = owned_side < _LARGEST_RENDITION and min(rendered.width, rendered.height) >= owned_side * _CLEARLY_LARGER
    return not is_better and looks_the_same(current.perceptual_hash, rendered.perceptual_hash)


def picture_record(rendered: RenderedPicture) -> PictureRecord:
    """Return the row that describes a rendered picture."""
    return PictureRecord(
        content_hash=rendered.content_hash,
        width=rendered.width,
        height=rendered.height,
        bytes=sum(len(rendition) for rendition in rendered.renditions.values()),
        focus_x=rendered.focus_x,
        focus_y=rendered.focus_y,
        perceptual_hash=rendered.perceptual_hash,
    )


def _with_refused_bytes(reading: Reading, message: str) -> IngestResult:
    return replace(_ended(reading, Outcome.REFUSED, message), has_refused_bytes=True)


def _ended(reading: Reading, outcome: Outcome, message: str) -> IngestResult:
    return IngestResult(reading=replace(reading, outcome=outcome, message=message))
