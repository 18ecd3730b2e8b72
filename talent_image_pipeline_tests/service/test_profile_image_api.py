"""One talent's picture over HTTP: what it is, syncing it now, and the hook for changed accounts."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import httpx
import pytest

from talent_image_pipeline.sandbox.portraits import Picture
from talent_image_pipeline.sandbox.situations import PictureKind
from talent_image_pipeline_tests.service.live_service import API_TOKEN, LiveService

# One service for all of them.
pytestmark = pytest.mark.xdist_group("service")


def error_of(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert body["success"] is False
    assert set(body["error"]) <= {"code", "message", "details"}
    assert body["error"]["message"]
    return response.status_code, body["error"]["code"]


def test_a_sync_answers_when_the_picture_is_live_with_its_run_in_dagsters_history(service: LiveService) -> None:
    talent_id = service.add_talent("instagram")

    response = service.sync(talent_id)

    assert response.status_code == 200
    answer = response.json()
    assert answer["message"] == "Profile image updated from instagram"
    data = answer["data"]
    assert (data["talentId"], data["source"]) == (talent_id, "instagram")
    assert service.columns(talent_id) == ("instagram", data["imageUrl"])
    assert data["syncedAt"]
    path = httpx.URL(data["imageUrl"]).path
    assert service.anonymous.get(path).headers["content-type"] == "image/webp"
    with contextlib.chdir(service.home), dg.DagsterInstance.from_config(str(service.home)) as instance:
        run = instance.get_run_by_id(data["runId"])
        assert run is not None
        assert (run.job_name, run.status) == ("refresh_talent", dg.DagsterRunStatus.SUCCESS)
        assert (run.tags["talent_id"], run.tags["trigger"]) == (talent_id, "api")
        materialized = instance.get_records_for_run(data["runId"], of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert materialized.records


def test_a_talent_synced_within_a_day_is_answered_without_a_call_unless_it_is_forced(service: LiveService) -> None:
    talent_id = service.add_talent("instagram")
    service.sync(talent_id)
    calls = service.calls(talent_id)

    again = service.sync(talent_id).json()
    assert again["data"]["runId"] is None
    assert again["data"]["source"] == "instagram"
    assert service.calls(talent_id) == calls

    service.world.upload_new_picture("instagram", service.handle(talent_id, "instagram"))
    before = service.columns(talent_id)
    forced = service.sync(talent_id, force=True).json()
    assert forced["data"]["runId"] is not None
    assert service.columns(talent_id) != before


def test_a_sync_without_a_body_is_one_that_is_not_forced(service: LiveService) -> None:
    talent_id = service.add_talent("tiktok")

    response = service.client.post(f"/api/admin/talent/{talent_id}/profile-image/sync")

    assert response.json()["data"]["source"] == "tiktok"


def test_whoever_asks_for_a_talent_that_is_being_synced_waits_for_the_same_run(service: LiveService) -> None:
    talent_id = service.add_talent("instagram")
    service.world.set_latency(api=0.3, image=0)
    try:
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: service.sync(talent_id, force=True).json()["data"], range(6)))
    finally:
        service.world.set_latency(api=0, image=0)

    assert len({answer["runId"] for answer in answers}) == 1
    assert service.calls(talent_id) == 1
    assert len(service.audit(talent_id)) == 6


def test_refreshes_of_different_talents_go_on_beside_each_other(service: LiveService) -> None:
    talents = [service.add_talent("instagram") for _ in range(6)]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(service.sync, talents))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["runId"] for answer in answers}) == 6


def test_a_connected_account_is_live_when_the_hook_answers(service: LiveService) -> None:
    talent_id = service.add_talent("tiktok")
    service.sync(talent_id)
    service.connect(talent_id, "instagram")

    answer = service.client.post(f"/api/admin/talent/{talent_id}/profile-image/changed").json()

    assert answer["data"]["source"] == "instagram"
    assert service.columns(talent_id)[0] == "instagram"


def test_a_disconnected_account_is_gone_when_the_hook_answers_without_a_call(service: LiveService) -> None:
    talent_id = service.add_talent("instagram", "youtube")
    service.sync(talent_id)
    calls = service.calls(talent_id)
    service.disconnect(talent_id, "instagram")

    answer = service.client.post(f"/api/admin/talent/{talent_id}/profile-image/changed").json()
    assert answer["data"]["source"] == "youtube"

    service.disconnect(talent_id, "youtube")
    answer = service.client.post(f"/api/admin/talent/{talent_id}/profile-image/changed").json()
    assert (answer["data"]["source"], answer["data"]["imageUrl"]) == ("initials", None)
    assert service.calls(talent_id) == calls


def test_the_hook_without_a_change_asks_nobody(service: LiveService) -> None:
    talent_id = service.add_talent("instagram")
    service.sync(talent_id)

    answer = service.client.post(f"/api/admin/talent/{talent_id}/profile-image/changed").json()

    assert answer["data"]["runId"] is None
    assert service.calls(talent_id) == 1


def test_a_network_that_cannot_be_read_is_a_failure_in_words_and_the_picture_stays(service: LiveService) -> None:
    talent_id = service.add_talent("instagram")
    service.sync(talent_id)
    shown = service.columns(talent_id)
    service.world.set_situation("instagram", service.handle(talent_id, "instagram"), "token_expired")

    response = service.sync(talent_id, force=True)

    assert error_of(response) == (500, "SYNC_FAILED")
    assert response.json()["error"]["message"].startswith("Failed to sync profile image: Instagram: ")
    assert service.columns(talent_id) == shown
    assert [entry.result for entry in service.audit(talent_id)] == ["failed", "succeeded"]


def test_one_network_that_cannot_be_read_beside_one_that_can_is_no_failure_and_is_named(service: LiveService) -> None:
    talent_id = service.add_talent("instagram", "tiktok")
    service.world.set_situation("instagram", service.handle(talent_id, "instagram"), "token_expired")

    data = service.sync(talent_id, force=True).json()["data"]

    assert data["source"] == "tiktok"
    assert [(failure["platform"], failure["outcome"]) for failure in data["failures"]] == [
        ("instagram", "needs_reconnect")
    ]


def test_no_picture_anywhere_is_said_so_and_the_initials_are_shown(service: LiveService) -> None:
    talent_id = service.add_talent()
    service.connect(talent_id, "instagram", picture=Picture(kind=PictureKind.SILHOUETTE))

    answer = service.sync(talent_id).json()

    assert answer["message"] == "No connected account has a picture; the initials are shown"
    assert (answer["data"]["source"], answer["data"]["imageUrl"]) == ("initials", None)


def test_a_picture_set_by_hand_is_never_touched_and_its_talent_asked_nowhere(service: LiveService) -> None:
    talent_id = service.add_talent(
        "instagram", profile_image_source="manual", profile_image_url="https://agency.example/ada.jpg"
    )

    answer = service.sync(talent_id, force=True).json()

    assert answer["message"] == "The profile image was set by hand and stays"
    assert service.columns(talent_id) == ("manual", "https://agency.example/ada.jpg")
    assert service.calls(talent_id) == 0


def test_the_picture_is_described_with_the_accounts_that_it_can_come_from(service: LiveService) -> None:
    talent_id = service.add_talent("instagram", name="Grace Hopper", display_name="Amazing Grace")
    address = f"/api/admin/talent/{talent_id}/profile-image"

    before = service.client.get(address).json()["data"]
    service.sync(talent_id)
    after = service.client.get(address).json()["data"]

    assert (before["talentName"], before["profileImageSource"], before["profileImageUrl"]) == (
        "Amazing Grace",
        "initials",
        None,
    )
    account = {"platform": "INSTAGRAM", "handle": f"@{service.handle(talent_id, 'instagram')}"}
    assert before["connectedPlatforms"] == [{**account, "hasProfileImage": False}]
    assert (before["canAutoSync"], before["nextSyncRecommended"]) == (True, True)
    assert after["connectedPlatforms"] == [{**account, "hasProfileImage": True}]
    assert (after["canAutoSync"], after["nextSyncRecommended"]) == (True, False)
    assert after["lastProfileImageSyncAt"]


def test_nothing_connected_means_nothing_to_sync(service: LiveService) -> None:
    talent_id = service.add_talent()

    data = service.client.get(f"/api/admin/talent/{talent_id}/profile-image").json()["data"]

    assert (data["canAutoSync"], data["nextSyncRecommended"], data["connectedPlatforms"]) == (False, False, [])


@pytest.mark.parametrize("action", ["profile-image/sync", "profile-image/changed"])
def test_an_unknown_talent_is_not_found_and_a_blank_one_is_refused(service: LiveService, action: str) -> None:
    assert error_of(service.client.post(f"/api/admin/talent/nobody/{action}")) == (404, "NOT_FOUND")
    assert error_of(service.client.post(f"/api/admin/talent/a%00b/{action}")) == (404, "NOT_FOUND")
    assert error_of(service.client.post(f"/api/admin/talent/%20/{action}")) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"{", (400, "INVALID_JSON")), (b'{"forceRefresh": "perhaps"}', (422, "VALIDATION_ERROR"))],
)
def test_a_body_that_cannot_be_meant_is_refused_without_repeating_it(
    service: LiveService, body: bytes, expected: tuple[int, str]
) -> None:
    talent_id = service.add_talent()
    headers = {"Content-Type": "application/json"}

    response = service.client.post(f"/api/admin/talent/{talent_id}/profile-image/sync", content=body, headers=headers)

    assert error_of(response) == expected
    assert "perhaps" not in response.text


def test_every_manual_action_is_in_the_audit_log_with_who_what_and_which_run(service: LiveService) -> None:
    talent_id = service.add_talent("instagram")
    response = service.client.post(
        f"/api/admin/talent/{talent_id}/profile-image/sync", headers={"X-Acting-User": "mia@agency.example"}
    )

    (entry,) = service.audit(talent_id)

    assert (entry.actor, entry.action, entry.result) == ("API token for mia@agency.example", "refresh", "succeeded")
    assert entry.run_ids == (response.json()["data"]["runId"],)
    assert entry.ended_at is not None
    assert API_TOKEN not in str(entry)
