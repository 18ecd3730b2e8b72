"""From a reading that names a picture to one that says what became of it.

What belongs here: what is tried, with which of our pictures it is compared, and asking once more for a dead address.
What does not: download, rendering and storing (``picture_ingest.py``).
"""

from dataclasses import dataclass, replace

from talent_image_pipeline.database.records import OWN_ERROR, AccountRecord
from talent_image_pipeline.pictures.download.downloader import PictureExpired
from talent_image_pipeline.platforms.contract import Outcome, Reading
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.reading.caller import Caller
from talent_image_pipeline.sync.reading.claimed_accounts import AccountReading
from talent_image_pipeline.sync.reading.outcome_rules import is_known_to_be_no_picture, is_known_to_be_refused
from talent_image_pipeline.sync.reading.picture_ingest import IngestResult
from talent_image_pipeline.sync.reading.tools import PlatformTools
from talent_image_pipeline.sync.reporting.reports import PlatformReport


@dataclass(frozen=True, kw_only=True)
class PictureStage:
    """Makes named pictures ours.

    Attributes:
        tools: The platform and what reading it needs.
        caller: Asks the platform again for an address that is dead already.
        report: Where seconds and our own errors are counted.
        force: Whether a person asked: what turned out to be no picture, or was refused, is looked at again, and new
            bytes are taken however much they resemble the old ones.
    """

    tools: PlatformTools
    caller: Caller
    report: PlatformReport
    force: bool

    async def settle(self, found: AccountReading) -> AccountReading:
        """Return the reading with what became of its picture; raises nothing that a picture can cause."""
        try:
            with self.report.timed("pictures"):
                result = await self._ingest(found)
        except Exception as error:  # noqa: BLE001 - a bug with one picture must not take the batch with it
            self.report.add_internal_error(error)
            message = f"{OWN_ERROR}: {type(error).__name__}"
            result = IngestResult(reading=replace(found.reading, outcome=Outcome.UNAVAILABLE, message=message))
        return replace(
            found,
            reading=result.reading,
            picture=result.picture,
            record=result.record,
            has_refused_bytes=result.has_refused_bytes,
        )

    async def _ingest(self, found: AccountReading) -> IngestResult:
        try:
            return await self._ingest_once(found, found.reading)
        except PictureExpired:
            pass
        again = await self.caller.read_again(found)
        if again.outcome not in {Outcome.PICTURE, Outcome.UNCHANGED}:
            return IngestResult(reading=again)
        try:
            return await self._ingest_once(found, replace(again, outcome=Outcome.PICTURE))
        except PictureExpired as expired:
            message = f"the picture could not be downloaded: {expired}"
            return IngestResult(reading=replace(again, outcome=Outcome.UNAVAILABLE, message=message))

    async def _ingest_once(self, found: AccountReading, reading: Reading) -> IngestResult:
        record = found.account.record
        if not self.force and (known := self._known(record, reading)) is not None:
            return IngestResult(reading=known)
        ledger = record.ledger if is_same_account(record.ledger, record) else None
        return await self.tools.ingest.ingest(
            reading,
            hosts=self.tools.platform.picture_hosts,
            current=found.account.owned,
            current_etag=ledger.picture_etag if ledger else None,
            takes_new_bytes=self.force,
        )

    def _known(self, record: AccountRecord, reading: Reading) -> Reading | None:
        """Return the reading of a picture that need not be downloaded, because what came of it is known."""
        if is_known_to_be_no_picture(record, reading):
            message = (record.ledger and record.ledger.failure) or "the picture was drawn by the network"
            return replace(reading, outcome=Outcome.NO_PICTURE, message=message)
        if is_known_to_be_refused(record, reading, now=self.tools.clock()):
            message = (record.ledger and record.ledger.failure) or "the picture was refused within the last week"
            return replace(reading, outcome=Outcome.REFUSED, message=message)
        return None
