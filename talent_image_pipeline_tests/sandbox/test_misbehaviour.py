"""Platforms that do not speak their own language: outages, resets, nonsense, endless bodies.

What belongs here: what is the same for every platform. What does not: their own error bodies.
"""

from collections.abc import Callable

import httpx
import pytest

from talent_image_pipeline.sandbox.answers import HUGE_BODY_BYTES
from talent_image_pipeline.sandbox.server import RunningSandbox
from talent_image_pipeline.sandbox.situations import EXPLANATIONS, Network, Platform, Situation
from talent_image_pipeline.sandbox.world import World, account_id_of
from talent_image_pipeline_tests.sandbox.calling import list_channels, post_batch, read_instagram, read_tiktok

Read = Callable[[RunningSandbox, httpx.Client], httpx.Response]


def _instagram(sandbox: RunningSandbox, client: httpx.Client) -> httpx.Response:
    return read_instagram(sandbox, client, "ana")


def _facebook(sandbox: RunningSandbox, client: httpx.Client) -> httpx.Response:
    return post_batch(sandbox, client, ["ana"])


def _tiktok(sandbox: RunningSandbox, client: httpx.Client) -> httpx.Response:
    return read_tiktok(sandbox, client, "ana")


def _youtube(sandbox: RunningSandbox, client: httpx.Client) -> httpx.Response:
    return list_channels(sandbox, client, id=account_id_of(Network.YOUTUBE, "ana"))


READS = {
    Platform.INSTAGRAM: _instagram,
    Platform.FACEBOOK: _facebook,
    Platform.TIKTOK: _tiktok,
    Platform.YOUTUBE: _youtube,
}


@pytest.fixture(autouse=True)
def _ana_everywhere(world: World) -> None:
    for network in Network:
        world.add_account(network, "ana")


@pytest.fixture(params=list(Platform))
def read(
    request: pytest.FixtureRequest, sandbox: RunningSandbox, client: httpx.Client
) -> Callable[[Situation], httpx.Response]:
    """Read an account while its platform is in a situation."""

    def read_in(situation: Situation) -> httpx.Response:
        sandbox.world.set_platform_situation(
            request.param, situation, seconds=0.5, redirect_to="http://127.0.0.1:1/elsewhere"
        )
        return READS[request.param](sandbox, client)

    return read_in


def test_an_outage_is_a_page_not_json(read: Callable[[Situation], httpx.Response]) -> None:
    for situation, status in ((Situation.OUTAGE, 503), (Situation.BAD_GATEWAY, 502)):
        answer = read(situation)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, "text/html")


def test_a_reset_comes_before_any_answer(read: Callable[[Situation], httpx.Response]) -> None:
    # Whether the client sees the reset itself or only that the connection is gone is a matter of timing.
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        read(Situation.RESET)


def test_a_truncated_body_ends_before_its_length(read: Callable[[Situation], httpx.Response]) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        read(Situation.TRUNCATED_BODY)


def test_nonsense_is_no_json_with_status_200(read: Callable[[Situation], httpx.Response]) -> None:
    answer = read(Situation.NONSENSE)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()


def test_a_huge_body_is_huge(read: Callable[[Situation], httpx.Response]) -> None:
    assert len(read(Situation.HUGE_BODY).content) == HUGE_BODY_BYTES


def test_an_api_can_redirect(read: Callable[[Situation], httpx.Response]) -> None:
    answer = read(Situation.API_REDIRECT)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1:1/elsewhere")


def test_a_slow_answer_comes_in_the_end(read: Callable[[Situation], httpx.Response], client: httpx.Client) -> None:
    client.timeout = httpx.Timeout(0.1)
    with pytest.raises(httpx.ReadTimeout):
        read(Situation.SLOW)
    client.timeout = httpx.Timeout(30)
    assert read(Situation.SLOW).status_code == 200


def test_what_is_the_matter_with_one_account_does_not_touch_another(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    sandbox.world.add_account(Network.INSTAGRAM, "ben")
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.OUTAGE)
    assert read_instagram(sandbox, client, "ana").status_code == 503
    assert read_instagram(sandbox, client, "ben").status_code == 200


def test_a_platform_that_recovered_answers_again(read: Callable[[Situation], httpx.Response]) -> None:
    read(Situation.OUTAGE)
    assert read(Situation.OK).status_code == 200


def test_every_situation_is_explained() -> None:
    assert set(EXPLANATIONS) == set(Situation)
    assert all(words.endswith(".") for words in EXPLANATIONS.values())
