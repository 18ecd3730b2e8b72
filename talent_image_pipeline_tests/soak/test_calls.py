"""How many requests the networks get, in every situation: no more than are needed.

What one account's error costs is in ``test_every_error.py``; here it is what many accounts cost together, and what is
not asked at all.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import account_id_of
from talent_image_pipeline.sync.planning.scope import DAILY_MINIMUM_HOURS
from talent_image_pipeline_tests.soak.simulation import Simulation, Synced

DAY = timedelta(days=1)
#: As many calls are on their way at once; what is said in the first answer cannot reach them any more.
YOUTUBE_AT_ONCE = 8
TIKTOK_AT_ONCE = 64
FAILURES_UNTIL_LEFT_ALONE = 8

_numbers = count()


@pytest.fixture(autouse=True)
def _days_later(simulation: Simulation) -> None:
    """Whatever an earlier test taught of limits is over, and TikTok's tokens live long unless a test says otherwise."""
    simulation.clock.advance(4 * DAY)
    simulation.world.rules.tiktok_access_seconds = int(timedelta(days=90).total_seconds())


def _connect(
    simulation: Simulation, network: str, number: int, *, with_token: bool = True, by_channel_id: bool = False
) -> list[str]:
    """Let as many new talents connect an account each; returns the talents."""
    talents = []
    for _ in range(number):
        talent_id, handle = f"talent-{next(_numbers)}", f"handle.{next(_numbers)}"
        simulation.add_upstream(network, handle)
        simulation.add_talent(talent_id)
        account_id = simulation.connect(talent_id, network, handle, with_token=with_token)
        if by_channel_id:
            simulation.change_account(account_id, handle=account_id_of(Network.YOUTUBE, handle))
        talents.append(talent_id)
    return talents


def _sync(simulation: Simulation, talents: list[str], **scope: object) -> Synced:
    """Run as for the daily batch, counting the requests anew."""
    simulation.forget_calls()
    return simulation.sync(*talents, **{"minimum_hours": DAILY_MINIMUM_HOURS, **scope})


def _sync_next_day(simulation: Simulation, talents: list[str]) -> Synced:
    simulation.clock.advance(DAY)
    return _sync(simulation, talents)


def test_120_channels_are_read_with_3_calls(simulation: Simulation) -> None:
    talents = _connect(simulation, "youtube", 120, by_channel_id=True)
    _sync(simulation, talents)
    assert simulation.calls() == {"youtube.channels": 3, "youtube.channel": 120, "youtube.picture": 120}
    _sync_next_day(simulation, talents)
    assert simulation.calls() == {"youtube.channels": 3, "youtube.channel": 120}


def test_a_youtube_handle_is_resolved_once_and_read_by_its_id_from_then_on(simulation: Simulation) -> None:
    talents = _connect(simulation, "youtube", 60)
    _sync(simulation, talents)
    assert simulation.calls()["youtube.channels"] == 60
    _sync_next_day(simulation, talents)
    assert simulation.calls() == {"youtube.channels": 2, "youtube.channel": 60}


def test_60_accounts_known_by_handle_are_read_with_2_requests(simulation: Simulation) -> None:
    talents = _connect(simulation, "instagram", 60, with_token=False)
    _sync(simulation, talents)
    assert simulation.calls() == {"facebook.batch": 2, "facebook.discovery": 60, "instagram.picture": 60}
    _sync_next_day(simulation, talents)
    assert simulation.calls() == {"facebook.batch": 2, "facebook.discovery": 60}


@pytest.mark.parametrize(("network", "endpoint"), [("instagram", "instagram.me"), ("tiktok", "tiktok.user_info")])
def test_an_account_with_its_own_token_costs_one_call(simulation: Simulation, network: str, endpoint: str) -> None:
    talents = _connect(simulation, network, 5)
    _sync(simulation, talents)
    assert simulation.calls() == {endpoint: 5, f"{network}.picture": 5}
    _sync_next_day(simulation, talents)
    assert simulation.calls() == {endpoint: 5}


def test_a_tiktok_token_of_two_hours_costs_one_refresh_a_day(simulation: Simulation) -> None:
    simulation.world.rules.tiktok_access_seconds = 7_200
    talents = _connect(simulation, "tiktok", 5)
    _sync(simulation, talents)
    assert simulation.calls() == {"tiktok.user_info": 5, "tiktok.picture": 5}
    for _ in range(3):
        _sync_next_day(simulation, talents)
        assert simulation.calls() == {"tiktok.refresh": 5, "tiktok.user_info": 5}


def test_one_talent_on_three_networks_costs_one_call_on_each(simulation: Simulation) -> None:
    (talent_id,) = _connect(simulation, "instagram", 1)
    for network in ("tiktok", "youtube"):
        handle = f"handle.{next(_numbers)}"
        simulation.add_upstream(network, handle)
        simulation.connect(talent_id, network, handle)
    _sync(simulation, [talent_id])
    _sync_next_day(simulation, [talent_id])
    assert simulation.calls() == {
        "instagram.me": 1,
        "tiktok.user_info": 1,
        "youtube.channels": 1,
        "youtube.channel": 1,
    }


def test_a_second_run_on_the_same_day_asks_nothing(simulation: Simulation) -> None:
    talents = [talent for network in Network for talent in _connect(simulation, network, 2)]
    _sync(simulation, talents)
    simulation.clock.advance(timedelta(hours=3))
    _sync(simulation, talents)
    assert simulation.calls() == {}


def test_a_new_picture_is_downloaded_once_and_nobody_elses(simulation: Simulation) -> None:
    talents = _connect(simulation, "instagram", 5)
    _sync(simulation, talents)
    handle = simulation.ledger(f"{talents[0]}-instagram")["handle"]
    simulation.world.upload_new_picture("instagram", handle)
    _sync_next_day(simulation, talents)
    assert simulation.calls() == {"instagram.me": 5, "instagram.picture": 1}
    _sync_next_day(simulation, talents)
    assert simulation.calls() == {"instagram.me": 5}


@pytest.mark.parametrize("network", list(Network))
def test_a_picture_that_the_network_encoded_anew_is_downloaded_once_and_is_no_new_version(
    simulation: Simulation, network: Network
) -> None:
    talents = _connect(simulation, network, 1)
    _sync(simulation, talents)
    before = simulation.shown(talents[0])
    account = simulation.world.account(network, simulation.ledger(f"{talents[0]}-{network}")["handle"])
    account.picture = replace(account.picture, upload=account.picture.upload + 1)
    synced = _sync_next_day(simulation, talents)
    assert simulation.calls()[f"{network}.picture"] == 1
    assert synced.reports[network].outcomes == {Outcome.UNCHANGED: 1}
    assert synced.resolution is not None
    assert synced.resolution.changed == 0
    assert simulation.shown(talents[0]) == before
    _sync_next_day(simulation, talents)
    assert simulation.calls()[f"{network}.picture"] == 0


def test_an_address_that_is_dead_on_arrival_is_not_requested_and_is_asked_for_once_more(simulation: Simulation) -> None:
    talents = _connect(simulation, "instagram", 1)
    simulation.world.clock_offset = timedelta(days=-5)
    try:
        synced = _sync(simulation, talents)
    finally:
        simulation.world.clock_offset = timedelta()
    assert simulation.calls() == {"instagram.me": 2}
    assert synced.reports["instagram"].outcomes == {Outcome.UNAVAILABLE: 1}


def test_a_platform_that_says_stop_is_asked_no_more_by_this_run_nor_by_the_next(simulation: Simulation) -> None:
    talents = _connect(simulation, "youtube", 40)
    others = _connect(simulation, "instagram", 3)
    simulation.world.set_platform_situation(Platform.YOUTUBE, Situation.RATE_LIMITED)
    try:
        synced = _sync(simulation, [*talents, *others])
        assert 1 <= simulation.calls()["youtube.channels"] <= YOUTUBE_AT_ONCE
        assert synced.reports["youtube"].outcomes == {Outcome.RATE_LIMITED: 40}
        assert synced.reports["instagram"].outcomes == {Outcome.PICTURE: 3}
        late_comers = _connect(simulation, "youtube", 5)
        synced = _sync(simulation, [*talents, *late_comers], force=True)
        assert simulation.calls() == {}
        assert synced.reports["youtube"].outcomes == {Outcome.RATE_LIMITED: 45}
    finally:
        simulation.world.set_platform_situation(Platform.YOUTUBE, Situation.OK)
    synced = _sync_next_day(simulation, [*talents, *late_comers])
    assert synced.reports["youtube"].outcomes == {Outcome.PICTURE: 45}


def test_one_token_that_is_limited_holds_up_no_other(simulation: Simulation) -> None:
    talents = _connect(simulation, "instagram", 4)
    _sync(simulation, talents)
    handle = simulation.ledger(f"{talents[0]}-instagram")["handle"]
    simulation.world.set_situation("instagram", handle, Situation.RATE_LIMITED)
    synced = _sync_next_day(simulation, talents)
    assert simulation.calls() == {"instagram.me": 4}
    assert synced.reports["instagram"].outcomes == {Outcome.RATE_LIMITED: 1, Outcome.UNCHANGED: 3}
    _sync(simulation, talents, force=True)
    assert simulation.calls_about(handle) == {}
    assert simulation.calls() == {"instagram.me": 3}


def test_a_platform_that_does_not_answer_is_left_alone_and_the_others_go_on(simulation: Simulation) -> None:
    talents = _connect(simulation, "youtube", 60)
    others = _connect(simulation, "tiktok", 3)
    simulation.world.set_platform_situation(Platform.YOUTUBE, Situation.OUTAGE)
    try:
        synced = _sync(simulation, [*talents, *others])
    finally:
        simulation.world.set_platform_situation(Platform.YOUTUBE, Situation.OK)
    assert simulation.calls()["youtube.channels"] <= FAILURES_UNTIL_LEFT_ALONE + YOUTUBE_AT_ONCE
    assert synced.reports["youtube"].outcomes == {Outcome.UNAVAILABLE: 60}
    assert synced.reports["tiktok"].outcomes == {Outcome.PICTURE: 3}
    synced = _sync_next_day(simulation, talents)
    assert synced.reports["youtube"].outcomes == {Outcome.PICTURE: 60}


def test_a_wrong_key_is_tried_no_more_than_once_by_each_call_on_its_way(simulation: Simulation) -> None:
    talents = _connect(simulation, "youtube", 40)
    simulation.world.set_platform_situation(Platform.YOUTUBE, Situation.KEY_INVALID)
    try:
        synced = _sync(simulation, talents)
    finally:
        simulation.world.set_platform_situation(Platform.YOUTUBE, Situation.OK)
    assert simulation.calls()["youtube.channels"] <= YOUTUBE_AT_ONCE
    assert synced.reports["youtube"].outcomes == {Outcome.MISCONFIGURED: 40}


def test_a_wrong_client_secret_is_tried_no_more_than_once_by_each_refresh_on_its_way(simulation: Simulation) -> None:
    simulation.world.rules.tiktok_access_seconds = 7_200
    talents = _connect(simulation, "tiktok", TIKTOK_AT_ONCE + 16)
    _sync(simulation, talents)
    simulation.world.set_platform_situation(Platform.TIKTOK, Situation.KEY_INVALID)
    try:
        synced = _sync_next_day(simulation, talents)
    finally:
        simulation.world.set_platform_situation(Platform.TIKTOK, Situation.OK)
    assert simulation.calls().keys() == {"tiktok.refresh"}
    assert simulation.calls()["tiktok.refresh"] <= TIKTOK_AT_ONCE
    assert synced.reports["tiktok"].outcomes == {Outcome.MISCONFIGURED: TIKTOK_AT_ONCE + 16}
    simulation.clock.advance(timedelta(hours=2))
    synced = _sync(simulation, talents)
    assert synced.reports["tiktok"].outcomes == {Outcome.UNCHANGED: TIKTOK_AT_ONCE + 16}


def test_a_dead_token_is_tried_again_after_one_three_and_seven_days_and_when_a_person_asks(
    simulation: Simulation,
) -> None:
    (talent_id,) = _connect(simulation, "tiktok", 1)
    account_id = f"{talent_id}-tiktok"
    _sync(simulation, [talent_id])
    handle = simulation.ledger(account_id)["handle"]
    simulation.world.set_situation("tiktok", handle, Situation.APP_REMOVED)
    _sync_next_day(simulation, [talent_id])
    assert simulation.calls() == {"tiktok.user_info": 1, "tiktok.refresh": 1}
    asked = []
    for day in range(1, 13):
        _sync_next_day(simulation, [talent_id])
        if simulation.calls():
            asked.append(day)
    assert asked == [1, 4, 11]
    _sync(simulation, [talent_id], force=True)
    assert simulation.calls()["tiktok.user_info"] == 1
    simulation.world.set_situation("tiktok", handle, Situation.OK)
    simulation.reconnect(account_id, "tiktok", handle)
    _sync(simulation, [talent_id])
    assert simulation.calls() == {"tiktok.user_info": 1}


def test_a_disconnect_is_carried_through_without_asking_anybody(simulation: Simulation) -> None:
    (talent_id,) = _connect(simulation, "instagram", 1)
    handle = f"handle.{next(_numbers)}"
    simulation.add_upstream("tiktok", handle)
    simulation.connect(talent_id, "tiktok", handle)
    _sync(simulation, [talent_id])
    assert simulation.shown(talent_id)[0] == "instagram"
    simulation.change_account(f"{talent_id}-instagram", connected=False)
    _sync(simulation, [talent_id])
    assert simulation.shown(talent_id)[0] == "tiktok"
    assert simulation.calls() == {}
