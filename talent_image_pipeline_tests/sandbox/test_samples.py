"""The sample talents: rows that fit the app's tables, and accounts that are what their notes say.

What belongs here: samples. What does not: how a pipeline reads them.
"""

import unicodedata
from typing import Any

import httpx
import sqlalchemy as sa

from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.sandbox.samples import sample_accounts, sample_notes, sample_talents
from talent_image_pipeline.sandbox.server import running_sandbox
from talent_image_pipeline.sandbox.situations import Network
from talent_image_pipeline_tests.sandbox.calling import list_channels, read_tiktok, refresh_tiktok


def account(account_id: str) -> dict[str, Any]:
    return next(row for row in sample_accounts() if row["id"] == account_id)


def test_the_rows_fit_the_apps_tables(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        for row in sample_talents():
            connection.execute(sa.insert(talent).values(**row))
        for row in sample_accounts():
            connection.execute(sa.insert(social_account_connection).values(**row))
        assert connection.scalar(sa.select(sa.func.count()).select_from(talent)) == len(sample_talents())


def test_every_talent_has_a_note_of_what_it_shows() -> None:
    assert sample_notes().keys() == {row["id"] for row in sample_talents()}
    assert len(set(sample_notes().values())) == len(sample_talents()) >= 24


def test_names_come_in_many_scripts() -> None:
    letters = {
        unicodedata.name(letter).split()[0] for row in sample_talents() for letter in row["name"] if letter.strip()
    }
    assert letters >= {"LATIN", "CYRILLIC", "GREEK", "CJK", "HANGUL", "ARABIC", "HEBREW", "DEVANAGARI", "THAI"}


def test_platforms_are_spelled_in_more_than_one_way_and_one_is_unknown() -> None:
    platforms = {row["platform"] for row in sample_accounts()}
    assert {"INSTAGRAM", "instagram"} <= platforms
    assert {platform.lower() for platform in platforms} - set(Network) == {"linkedin"}


def test_a_connected_sample_is_read_with_the_token_of_its_row(client: httpx.Client) -> None:
    row = account("account_jose_nunez_instagram")
    with running_sandbox() as sandbox:
        answer = client.get(
            f"{sandbox.environment['INSTAGRAM_API_URL']}/v26.0/me",
            params={"fields": "username,profile_picture_url"},
            headers={"Authorization": f"Bearer {row['accessToken']}"},
        )
        assert answer.json()["username"] == row["handle"]
        assert client.get(answer.json()["profile_picture_url"]).status_code == 200


def test_an_expired_tiktok_sample_can_be_renewed_and_one_whose_consent_ended_cannot(client: httpx.Client) -> None:
    expired, ended = account("account_siriporn_chai_tiktok"), account("account_bruno_costa_tiktok")
    with running_sandbox() as sandbox:
        assert read_tiktok(sandbox, client, "siripornchai", token=expired["accessToken"]).status_code == 401
        assert "access_token" in refresh_tiktok(sandbox, client, expired["refreshToken"]).json()
        assert refresh_tiktok(sandbox, client, ended["refreshToken"]).json()["error"] == "invalid_grant"


def test_a_deleted_channel_is_left_out_beside_one_that_exists(client: httpx.Client) -> None:
    living, deleted = account("account_dmitri_volkov_youtube"), account("account_minjun_kim_youtube")
    with running_sandbox() as sandbox:
        answer = list_channels(sandbox, client, id=f"{living['handle']},{deleted['handle']}")
        assert [item["id"] for item in answer.json()["items"]] == [living["handle"]]


def test_a_handle_alone_has_no_tokens() -> None:
    row = account("account_noa_levi_instagram")
    assert (row["accessToken"], row["refreshToken"], row["connectionType"]) == (None, None, "MANUAL")


def test_the_disconnected_sample_is_not_connected() -> None:
    assert account("account_kenji_sato_instagram")["connected"] is False
