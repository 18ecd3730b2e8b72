"""Which platforms there are, in which order, and what the rest of the pipeline may rely on of each."""

import pytest
from pydantic import SecretStr

from talent_image_pipeline.platforms.credentials import credentials_from
from talent_image_pipeline.platforms.registry import PLATFORMS, platform_named
from talent_image_pipeline.settings import Settings


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


def test_credentials_are_the_platforms_part_of_the_settings() -> None:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        instagram_api_url="http://127.0.0.1:9999/graph.instagram.com/",
        instagram_business_account_id=" ",
        youtube_api_key=SecretStr(" key\n"),
        tiktok_client_key=SecretStr(""),
    )
    credentials = credentials_from(settings)
    assert credentials.instagram_api_url == "http://127.0.0.1:9999/graph.instagram.com"
    assert credentials.instagram_business_account_id is None
    assert credentials.tiktok_client_key is None
    assert credentials.youtube_api_key is not None
    assert credentials.youtube_api_key.get_secret_value() == "key"
