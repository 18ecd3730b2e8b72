"""What takes a picture that we own away from a talent, over any sequence of answers: the whole of rule 1."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from talent_image_pipeline.database.records import INITIALS, AccountRecord, LedgerRecord
from talent_image_pipeline.platforms.contract import Outcome, PictureReference, Reading
from talent_image_pipeline.sync.publishing.resolution import TalentState, resolve
from talent_image_pipeline.sync.reading.outcome_rules import StoredReference, ledger_after
from talent_image_pipeline_tests.sync.states import NOW, PRIORITY, make_account, make_talent, make_version

IMPLICIT = {"left out": Outcome.GONE, "no address": Outcome.NO_PICTURE}
FAILURES = (
    Outcome.NEEDS_RECONNECT,
    Outcome.RATE_LIMITED,
    Outcome.UNAVAILABLE,
    Outcome.HIDDEN,
    Outcome.REFUSED,
    Outcome.MISCONFIGURED,
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens to one of the talent's accounts, so many hours after what happened before."""

    network: str
    what: str
    hours: int
    number: int


events = st.lists(
    st.builds(
        Event,
        network=st.sampled_from(PRIORITY[:2]),
        what=st.sampled_from(
            # What decides comes often, so that two of a kind follow each other in most stories.
            [
                *["picture"] * 4,
                *list(IMPLICIT) * 4,
                *["connect"] * 2,
                "unchanged",
                "explicitly none",
                "disconnect",
                "rename",
                *FAILURES,
            ]
        ),
        hours=st.sampled_from([0, 1, 1, 5, 5, 20, 24, 30]),
        number=st.integers(0, 3),
    ),
    min_size=5,
    max_size=25,
)


@dataclass(kw_only=True)
class Story:
    """One talent with two accounts, and what was said of each."""

    now: datetime = NOW
    accounts: dict[str, AccountRecord] = field(default_factory=dict)
    said: list[tuple[str, str, date]] = field(default_factory=list)
    shown: tuple[str, str | None] = (INITIALS, None)

    def __post_init__(self) -> None:
        """Connect the accounts."""
        for network in PRIORITY[:2]:
            self.accounts[network] = make_account(
                account_id=network, platform=network, access_token=SecretStr(f"token of {network}")
            )

    def happens(self, event: Event) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
        """Let something happen; returns what was shown before and what is shown after."""
        self.now += timedelta(hours=event.hours)
        account = self.accounts[event.network]
        match event.what:
            case "disconnect" | "connect":
                account = replace(account, connected=event.what == "connect")
            case "rename":
                account = replace(account, handle=f"name.{event.number}")
            case _ if account.connected:
                self.said.append((event.network, event.what, self.now.date()))
                account = replace(account, ledger=self._read(account, event))
        self.accounts[event.network] = account
        before, self.shown = self.shown, self._resolve()
        return before, self.shown

    def _read(self, account: AccountRecord, event: Event) -> LedgerRecord:
        reference = PictureReference(url=SecretStr("https://p.example/1"), content_id=f"content-{event.number}")
        stored = None
        if event.what == "picture":
            reading = Reading(outcome=Outcome.PICTURE, message="", picture=reference)
            stored = StoredReference(content_hash=f"{event.network} {event.number}", content_id=reference.content_id)
        elif event.what == "unchanged":
            reading = Reading(outcome=Outcome.UNCHANGED, message="", picture=reference)
        elif event.what == "explicitly none":
            reading = Reading(outcome=Outcome.NO_PICTURE, message="")
        elif event.what in IMPLICIT:
            reading = Reading(outcome=Outcome.UNCONFIRMED, message="", suggests=IMPLICIT[event.what])
        else:
            reading = Reading(outcome=Outcome(event.what), message="")
        return ledger_after(account, reading, picture=stored, now=self.now, rng=random.Random(1))

    def _resolve(self) -> tuple[str, str | None]:
        source, picture_hash = self.shown
        current = make_version(source=source, picture_hash=picture_hash)
        state = TalentState(talent=make_talent(), accounts=tuple(self.accounts.values()), current=current)
        resolution = resolve(state, priority=PRIORITY)
        assert resolution is not None
        return resolution.source, resolution.picture_hash


def is_justified(story: Story, event: Event, before: tuple[str, str | None], after: tuple[str, str | None]) -> bool:
    """Whether a picture may leave, judged by what was said and nothing else."""
    network = before[0]
    if after[0] in PRIORITY and PRIORITY.index(after[0]) < PRIORITY.index(network):
        return True
    if event.network != network:
        return False
    if event.what in {"picture", "explicitly none", "disconnect"}:
        return True
    return event.what in IMPLICIT and _was_said_on_an_earlier_day(story.said, network, event.what)


def _was_said_on_an_earlier_day(said: Sequence[tuple[str, str, date]], network: str, what: str) -> bool:
    """Whether the same was said on an earlier day, and nothing since that contradicts it."""
    days = []
    for one, then, day in reversed(said):
        if one != network or then in FAILURES[:3] or then == Outcome.MISCONFIGURED:
            continue
        if then != what:
            break
        days.append(day)
    return len(set(days)) > 1


def story(*happenings: tuple[str, int]) -> list[Event]:
    return [Event(network="instagram", what=what, hours=hours, number=1) for what, hours in happenings]


@example(story(("picture", 0), ("left out", 1), ("left out", 5)))
@example(story(("picture", 0), ("left out", 24), ("no address", 24)))
@example(story(("picture", 0), ("left out", 24), ("unchanged", 24), ("left out", 24)))
@example(story(("picture", 0), ("no address", 24), ("hidden", 24), ("rename", 1), ("no address", 5)))
@settings(max_examples=200)
@given(events)
def test_a_picture_leaves_only_after_an_explicit_word_two_agreeing_days_a_disconnect_or_a_network_that_goes_first(
    happenings: list[Event],
) -> None:
    story = Story()
    for event in happenings:
        before, after = story.happens(event)
        if before[1] is not None and after != before:
            assert is_justified(story, event, before, after), (event, before, after, story.said)


def test_every_way_for_a_picture_to_leave_happens() -> None:
    """The property would hold of a pipeline that never drops anything."""
    story = Story()
    for what, hours in (("picture", 0), ("left out", 24), ("left out", 24)):
        last = story.happens(Event(network="instagram", what=what, hours=hours, number=1))
    assert last[1] == (INITIALS, None)
