"""What a step of a run did, in numbers and a few words: for metadata, checks, logs and the demo's table.

What belongs here: plain values that the assets turn into metadata.
What does not: Dagster, pandas, and anything that acts.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from talent_image_pipeline.platforms.contract import Outcome

_logger = logging.getLogger(__name__)

#: Failures listed in full; the rest is only counted, so that a report never grows with the batch.
MAX_LISTED = 50


@dataclass(frozen=True, kw_only=True)
class AccountFailure:
    """One account whose read failed, and what to do about it."""

    talent_id: str
    handle: str
    outcome: Outcome
    message: str


@dataclass(frozen=True, kw_only=True)
class WaitingAccount:
    """One account that cannot be read, or soon cannot, until its talent does something; ``what_to_do`` says what."""

    talent_id: str
    handle: str
    what_to_do: str


@dataclass(kw_only=True)
class PlatformReport:
    """What reading one platform came to.

    Attributes:
        accounts: Accounts of the batch on this platform.
        not_owed: Of them, those whose next read is not due yet.
        claimed_by_other_run: Of them, those that another run is reading or has just read.
        not_reached: Of them, those not reached before the run's deadline.
        outcomes: How the reads ended.
        without_call: Reads that ended without a call, because the platform is to be left alone.
        ended_unanswered: Whether the platform had stopped answering when the run ended.
        held: Readings that would cost an account its picture or connection and are held back.
        restored: Accounts read by earlier runs that got back what they had lost.
        suspended: Accounts not read because none of those held back was answered yet.
        superseded: Readings not written because the account changed meanwhile.
        internal_errors: Reads that ended in an error of our own.
        token_refreshes_failed: Tokens that live on but could not be refreshed.
        pictures_changed: Accounts whose picture is another one now.
        bytes_received: Of downloaded pictures.
        seconds_by_stage: Seconds spent in each stage, summed over everything that went on at once.
    """

    platform: str
    accounts: int = 0
    not_owed: int = 0
    claimed_by_other_run: int = 0
    not_reached: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    without_call: int = 0
    ended_unanswered: bool = False
    held: int = 0
    restored: int = 0
    suspended: int = 0
    superseded: int = 0
    internal_errors: int = 0
    pictures_changed: int = 0
    token_refreshes: int = 0
    token_refreshes_failed: int = 0
    api_calls: int = 0
    downloads: int = 0
    bytes_received: int = 0
    seconds: float = 0.0
    seconds_by_stage: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    failures: list[AccountFailure] = field(default_factory=list)

    @property
    def reads(self) -> int:
        """How many reads came to an end."""
        return self.outcomes.total()

    def add_failure(self, failure: AccountFailure) -> None:
        """List a failure, as long as the list is short."""
        if len(self.failures) < MAX_LISTED:
            self.failures.append(failure)

    def add_internal_error(self, error: Exception) -> None:
        """Count an error of our own, and log where it happened and of what kind it is; its text may hold secrets."""
        self.internal_errors += 1
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_qualname} line {trace.tb_lineno}" if trace else "nowhere"
        _logger.error("[TALENT_IMAGE] internal error %s in %s", type(error).__name__, place)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds spent inside to a stage's."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds_by_stage[stage] += time.perf_counter() - started


@dataclass(kw_only=True)
class ResolutionReport:
    """What resolving a batch came to.

    Attributes:
        talents: Talents of the batch.
        changed: Of them, those that show something else now.
        stamped: Of them, those whose sync came to an end.
        manual: Of them, those with a manual picture, left alone.
        pinned: Of them, those whose picture a person pinned.
        sources: What they show now, by source.
        changes: The changes in words, as far as they are listed: talent, source and why.
    """

    talents: int = 0
    changed: int = 0
    stamped: int = 0
    manual: int = 0
    pinned: int = 0
    deleted: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def include(self, part: "ResolutionReport") -> None:
        """Add what resolving a part of the batch came to."""
        self.talents += part.talents
        self.changed += part.changed
        self.stamped += part.stamped
        self.manual += part.manual
        self.pinned += part.pinned
        self.deleted += part.deleted
        self.sources += part.sources
        self.changes += part.changes[: MAX_LISTED - len(self.changes)]
