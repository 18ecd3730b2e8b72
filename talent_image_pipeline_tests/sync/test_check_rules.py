"""What the data team is told of a run: what is a warning, what is an error, and with which words."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from talent_image_pipeline.database.fact_queries import PlatformFacts
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.reporting.check_rules import (
    judge_answering,
    judge_columns,
    judge_connections,
    judge_error_budget,
    judge_held,
    judge_trusted_origins,
)
from talent_image_pipeline.sync.reporting.reports import WaitingAccount

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def report(
    *, says: dict[Outcome, str] | None = None, hosts: dict[str, int] | None = None, **outcomes: int
) -> PlatformFacts:
    """Return the facts of accounts that were all read just now."""
    counted = Counter({Outcome(outcome): reads for outcome, reads in outcomes.items()})
    return PlatformFacts(
        outcomes=counted,
        last_read_at=dict.fromkeys(counted, NOW),
        messages={outcome: [message] for outcome, message in (says or {}).items()},
        refused_hosts=Counter(hosts or {}),
    )


@pytest.mark.parametrize("outcomes", [{}, {"picture": 5, "unchanged": 5}, {"no_picture": 1, "gone": 1}])
def test_a_platform_that_answered_everything_is_healthy(outcomes: dict[str, Any]) -> None:
    assert judge_answering(report(**outcomes)).passed
    assert judge_error_budget(report(**outcomes)).passed


@pytest.mark.parametrize(
    "outcomes",
    [
        {"unavailable": 100},
        {"rate_limited": 100},
        {"unavailable": 50, "rate_limited": 50},
        {"unavailable": 99, "needs_reconnect": 1},
    ],
)
def test_a_platform_that_is_down_or_limits_us_is_a_warning_and_no_error(outcomes: dict[str, Any]) -> None:
    answering = judge_answering(report(**outcomes))
    assert (answering.passed, answering.is_error) == (False, False)
    assert judge_error_budget(report(**outcomes)).passed


def test_an_outage_that_began_while_accounts_were_read_is_no_error() -> None:
    outage = report(picture=100, unavailable=100)
    outage.last_read_at[Outcome.PICTURE] = NOW - timedelta(hours=1)
    assert judge_error_budget(outage).passed
    assert not judge_answering(outage).passed


def test_more_than_a_twentieth_of_failed_reads_on_a_platform_that_is_up_is_an_error_that_names_the_cause() -> None:
    timeouts = {Outcome.UNAVAILABLE: "the store cannot be reached"}
    blown = judge_error_budget(report(picture=94, unavailable=6, says=timeouts))
    assert (blown.passed, blown.is_error) == (False, True)
    assert "the store cannot be reached" in blown.message
    assert judge_error_budget(report(picture=95, unavailable=5)).passed


def test_one_read_refused_for_our_settings_is_an_error_that_names_the_setting() -> None:
    wrong_key = {Outcome.MISCONFIGURED: "YOUTUBE_API_KEY was refused"}
    finding = judge_error_budget(report(picture=1000, misconfigured=1, says=wrong_key))
    assert (finding.passed, finding.is_error) == (False, True)
    assert "YOUTUBE_API_KEY was refused" in finding.message


def test_an_error_of_our_own_is_an_error() -> None:
    finding = judge_error_budget(replace(report(picture=1000, unavailable=1), own_errors=1))
    assert (finding.passed, finding.is_error) == (False, True)


def test_accounts_that_the_platform_does_not_show_are_no_failure_of_the_platform_nor_of_ours() -> None:
    hidden = report(picture=5, hidden=5)
    assert judge_answering(hidden).passed
    assert judge_error_budget(hidden).passed


def test_accounts_that_wait_for_their_talents_are_a_warning_that_says_what_to_do() -> None:
    assert judge_connections([]).passed
    waiting = [WaitingAccount(talent_id=f"t{n}", handle=f"h{n}", what_to_do="reconnect Instagram") for n in range(7)]
    finding = judge_connections(waiting)
    assert (finding.passed, finding.is_error) == (False, False)
    assert "h0 of t0: reconnect Instagram" in finding.message
    assert "and 2 more" in finding.message


def test_columns_that_somebody_else_wrote_are_an_error_that_names_the_talents() -> None:
    assert judge_columns([], talents=3).passed
    finding = judge_columns(["ada"], talents=3)
    assert (finding.passed, finding.is_error) == (False, True)
    assert "ada" in finding.message


def test_trusted_origins_are_a_warning_that_names_them() -> None:
    assert judge_trusted_origins([]).passed
    finding = judge_trusted_origins(["http://127.0.0.1:9999"])
    assert (finding.passed, finding.is_error) == (False, False)
    assert "http://127.0.0.1:9999" in finding.message


def test_words_do_not_grow_with_the_number_of_failures() -> None:
    many = PlatformFacts(
        outcomes=Counter({Outcome.UNAVAILABLE: 50}),
        messages={Outcome.UNAVAILABLE: [f"reason {number}" for number in range(50)]},
    )
    assert len(judge_answering(many).message) < 500


def test_an_outage_hours_after_the_last_answer_is_no_error() -> None:
    outage = PlatformFacts(
        outcomes=Counter({Outcome.PICTURE: 100, Outcome.UNAVAILABLE: 30}),
        last_read_at={Outcome.PICTURE: NOW - timedelta(hours=9), Outcome.UNAVAILABLE: NOW},
    )
    assert judge_error_budget(outage).passed
    assert not judge_answering(outage).passed


def test_fewer_than_five_failures_say_nothing_of_the_whole() -> None:
    assert judge_error_budget(report(picture=6, unavailable=4)).passed
    assert not judge_error_budget(report(picture=6, unavailable=5)).passed


def test_a_network_that_moved_its_pictures_is_an_error_that_names_the_host() -> None:
    finding = judge_error_budget(report(refused=20, hosts={"new.cdn.example": 20}))
    assert (finding.passed, finding.is_error) == (False, True)
    assert "new.cdn.example (20)" in finding.message


def test_what_is_held_back_is_an_error_that_says_how_many_what_the_platform_said_and_how_to_release_it() -> None:
    assert judge_held(report(picture=5), platform="tiktok").passed
    held = PlatformFacts(
        held=Counter({Outcome.GONE: 60, Outcome.NO_PICTURE: 10, Outcome.NEEDS_RECONNECT: 7}),
        held_messages=["The channel is not in the answer."],
        held_since=NOW,
    )
    finding = judge_held(held, platform="tiktok")
    assert (finding.passed, finding.is_error) == (False, True)
    for words in ("70 pictures", "7 accounts", "not in the answer", "talent-images release tiktok"):
        assert words in finding.message


def test_a_check_that_looked_at_nothing_says_so() -> None:
    assert judge_answering(report()).message == "No account was read within the last 24 hours."
