"""Answers that are odd rather than failing, over whole runs: nobody loses a picture, and one account stops nobody."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import pytest

from talent_image_pipeline.database import fact_queries, quota_queries, transactions
from talent_image_pipeline.operations.holds import release_held
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.platforms.instagram import DISCOVERY_QUOTA
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sync.limits.quota_rules import TARGET_SHARE, period_of
from talent_image_pipeline.sync.planning.scope import DAILY_MINIMUM_HOURS
from talent_image_pipeline.sync.reporting.check_rules import CHECKED_PERIOD, judge_error_budget, judge_held
from talent_image_pipeline_tests.soak.simulation import Simulation, Synced

pytestmark = pytest.mark.usefixtures("retries_at_once")

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
_numbers = count()


def talents_on(
    simulation: Simulation,
    network: Network,
    number: int,
    *,
    with_token: bool = True,
    tiktok_tokens_live: timedelta = 90 * DAY,
) -> list[str]:
    """Let so many talents show a picture of a network; their accounts' handles are their ids."""
    simulation.clock.advance(2 * DAY)
    simulation.world.rules.tiktok_access_seconds = int(tiktok_tokens_live.total_seconds())
    talent_ids = [f"odd.{next(_numbers)}" for _ in range(number)]
    for talent_id in talent_ids:
        simulation.add_upstream(network, talent_id)
        simulation.add_talent(talent_id)
        simulation.connect(talent_id, network, talent_id, with_token=with_token)
    sync(simulation, talent_ids)
    assert {simulation.shown(talent_id)[0] for talent_id in talent_ids} == {network}
    simulation.clock.advance(DAY)
    return talent_ids


def sync(simulation: Simulation, talent_ids: Sequence[str]) -> Synced:
    simulation.forget_calls()
    return simulation.sync(*talent_ids, minimum_hours=DAILY_MINIMUM_HOURS)


def let_be(simulation: Simulation, network: Network, talent_ids: Sequence[str], situation: Situation) -> None:
    for talent_id in talent_ids:
        simulation.world.set_situation(network, talent_id, situation)


def outcomes(simulation: Simulation, network: Network, talent_ids: Sequence[str]) -> Counter[str]:
    return Counter(str(simulation.ledger(f"{talent_id}-{network}")["outcome"]) for talent_id in talent_ids)


def sources(simulation: Simulation, talent_ids: Sequence[str]) -> Counter[str]:
    return Counter(simulation.shown(talent_id)[0] for talent_id in talent_ids)


def facts_of(simulation: Simulation, network: Network) -> fact_queries.PlatformFacts:
    since = simulation.clock() - CHECKED_PERIOD
    return transactions.read(simulation.engine, fact_queries.platform_facts, platform=network, since=since)


def end(simulation: Simulation, talent_ids: Sequence[str]) -> None:
    for talent_id in talent_ids:
        simulation.delete_talent(talent_id)


@pytest.mark.parametrize("network", list(Network))
def test_one_day_without_picture_fields_costs_nobody_a_picture(simulation: Simulation, network: Network) -> None:
    talent_ids = talents_on(simulation, network, 8)
    let_be(simulation, network, talent_ids, Situation.PICTURE_LEFT_OUT)
    sync(simulation, talent_ids)
    assert sources(simulation, talent_ids) == {network: 8}
    assert set(outcomes(simulation, network, talent_ids)) <= {"unavailable", "unconfirmed"}
    let_be(simulation, network, talent_ids, Situation.OK)
    simulation.clock.advance(DAY)
    sync(simulation, talent_ids)
    assert outcomes(simulation, network, talent_ids) == {"unchanged": 8}
    end(simulation, talent_ids)


def test_channels_that_stay_away_for_two_days_are_gone_and_too_many_of_them_are_held_until_released(
    simulation: Simulation,
) -> None:
    talent_ids = talents_on(simulation, Network.YOUTUBE, 10)
    let_be(simulation, Network.YOUTUBE, talent_ids, Situation.DELETED)
    sync(simulation, talent_ids)
    assert outcomes(simulation, Network.YOUTUBE, talent_ids) == {"unconfirmed": 10}
    simulation.clock.advance(DAY)
    sync(simulation, talent_ids)
    assert sources(simulation, talent_ids) == {"youtube": 10}
    finding = judge_held(facts_of(simulation, Network.YOUTUBE), platform="youtube")
    assert finding.is_error
    assert "10 pictures" in finding.message
    assert release_held(simulation.engine, "youtube", now=simulation.clock()).pictures == 10
    simulation.sync_changes()
    assert sources(simulation, talent_ids) == {"initials": 10}
    assert outcomes(simulation, Network.YOUTUBE, talent_ids) == {"gone": 10}
    let_be(simulation, Network.YOUTUBE, talent_ids, Situation.OK)
    simulation.clock.advance(DAY)
    sync(simulation, talent_ids)
    assert simulation.calls()["youtube.channels"] == 0, "an account that is gone is asked for weekly"
    simulation.sync(talent_ids[0], force=True)
    assert sources(simulation, talent_ids[:1]) == {"youtube": 1}
    end(simulation, talent_ids)


def test_a_channel_that_is_gone_for_two_days_loses_its_picture_alone(simulation: Simulation) -> None:
    talent_ids = talents_on(simulation, Network.YOUTUBE, 6)
    let_be(simulation, Network.YOUTUBE, talent_ids[:1], Situation.DELETED)
    sync(simulation, talent_ids)
    assert sources(simulation, talent_ids) == {"youtube": 6}
    simulation.clock.advance(DAY)
    sync(simulation, talent_ids)
    assert sources(simulation, talent_ids) == {"initials": 1, "youtube": 5}
    end(simulation, talent_ids)


def test_a_night_of_dead_tokens_writes_no_account_off_and_three_probes_find_out_when_it_is_over(
    simulation: Simulation,
) -> None:
    talent_ids = talents_on(simulation, Network.INSTAGRAM, 12)
    let_be(simulation, Network.INSTAGRAM, talent_ids, Situation.TOKEN_INVALID)
    sync(simulation, talent_ids)
    assert outcomes(simulation, Network.INSTAGRAM, talent_ids) == {"misconfigured": 12}
    assert judge_held(facts_of(simulation, Network.INSTAGRAM), platform="instagram").is_error
    simulation.clock.advance(2 * HOUR)
    assert sync(simulation, talent_ids).reports["instagram"].suspended == 9
    assert simulation.calls()["instagram.me"] == 3
    let_be(simulation, Network.INSTAGRAM, talent_ids, Situation.OK)
    simulation.clock.advance(2 * HOUR)
    sync(simulation, talent_ids)
    assert outcomes(simulation, Network.INSTAGRAM, talent_ids) == {"unchanged": 12}
    assert simulation.calls()["instagram.me"] == 12
    assert judge_held(facts_of(simulation, Network.INSTAGRAM), platform="instagram").passed
    end(simulation, talent_ids)


def test_a_wrong_tiktok_client_writes_no_account_off(simulation: Simulation) -> None:
    talent_ids = talents_on(simulation, Network.TIKTOK, 7, tiktok_tokens_live=2 * HOUR)
    let_be(simulation, Network.TIKTOK, talent_ids, Situation.APP_BLOCKED)
    sync(simulation, talent_ids)
    assert outcomes(simulation, Network.TIKTOK, talent_ids) == {"misconfigured": 7}
    finding = judge_held(facts_of(simulation, Network.TIKTOK), platform="tiktok")
    assert finding.is_error
    assert "7 accounts" in finding.message
    let_be(simulation, Network.TIKTOK, talent_ids, Situation.OK)
    simulation.clock.advance(2 * HOUR)
    sync(simulation, talent_ids)
    assert outcomes(simulation, Network.TIKTOK, talent_ids) == {"unchanged": 7}
    end(simulation, talent_ids)


def test_a_batch_that_does_not_fit_the_rest_of_the_hour_is_made_smaller(simulation: Simulation) -> None:
    talent_ids = talents_on(simulation, Network.INSTAGRAM, 8, with_token=False)
    now = simulation.clock()
    transactions.write(
        simulation.engine,
        quota_queries.record_calls,
        quota=DISCOVERY_QUOTA.name,
        period=period_of(now, DISCOVERY_QUOTA),
        calls=int(DISCOVERY_QUOTA.calls * TARGET_SHARE) - 5,
        forget_before=now - DAY,
    )
    sync(simulation, talent_ids)
    assert outcomes(simulation, Network.INSTAGRAM, talent_ids) == {"unchanged": 5, "rate_limited": 3}
    assert simulation.calls()["facebook.batch"] == 1
    simulation.clock.advance(3 * HOUR)
    sync(simulation, talent_ids)
    assert outcomes(simulation, Network.INSTAGRAM, talent_ids) == {"unchanged": 8}
    end(simulation, talent_ids)


def test_an_account_that_must_pass_a_security_check_is_looked_at_daily(simulation: Simulation) -> None:
    (talent_id,) = talents_on(simulation, Network.INSTAGRAM, 1)
    let_be(simulation, Network.INSTAGRAM, [talent_id], Situation.CHECKPOINT)
    for _ in range(4):
        sync(simulation, [talent_id])
        assert simulation.calls()["instagram.me"] == 1
        assert outcomes(simulation, Network.INSTAGRAM, [talent_id]) == {"needs_reconnect": 1}
        simulation.clock.advance(DAY)
    end(simulation, [talent_id])


@pytest.mark.parametrize(
    ("situation", "outcome"),
    [(Situation.WRONG_KIND_OF_TOKEN, "needs_reconnect"), (Situation.FIELD_REMOVED, "hidden")],
)
def test_what_is_refused_to_one_token_stops_nobody_else(
    simulation: Simulation, situation: Situation, outcome: str
) -> None:
    talent_ids = talents_on(simulation, Network.INSTAGRAM, 12)
    let_be(simulation, Network.INSTAGRAM, talent_ids[5:6], situation)
    sync(simulation, talent_ids)
    assert simulation.calls()["instagram.me"] == 12
    assert outcomes(simulation, Network.INSTAGRAM, talent_ids) == {"unchanged": 11, outcome: 1}
    simulation.clock.advance(2 * HOUR)
    sync(simulation, talent_ids)
    assert simulation.calls()["instagram.me"] == 0
    end(simulation, talent_ids)


def test_a_channel_that_makes_youtube_refuse_the_call_is_found_by_halves(simulation: Simulation) -> None:
    talent_ids = talents_on(simulation, Network.YOUTUBE, 16)
    let_be(simulation, Network.YOUTUBE, talent_ids[11:12], Situation.CHANNEL_REFUSED)
    sync(simulation, talent_ids)
    found = outcomes(simulation, Network.YOUTUBE, talent_ids)
    assert found["unchanged"] == 15, found
    assert simulation.calls()["youtube.channels"] == 1 + 2 * 4
    assert sources(simulation, talent_ids) == {"youtube": 16}
    end(simulation, talent_ids)


def test_refused_bytes_are_downloaded_once_a_week_or_when_a_person_asks(simulation: Simulation) -> None:
    talent_ids = talents_on(simulation, Network.TIKTOK, 6)
    for talent_id in talent_ids:
        simulation.world.upload_new_picture(Network.TIKTOK, talent_id)
    let_be(simulation, Network.TIKTOK, talent_ids, Situation.PICTURE_IS_SVG)
    downloads = []
    for _ in range(9):
        sync(simulation, talent_ids)
        downloads.append(simulation.calls()["tiktok.picture"])
        finding = judge_error_budget(facts_of(simulation, Network.TIKTOK))
        assert finding.is_error
        assert "127.0.0.1 (6)" in finding.message
        simulation.clock.advance(DAY)
    assert downloads == [6, 0, 0, 0, 0, 0, 0, 6, 0]
    assert sources(simulation, talent_ids) == {"tiktok": 6}
    simulation.forget_calls()
    simulation.sync(talent_ids[0], force=True)
    assert simulation.calls()["tiktok.picture"] == 1
    end(simulation, talent_ids)


def test_a_token_past_its_date_is_tried_before_it_is_called_dead(simulation: Simulation) -> None:
    (talent_id,) = talents_on(simulation, Network.TIKTOK, 1)
    account_id = f"{talent_id}-tiktok"
    let_be(simulation, Network.TIKTOK, [talent_id], Situation.REFRESH_REFUSED)
    simulation.change_account(account_id, expiresAt=simulation.clock() - HOUR)
    sync(simulation, [talent_id])
    assert outcomes(simulation, Network.TIKTOK, [talent_id]) == {"unchanged": 1}
    assert (simulation.calls()["tiktok.refresh"], simulation.calls()["tiktok.user_info"]) == (1, 1)
    end(simulation, [talent_id])


def test_a_dead_token_is_read_again_by_itself_at_once_by_hand_and_when_its_date_is_corrected(
    simulation: Simulation,
) -> None:
    (talent_id,) = talents_on(simulation, Network.INSTAGRAM, 1)
    account_id = f"{talent_id}-instagram"
    let_be(simulation, Network.INSTAGRAM, [talent_id], Situation.TOKEN_INVALID)
    calls = []
    for _ in range(20):
        sync(simulation, [talent_id])
        calls.append(simulation.calls()["instagram.me"])
        simulation.clock.advance(DAY)
    assert [day for day, asked in enumerate(calls) if asked] == [0, 1, 4, 11, 18]
    simulation.forget_calls()
    simulation.change_account(account_id, expiresAt=simulation.clock() + 50 * DAY)
    simulation.sync_changes()
    assert simulation.calls()["instagram.me"] == 1
    let_be(simulation, Network.INSTAGRAM, [talent_id], Situation.OK)
    simulation.sync(talent_id, force=True)
    assert outcomes(simulation, Network.INSTAGRAM, [talent_id]) == {"unchanged": 1}
    end(simulation, [talent_id])


def test_a_renamed_account_keeps_its_picture_while_the_network_is_down(simulation: Simulation) -> None:
    (talent_id,) = talents_on(simulation, Network.INSTAGRAM, 1)
    simulation.world.set_platform_situation(Platform.INSTAGRAM, Situation.OUTAGE)
    simulation.change_account(f"{talent_id}-instagram", handle="https://www.instagram.com/another.name/")
    simulation.sync_changes()
    simulation.world.set_platform_situation(Platform.INSTAGRAM, Situation.OK)
    assert outcomes(simulation, Network.INSTAGRAM, [talent_id]) == {Outcome.UNAVAILABLE: 1}
    assert sources(simulation, [talent_id]) == {"instagram": 1}
    end(simulation, [talent_id])
