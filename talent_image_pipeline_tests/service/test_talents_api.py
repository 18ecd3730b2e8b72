"""The list of talents, one in full, pins, figures and batches, over HTTP."""

import time

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.tables import talent
from talent_image_pipeline_tests.service.live_service import LiveService

pytestmark = pytest.mark.xdist_group("service")


def test_a_talents_page_holds_accounts_every_networks_picture_history_and_runs(service: LiveService) -> None:
    talent_id = service.add_talent("instagram", "tiktok")
    run_id = service.sync(talent_id).json()["data"]["runId"]

    data = service.client.get(f"/api/admin/talent/{talent_id}").json()["data"]

    assert (data["source"], data["lastFailure"], data["pin"]) == ("instagram", None, None)
    shown = {account["platform"]: (account["isShown"], account["outcome"]) for account in data["accounts"]}
    assert shown == {"instagram": (True, "picture"), "tiktok": (False, "picture")}
    addresses = [account["pictureUrl"] for account in data["accounts"]]
    assert len(set(addresses)) == 2
    assert all(address.endswith("/512.webp") for address in addresses)
    (version,) = data["history"]
    assert version["runId"] == run_id
    assert version["runUrl"].endswith(f"/runs/{run_id}")
    assert data["reasons"] == ["Instagram: its picture wins."]
    assert [entry["action"] for entry in data["audit"]] == ["refresh"]


def test_any_networks_picture_can_be_pinned_and_freed_again(service: LiveService) -> None:
    talent_id = service.add_talent("instagram", "tiktok")
    service.sync(talent_id)
    pin = f"/api/admin/talent/{talent_id}/pin"

    pinned = service.client.put(pin, json={"accountId": f"{talent_id}-tiktok"}).json()["data"]
    assert (pinned["source"], pinned["pin"]["source"]) == ("tiktok", "tiktok")
    assert pinned["pin"]["versionId"] == pinned["history"][0]["versionId"]
    assert service.columns(talent_id)[0] == "tiktok"
    assert service.sync(talent_id, force=True).json()["data"]["source"] == "tiktok"

    freed = service.client.delete(pin).json()["data"]
    assert (freed["source"], freed["pin"]) == ("instagram", None)

    first_version = freed["history"][-1]["versionId"]
    again = service.client.put(pin, json={"versionId": first_version}).json()["data"]
    assert again["pin"]["versionId"] == first_version
    assert [entry.action for entry in service.audit(talent_id)] == ["pin", "unpin", "refresh", "pin", "refresh"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"versionId": 987654}, 409),
        ({"accountId": "somebody-elses"}, 409),
        ({}, 422),
        ({"versionId": 1, "accountId": "x"}, 422),
        ({"versionId": 0}, 422),
        ({"versionId": 2**40}, 422),
    ],
)
def test_what_cannot_be_pinned_is_refused_in_words(service: LiveService, body: dict[str, object], status: int) -> None:
    talent_id = service.add_talent("instagram")

    response = service.client.put(f"/api/admin/talent/{talent_id}/pin", json=body)

    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_freeing_what_is_not_pinned_is_refused_and_written_down(service: LiveService) -> None:
    talent_id = service.add_talent()

    assert service.client.delete(f"/api/admin/talent/{talent_id}/pin").status_code == 409
    assert [entry.result for entry in service.audit(talent_id)] == ["refused"]


def test_an_unknown_talent_has_no_page_and_no_pin(service: LiveService) -> None:
    assert service.client.get("/api/admin/talent/nobody").status_code == 404
    assert service.client.delete("/api/admin/talent/nobody/pin").status_code == 404
    assert service.client.put("/api/admin/talent/nobody/pin", json={"versionId": 1}).status_code == 404


def test_the_list_is_paged_by_a_cursor_that_somebody_elses_text_is_not(service: LiveService) -> None:
    names = [f"Zzyzx Testova {number}" for number in range(5)]
    for name in names:
        service.add_talent(name=name)
    found, cursor, pages = [], None, 0
    while True:
        parameters = {"search": "zzyzx", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        data = service.client.get("/api/admin/talents", params=parameters).json()["data"]
        found += [item["name"] for item in data["talents"]]
        cursor, pages = data["nextCursor"], pages + 1
        if cursor is None:
            break

    assert (found, pages) == (names, 3)
    for wrong in ("x", "AAAA", "bm90IGpzb24", "W10", "WyIAIiwgIngiXQ"):
        assert service.client.get("/api/admin/talents", params={"cursor": wrong}).status_code == 400


def test_the_list_is_filtered_by_source_and_state_and_says_the_state_in_words(service: LiveService) -> None:
    well = service.add_talent("instagram", name="Filtered Well")
    ill = service.add_talent("instagram", name="Filtered Ill")
    service.world.set_situation("instagram", service.handle(ill, "instagram"), "token_expired")
    service.sync(well)
    service.sync(ill)

    def listed(**parameters: str) -> dict[str, str]:
        answer = service.client.get("/api/admin/talents", params={"search": "Filtered", **parameters})
        return {item["talentId"]: item["message"] for item in answer.json()["data"]["talents"]}

    assert listed(source="instagram") == {well: "Up to date, from Instagram."}
    (message,) = listed(state="needs_attention").values()
    assert "connect" in message
    assert set(listed(state="current")) == {well}
    assert service.client.get("/api/admin/talents", params={"state": "happy"}).status_code == 422
    assert service.client.get("/api/admin/talents", params={"search": "a\0b"}).status_code == 422


def test_the_figures_count_talents_calls_and_pictures(service: LiveService) -> None:
    before = service.client.get("/api/admin/stats").json()["data"]
    service.sync(service.add_talent("instagram"))
    after = service.client.get("/api/admin/stats").json()["data"]

    assert after["talents"] == before["talents"] + 1
    assert after["bySource"]["instagram"] == before["bySource"].get("instagram", 0) + 1
    assert after["pictures"] == before["pictures"] + 1
    assert after["storedBytes"] > before["storedBytes"]
    (day,) = [day for day in after["days"] if day["platform"] == "instagram"]
    assert (day["reads"] >= 1, day["calls"] >= 1, day["downloads"] >= 1) == (True, True, True)


def test_a_sync_of_everybody_is_answered_at_once_with_an_address_to_follow(service: LiveService) -> None:
    with service.engine.begin() as connection:
        stamp = sa.func.current_timestamp()
        connection.execute(sa.update(talent).values(lastProfileImageSyncAt=stamp))
    talents = [service.add_talent("youtube") for _ in range(2)]

    started = service.client.post("/api/admin/talent/sync/profile-images")
    assert started.status_code == 202
    batch = started.json()["data"]
    assert batch["total"] >= 2
    address = batch["url"].removeprefix("http://127.0.0.1:3001")
    running = service.client.post("/api/admin/talent/sync/profile-images")
    assert (running.status_code, running.json()["error"]["code"]) == (409, "ALREADY_RUNNING")
    while (followed := service.client.get(address).json()["data"])["status"] == "running":
        time.sleep(0.05)

    assert (followed["status"], followed["failed"], followed["errors"]) == ("succeeded", 0, [])
    assert followed["successful"] == followed["total"]
    assert {run["status"] for run in followed["runs"]} == {"SUCCESS"}
    assert {service.columns(talent_id)[0] for talent_id in talents} == {"youtube"}


def test_waiting_for_a_sync_of_everybody_answers_what_came_of_it_and_names_who_failed(service: LiveService) -> None:
    talent_id = service.add_talent("tiktok")
    service.world.set_situation("tiktok", service.handle(talent_id, "tiktok"), "token_invalid")

    response = service.client.post("/api/admin/talent/sync/profile-images", params={"wait": "true"}, timeout=120)

    assert response.status_code == 200
    assert response.json()["message"] == "Profile image sync completed"
    data = response.json()["data"]
    assert talent_id in {error["talentId"] for error in data["errors"]}
    assert data["failed"] == len(data["errors"])
    assert data["successful"] + data["failed"] == data["total"]


def test_a_sync_that_nobody_started_is_not_found(service: LiveService) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"

    assert service.client.get(f"/api/admin/talent/sync/profile-images/{unknown}").status_code == 404
