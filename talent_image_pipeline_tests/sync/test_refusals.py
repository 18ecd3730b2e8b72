"""Whose matter a refusal is: the account's that heard it, or everybody's."""

import pytest

from talent_image_pipeline.platforms.contract import Outcome, Reading, Scope
from talent_image_pipeline.sync.reading.refusals import ACCEPTED_OUTCOMES, Refusals

OF_ACCOUNT = Reading(outcome=Outcome.MISCONFIGURED, message="code 100", scope=Scope.ACCOUNT)
OF_PLATFORM = Reading(outcome=Outcome.MISCONFIGURED, message="wrong key")


def test_what_one_account_hears_stops_nobody_however_often_it_hears_it() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.record("reads", "ada", OF_ACCOUNT)
    assert refusals.message("reads") is None
    assert refusals.is_about_account_alone("ada", OF_ACCOUNT)


def test_what_a_second_account_hears_too_is_about_everybody() -> None:
    refusals = Refusals()
    refusals.record("reads", "ada", OF_ACCOUNT)
    refusals.record("reads", "grace", OF_ACCOUNT)
    assert refusals.message("reads") == "code 100"
    assert refusals.message("token refreshes") is None
    assert not refusals.is_about_account_alone("ada", OF_ACCOUNT)


@pytest.mark.parametrize("outcome", sorted(ACCEPTED_OUTCOMES))
def test_an_answer_to_anybody_shows_that_refusals_are_about_single_accounts(outcome: Outcome) -> None:
    refusals = Refusals()
    refusals.record("reads", "ada", OF_ACCOUNT)
    refusals.record("reads", "grace", OF_ACCOUNT)
    refusals.record("reads", "hedy", Reading(outcome=outcome, message=""))
    assert refusals.message("reads") is None
    assert refusals.is_about_account_alone("ada", OF_ACCOUNT)


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - ACCEPTED_OUTCOMES - {Outcome.MISCONFIGURED}))
def test_a_failure_shows_nothing(outcome: Outcome) -> None:
    refusals = Refusals()
    refusals.record("reads", "ada", OF_ACCOUNT)
    refusals.record("reads", "grace", OF_ACCOUNT)
    refusals.record("reads", "hedy", Reading(outcome=outcome, message=""))
    assert refusals.message("reads") == "code 100"


def test_what_the_platform_says_of_everybody_is_so_at_once() -> None:
    refusals = Refusals()
    refusals.record("reads", "ada", OF_PLATFORM)
    assert refusals.message("reads") == "wrong key"
    assert not refusals.is_about_account_alone("ada", OF_PLATFORM)
