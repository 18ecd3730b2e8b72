"""Which platforms there are, in which order, and what the rest of the pipeline may rely on of each."""

import httpx
import pytest
from pydantic import SecretStr

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.platforms.contract import Account
from talent_image_pipeline.platforms.registry import PLATFORMS, platform_named
from talent_image_pipeline.platforms.transport import ApiTransport
from talent_image_pipeline.settings import SettingsError, active_platforms, load_settings, settings_with
from talent_image_pipeline.sync.planning.candidates import reading_rules
from talent_image_pipeline.sync.publishing.publish import PublishingRules


def test_instagram_comes_before_tiktok_and_tiktok_before_youtube() -> None:
    assert [platform.name for platform in PLATFORMS] == ["instagram", "tiktok", "youtube"]
    assert [platform.label for platform in PLATFORMS] == ["Instagram", "TikTok", "YouTube"]


@pytest.mark.parametrize("spelled", ["tiktok", "TIKTOK", "TikTok", " tiktok "])
def test_a_platform_is_found_in_any_case(spelled: str) -> None:
    platform = platform_named(spelled)
    assert platform is not None
    assert platform.name == "tiktok"


@pytest.mark.parametrize("unknown", ["linkedin", "", "tik tok"])
def test_a_platform_that_we_do_not_know_is_none(unknown: str) -> None:
    assert platform_named(unknown) is None


def test_quotas_are_named_once_over_all_platforms() -> None:
    names = [quota.name for platform in PLATFORMS for quota in platform.quotas]
    assert sorted(names) == ["facebook", "instagram", "tiktok", "youtube"]


def test_pictures_come_from_hosts_of_the_platforms_own() -> None:
    hosts = [host for platform in PLATFORMS for host in platform.picture_hosts]
    assert all("." in host.removeprefix(".") and host == host.lower() for host in hosts)


def test_a_platforms_settings_are_stripped_and_blank_ones_are_none() -> None:
    settings = settings_with(
        _env_file=None,
        instagram_api_url="http://127.0.0.1:9999/graph.instagram.com/",
        instagram_business_account_id=" ",
        youtube_api_key=SecretStr(" key\n"),
        tiktok_client_key=SecretStr(""),
        tiktok_api_url="",
    )
    values = settings.platform_values
    assert values["instagram_api_url"] == "http://127.0.0.1:9999/graph.instagram.com"
    assert values["instagram_business_account_id"] is None
    assert values["tiktok_client_key"] is None
    assert values["tiktok_api_url"] == "https://open.tiktokapis.com"
    assert values["youtube_api_key"] == SecretStr("key")


def test_the_fixed_names_of_the_platforms_settings_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fixed = {
        "INSTAGRAM_API_URL": "http://i.example",
        "FACEBOOK_API_URL": "http://f.example",
        "TIKTOK_API_URL": "http://t.example",
        "YOUTUBE_API_URL": "http://y.example",
        "INSTAGRAM_BUSINESS_ACCOUNT_ID": "17",
        "INSTAGRAM_BUSINESS_TOKEN": "token",
        "TIKTOK_CLIENT_KEY": "key",
        "TIKTOK_CLIENT_SECRET": "secret",
        "YOUTUBE_API_KEY": "api key",
    }
    for name, value in fixed.items():
        monkeypatch.setenv(name, value)
    found = {
        name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in load_settings().platform_values.items()
    }
    assert found == fixed


def test_every_platforms_probe_is_a_handle_that_its_client_would_ask_for_or_needs_a_token() -> None:
    for platform in PLATFORMS:
        values = dict.fromkeys(platform.settings.model_fields, "https://probe.example")
        client = platform.open_client(values, ApiTransport(httpx.AsyncClient()), utc_now)
        token = SecretStr("token")
        (call,) = client.plan_calls([Account(account_id="probe", handle=platform.probe, access_token=token)])
        assert call.cost == 1


@pytest.mark.parametrize(
    ("names", "active"),
    [
        ("youtube", ["youtube"]),
        (" TikTok , instagram ", ["tiktok", "instagram"]),
        ("instagram,tiktok,youtube", ["instagram", "tiktok", "youtube"]),
    ],
)
def test_the_active_platforms_and_their_priority_are_a_setting(
    monkeypatch: pytest.MonkeyPatch, names: str, active: list[str]
) -> None:
    monkeypatch.setenv("TALENT_IMAGE_PLATFORMS", names)
    assert [platform.name for platform in active_platforms()] == active
    assert reading_rules(verified_only=False).platforms == tuple(active)
    assert PublishingRules(public_url="", verified_only=False).priority == tuple(active)


@pytest.mark.parametrize(
    ("names", "words"),
    [("instagram,myspace", "'myspace' is no platform; known are"), ("tiktok,TikTok", "twice"), (" , ", "no platform")],
)
def test_platforms_that_are_unknown_or_repeated_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, names: str, words: str
) -> None:
    monkeypatch.setenv("TALENT_IMAGE_PLATFORMS", names)
    with pytest.raises(SettingsError, match="TALENT_IMAGE_PLATFORMS cannot be used") as refused:
        load_settings()
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:9999/", "http://127.0.0.1:9999#x", "http://a_b:9999", "http://127.0.0.1:99999", "x"]
)
def test_a_trusted_origin_that_the_downloader_would_refuse_is_refused_as_a_setting(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setenv("TALENT_IMAGE_TRUSTED_ORIGINS", f"http://127.0.0.1:9999,{origin}")
    with pytest.raises(SettingsError, match="TALENT_IMAGE_TRUSTED_ORIGINS cannot be used"):
        load_settings()
