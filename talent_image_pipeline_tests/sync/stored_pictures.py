"""Talents with pictures that were read, stored and published by the pipeline's own functions, without a network.

What belongs here: what the tests of looking after pictures have in common.
What does not: anything that those tests are about.
"""

import random
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from io import BytesIO

import anyio
import sqlalchemy as sa
from PIL import Image

from talent_image_pipeline.database import account_queries, ledger_queries
from talent_image_pipeline.database.records import Candidate, PictureRecord, Reason
from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.pictures.store.keys import content_hash_of
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.contract import Outcome, Reading
from talent_image_pipeline.sync.publishing.publish import PublishingRules, publish
from talent_image_pipeline.sync.reading.outcome_rules import StoredReference, ledger_after

RULES = PublishingRules(public_url="http://pictures.example", verified_only=False)


def make_renditions(seed: int) -> Mapping[int, bytes]:
    """Encode four squares that no other seed gives."""
    source = Image.frombytes("L", (8, 16), sha256(str(seed).encode()).digest() * 4).convert("RGB")
    renditions = {}
    for size in RENDITION_SIZES:
        encoded = BytesIO()
        source.resize((size, size)).save(encoded, "WEBP")
        renditions[size] = encoded.getvalue()
    return renditions


def put_picture(store: PictureStore, seed: int) -> PictureRecord:
    """Store a picture's objects and return the row that describes it."""
    renditions = make_renditions(seed)
    content_hash = content_hash_of(renditions)

    async def put() -> None:
        await store.put(content_hash, renditions)

    anyio.run(put)
    return PictureRecord(
        content_hash=content_hash,
        width=512,
        height=512,
        bytes=sum(map(len, renditions.values())),
        focus_x=0.5,
        focus_y=0.5,
        perceptual_hash="0" * 16,
    )


def read_picture(
    engine: sa.Engine,
    account_id: str,
    picture: PictureRecord | None,
    *,
    now: datetime,
    run_id: str = "run-1",
    outcome: Outcome | None = None,
) -> None:
    """Do what a run does with one account once the network answered: write the reading and publish what wins.

    Args:
        engine: The database.
        account_id: The account.
        picture: What its owner shows now; none means no picture.
        now: When it is read.
        run_id: The run.
        outcome: Another outcome than the picture, or its absence, stands for.
    """
    ended = outcome or (Outcome.PICTURE if picture else Outcome.NO_PICTURE)
    reading = Reading(outcome=ended, message=f"it is {ended}")
    owned = _owned(picture) if picture else None
    with engine.begin() as connection:
        (account,) = account_queries.load_accounts(connection, [account_id])
        assert ledger_queries.claim_accounts(connection, [account], run_id=run_id, until=now, now=now)
        row = ledger_after(account, reading, picture=owned, now=now, rng=random.Random(1))
        ledger_queries.write_readings(
            connection, [row], new_pictures=[picture] if picture else [], run_id=run_id, now=now
        )
    candidate = Candidate(talent_id=account.talent_id, reason=Reason.STALE)
    publish(engine, [candidate], rules=RULES, run_id=run_id, now=now)


def _owned(picture: PictureRecord) -> StoredReference:
    return StoredReference(
        content_hash=picture.content_hash, content_id=f"id of {picture.content_hash[:6]}", etag='"1"'
    )
