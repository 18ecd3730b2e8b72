"""What a person is told of one talent: everything that explains the picture, and no secret."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import account_queries, ledger_queries, maintenance_queries
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.operations.explain import TalentDescription, describe_talent
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.planning.candidates import UnknownTalentError
from talent_image_pipeline.sync.planning.talent_names import find_talent
from talent_image_pipeline.sync.publishing.pins import roll_back
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync.stored_pictures import RULES, put_picture, read_picture

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
TOKEN = "a-token-that-nobody-may-see"
SETTINGS = Settings(talent_image_public_url=RULES.public_url)


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore.from_url(str(tmp_path / "images"))


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    """Ada has accounts on Instagram (own token), YouTube (handle) and LinkedIn, which is not read."""
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        insert_account(
            connection,
            id="ada-instagram",
            talent_id="ada",
            access_token=TOKEN,
            refresh_token=TOKEN,
            expires_at=NOW + timedelta(days=30),
        )
        insert_account(connection, id="ada-youtube", talent_id="ada", platform="YouTube", handle="@ada.tube")
        insert_account(connection, id="ada-linkedin", talent_id="ada", platform="LINKEDIN")
    return migrated_engine


def describe(engine: sa.Engine, *, now: datetime = NOW, settings: Settings = SETTINGS) -> TalentDescription:
    return describe_talent(engine, "ada", settings=settings, now=now)


def test_accounts_say_how_they_are_connected_and_never_with_what(engine: sa.Engine) -> None:
    description = describe(engine)

    instagram, linkedin, youtube = description.accounts
    assert (instagram.how, instagram.token_expires_at) == ("OAUTH, own token, renewable", NOW + timedelta(days=30))
    assert (youtube.handle, youtube.how, youtube.token_expires_at) == ("@ada.tube", "MANUAL, by its handle alone", None)
    assert [account.is_known for account in (instagram, linkedin, youtube)] == [True, False, True]
    assert TOKEN not in repr(description)


def test_before_the_first_read_every_platform_says_so(engine: sa.Engine) -> None:
    description = describe(engine)

    assert description.decision.source == "initials"
    assert description.decision.reasons == (
        "Instagram: not read yet.",
        "TikTok: no account.",
        "YouTube: not read yet.",
        "No network is left: the initials are shown.",
    )
    assert (description.history, description.pin) == ((), None)


def test_the_winner_and_the_reasons_of_those_before_it_are_said(engine: sa.Engine, store: PictureStore) -> None:
    picture = put_picture(store, 1)
    read_picture(engine, "ada-instagram", None, now=NOW)
    read_picture(engine, "ada-youtube", picture, now=NOW)

    description = describe(engine)

    assert (description.decision.source, description.decision.picture_hash) == ("youtube", picture.content_hash)
    assert description.decision.reasons == (
        "Instagram: no picture of ours, the last read ended no_picture.",
        "TikTok: no account.",
        "YouTube: its picture wins.",
    )
    assert description.decision.is_shown
    assert [version.source for version in description.history] == ["youtube", "initials"]
    assert description.talent.image_source == "youtube"


def test_the_ledger_says_when_it_was_read_when_next_and_what_went_wrong(engine: sa.Engine, store: PictureStore) -> None:
    read_picture(engine, "ada-instagram", put_picture(store, 1), now=NOW)
    read_picture(engine, "ada-youtube", None, now=NOW, outcome=Outcome.NEEDS_RECONNECT)

    instagram, _, youtube = (account.ledger for account in describe(engine, now=NOW).accounts)

    assert instagram is not None
    assert (instagram.outcome, instagram.read_at, instagram.failure) == ("picture", NOW, None)
    assert instagram.next_read == "from 2026-11-21 22:00 UTC on"
    assert youtube is not None
    assert (youtube.outcome, youtube.failure) == ("needs_reconnect", "it is needs_reconnect")
    assert youtube.next_read == "from 2026-11-21 22:00 UTC on"


def test_a_run_that_reads_the_account_right_now_is_named_until_its_claim_lapses(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        accounts = account_queries.load_accounts(connection, ["ada-youtube"])
        ledger_queries.claim_accounts(connection, accounts, run_id="run-9", until=NOW + timedelta(seconds=90), now=NOW)

    while_claimed = describe(engine).accounts[2].ledger
    afterwards = describe(engine, now=NOW + timedelta(seconds=91)).accounts[2].ledger

    assert while_claimed is not None
    assert while_claimed.claim == "run run-9 until 02:01:30 UTC"
    assert afterwards is not None
    assert afterwards.claim is None


def test_a_disconnect_that_no_run_has_seen_yet_is_said_to_be_pending(engine: sa.Engine, store: PictureStore) -> None:
    read_picture(engine, "ada-instagram", put_picture(store, 1), now=NOW)
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(connected=False))

    description = describe(engine)

    assert description.decision.source == "initials"
    assert description.decision.reasons[0] == "Instagram: not connected."
    assert not description.decision.is_shown
    assert description.accounts[0].ledger is not None
    assert description.accounts[0].ledger.next_read == "not read: disconnected"


def test_what_was_read_under_another_handle_is_marked_as_such(engine: sa.Engine, store: PictureStore) -> None:
    read_picture(engine, "ada-instagram", put_picture(store, 1), now=NOW)
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(handle="@grace", accessToken="another"))

    description = describe(engine)

    assert description.accounts[0].ledger is not None
    assert not description.accounts[0].ledger.is_of_this_handle
    assert description.accounts[0].ledger.next_read == "with the next run: the account changed"
    assert description.decision.reasons[0] == "Instagram: not read under its present handle yet."


def test_a_handle_alone_does_not_count_where_only_verified_accounts_do(engine: sa.Engine, store: PictureStore) -> None:
    read_picture(engine, "ada-youtube", put_picture(store, 1), now=NOW)

    decision = describe(engine, settings=Settings(talent_image_verified_only=True)).decision

    assert decision.reasons[2] == "YouTube: connected by its handle alone, which does not count here."


def test_a_pin_is_the_reason_while_it_lasts(engine: sa.Engine, store: PictureStore) -> None:
    first, second = put_picture(store, 1), put_picture(store, 2)
    read_picture(engine, "ada-instagram", first, now=NOW)
    read_picture(engine, "ada-instagram", second, now=NOW + timedelta(days=1))
    later = NOW + timedelta(days=2)
    pinned = anyio.run(partial(roll_back, engine, store, "ada", rules=RULES, now=later))

    description = describe(engine, now=later)

    assert description.pin is not None
    assert (description.pin.version_id, description.pin.pinned_at) == (pinned.version_id, later)
    assert description.decision.picture_hash == first.content_hash
    assert description.decision.reasons == (
        f"A person pinned version {pinned.version_id}; it is shown until it is unpinned.",
    )
    assert description.history[0].why == f"pinned to version {pinned.version_id}"


def test_versions_that_cannot_be_shown_again_say_why(engine: sa.Engine, store: PictureStore) -> None:
    damaged, sound = put_picture(store, 1), put_picture(store, 2)
    read_picture(engine, "ada-instagram", damaged, now=NOW)
    read_picture(engine, "ada-instagram", sound, now=NOW + timedelta(days=1))
    assert describe(engine).not_restorable == {}
    with engine.begin() as connection:
        later = NOW + timedelta(days=2)
        maintenance_queries.mark_damaged(connection, [damaged.content_hash], stored_before=later, now=later)

    description = describe(engine)

    first = description.history[-1].version_id
    assert list(description.not_restorable) == [first]
    assert "found damaged" in description.not_restorable[first]


def test_an_account_whose_picture_was_found_damaged_is_read_with_the_next_run(
    engine: sa.Engine, store: PictureStore
) -> None:
    picture = put_picture(store, 1)
    read_picture(engine, "ada-instagram", picture, now=NOW)
    with engine.begin() as connection:
        later = NOW + timedelta(days=2)
        maintenance_queries.mark_damaged(connection, [picture.content_hash], stored_before=later, now=later)

    ledger = describe(engine).accounts[0].ledger

    assert ledger is not None
    assert ledger.next_read == "with the next run"


def test_a_manual_picture_is_said_to_be_left_alone(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.update(talent).values(profileImageSource="manual", profileImageUrl="http://by.hand/1.png")
        )

    decision = describe(engine).decision

    assert (decision.source, decision.is_shown) == ("manual", True)
    assert "set by hand" in decision.reasons[0]


def test_a_talent_is_found_by_id_and_by_name_in_any_case(engine: sa.Engine) -> None:
    assert find_talent(engine, "ada") == "ada"
    assert find_talent(engine, " ada lovelace ") == "ada"


def test_a_name_that_several_talents_have_asks_for_the_id(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        insert_talent(connection, id="other-ada")

    with pytest.raises(UnknownTalentError, match="2 talents are named 'Ada Lovelace': ada, other-ada"):
        find_talent(engine, "Ada Lovelace")


def test_an_unknown_talent_is_named_with_the_nearest(engine: sa.Engine) -> None:
    with pytest.raises(UnknownTalentError, match=r"'Ada Lovelance'.*ada \(Ada Lovelace\)"):
        find_talent(engine, "Ada Lovelance")
    with pytest.raises(UnknownTalentError, match=r"'adaa'.*ada \(Ada Lovelace\)"):
        describe_talent(engine, "adaa", settings=SETTINGS, now=NOW)
