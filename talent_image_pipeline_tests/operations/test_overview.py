"""The list of all talents and the figures over them, on both kinds of database."""

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.gallery_queries import PictureState
from talent_image_pipeline.database.history_queries import NewVersion, write_versions
from talent_image_pipeline.database.statistics_queries import PlatformDay, add_to_day
from talent_image_pipeline.database.tables import candidate_talents, platform_blocks, platform_images, platform_quotas
from talent_image_pipeline.operations.batches import TalentRead, judge_batch
from talent_image_pipeline.operations.overview import OVERDUE_AFTER, changes_between, count_states, list_talents
from talent_image_pipeline.operations.statistics import gather_statistics, time_to_live
from talent_image_pipeline.settings import Settings
from talent_image_pipeline_tests.rows import insert_account, insert_picture, insert_talent

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FRESH = NOW - timedelta(hours=1)
SETTINGS = Settings.model_validate({})


def add(
    engine: sa.Engine,
    talent_id: str,
    *,
    outcome: str | None = None,
    failure: str | None = None,
    failures: int = 0,
    connected: bool = True,
    **columns: object,
) -> None:
    """Add a talent, with an Instagram account and its ledger row where there is an outcome."""
    with engine.begin() as connection:
        insert_talent(connection, **{"id": talent_id, "last_profile_image_sync_at": FRESH, **columns})  # type: ignore[arg-type]
        if outcome is None:
            return
        insert_account(
            connection, id=f"{talent_id}-a", talent_id=talent_id, handle=f"@{talent_id}", connected=connected
        )
        connection.execute(
            sa.insert(platform_images).values(
                account_id=f"{talent_id}-a",
                talent_id=talent_id,
                platform="instagram",
                handle=f"@{talent_id}",
                outcome=outcome,
                failure=failure,
                consecutive_failures=failures,
                read_at=FRESH,
            )
        )


def states(engine: sa.Engine, **wanted: object) -> dict[str, str]:
    page = list_talents(engine, settings=SETTINGS, now=NOW, **wanted)  # type: ignore[arg-type]
    return {talent.talent_id: talent.state.value for talent in page.talents}


def test_a_talent_is_in_the_first_state_that_fits(migrated_engine: sa.Engine) -> None:
    add(migrated_engine, "current", outcome="picture")
    add(migrated_engine, "manual", outcome="needs_reconnect", profile_image_source="manual")
    add(migrated_engine, "dead-token", outcome="needs_reconnect")
    add(migrated_engine, "failing", outcome="unavailable", failures=3)
    add(migrated_engine, "failed-twice", outcome="unavailable", failures=2)
    add(migrated_engine, "disconnected", outcome="needs_reconnect", connected=False)
    add(migrated_engine, "no-account")
    add(migrated_engine, "new", outcome="picture", last_profile_image_sync_at=None)
    add(
        migrated_engine,
        "late",
        outcome="picture",
        last_profile_image_sync_at=NOW - OVERDUE_AFTER - timedelta(minutes=1),
    )

    assert states(migrated_engine) == {
        "current": "current",
        "manual": "manual",
        "dead-token": "needs_attention",
        "failing": "needs_attention",
        "failed-twice": "current",
        "disconnected": "no_account",
        "no-account": "no_account",
        "new": "never_synced",
        "late": "overdue",
    }
    counts = count_states(migrated_engine, settings=SETTINGS, now=NOW)
    assert sum(counts.values()) == 9
    assert counts[PictureState.NEEDS_ATTENTION] == 2
    assert set(states(migrated_engine, states=[PictureState.OVERDUE, PictureState.MANUAL])) == {"late", "manual"}


def test_whoever_needs_attention_is_told_why(migrated_engine: sa.Engine) -> None:
    add(migrated_engine, "dead-token", outcome="needs_reconnect", failure="Ask the talent to connect again.")

    (talent,) = list_talents(migrated_engine, settings=SETTINGS, now=NOW).talents

    assert talent.message == "Ask the talent to connect again."


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("anna", {"one"}),
        ("ЩУКИНА", {"one"}),
        ("@TWO", {"two"}),
        ("two", {"two"}),
        ("100%", {"two"}),
        ("%", {"two"}),
        ("_", set()),
        ("\\", set()),
        ("nobody", set()),
        ("  ", {"one", "two"}),
    ],
)
def test_a_name_a_handle_or_an_id_is_found_and_nothing_is_a_wildcard(
    migrated_engine: sa.Engine, search: str, found: set[str]
) -> None:
    add(migrated_engine, "one", outcome="picture", name="x", display_name="Anna Щукина")
    add(migrated_engine, "two", outcome="picture", name="The 100% Show")

    assert set(states(migrated_engine, search=search)) == found


def test_pages_follow_each_other_without_gap_or_repetition_also_among_equal_names(migrated_engine: sa.Engine) -> None:
    for number in range(7):
        add(migrated_engine, f"id-{number}", name=["Same", "same", "Other"][number % 3])
    seen: list[str] = []
    after = None
    while True:
        page = list_talents(migrated_engine, after=after, limit=2, settings=SETTINGS, now=NOW)
        seen += [talent.talent_id for talent in page.talents]
        after = page.next_after
        if after is None:
            break

    assert seen == ["id-2", "id-5", "id-0", "id-1", "id-3", "id-4", "id-6"]


def test_what_changed_is_said_with_what_was_before(migrated_engine: sa.Engine) -> None:
    add(migrated_engine, "one", name="Ada")
    for moment, source, picture in ((NOW - timedelta(days=2), "tiktok", "a" * 64), (FRESH, "instagram", "b" * 64)):
        version = NewVersion(talent_id="one", source=source, picture_hash=picture, why="a reason")
        with migrated_engine.begin() as connection:
            insert_picture(connection, hash=picture)
            write_versions(connection, [version], run_id="run", now=moment)

    (change,) = changes_between(migrated_engine, since=NOW - timedelta(days=1), until=NOW)

    assert (change.source_before, change.hash_before) == ("tiktok", "a" * 64)
    assert (change.source, change.hash, change.name) == ("instagram", "b" * 64, "Ada")
    assert len(changes_between(migrated_engine, since=NOW - timedelta(days=3), until=NOW)) == 2


def test_the_figures_of_several_runs_add_up_to_those_of_their_day(migrated_engine: sa.Engine) -> None:
    add(migrated_engine, "one", profile_image_source="tiktok")
    figures = PlatformDay(platform="tiktok", day=NOW.date(), calls=3, reads=2, failures=1, downloads=1)
    old = PlatformDay(platform="tiktok", day=date(2026, 1, 1), calls=9, reads=9, failures=9, downloads=9)
    with migrated_engine.begin() as connection:
        for day in (figures, figures, old):
            add_to_day(connection, day)

    statistics = gather_statistics(migrated_engine, now=NOW)

    assert statistics.by_source == {"tiktok": 1}
    (day,) = statistics.days
    assert (day.calls, day.reads, day.failures, day.downloads) == (6, 4, 2, 2)
    assert {one.within_hours: one.talents for one in statistics.freshness}[24] == 1


def test_what_is_known_of_a_limit_is_said_with_how_long_a_platform_is_left_alone(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        connection.execute(
            sa.insert(platform_quotas).values(
                quota="youtube.units", units_day="2026-11-21", units_used=7, updated_at=FRESH
            )
        )
        for account_id in ("", "one-account"):
            connection.execute(
                sa.insert(platform_blocks).values(
                    quota="youtube.units", account_id=account_id, blocked_until=NOW, blocked_because="quota exceeded"
                )
            )

    (quota,) = gather_statistics(migrated_engine, now=NOW).quotas

    assert (quota.quota, quota.units_used, quota.blocked_until) == ("youtube.units", 7, NOW)


def test_the_time_from_finding_a_change_to_its_picture_being_live_is_measured(migrated_engine: sa.Engine) -> None:
    add(migrated_engine, "one")
    with migrated_engine.begin() as connection:
        connection.execute(
            sa.insert(candidate_talents).values(
                run_id="run", talent_id="one", reason="account_changed", chosen_at=FRESH - timedelta(seconds=3)
            )
        )
        version = NewVersion(talent_id="one", source="tiktok", picture_hash=None, why="a reason")
        write_versions(connection, [version], run_id="run", now=FRESH)

    measured = gather_statistics(migrated_engine, now=NOW).time_to_live

    assert (measured.changes, measured.median_seconds) == (1, 3.0)


def test_percentiles_are_values_that_occurred() -> None:
    measured = time_to_live([float(second) for second in range(1, 101)])

    assert (measured.median_seconds, measured.p95_seconds) == (50.0, 95.0)
    assert time_to_live([]).median_seconds is None


def test_a_talent_failed_when_none_of_its_accounts_could_be_read() -> None:
    reads = [
        TalentRead(talent_id="both", outcome="unavailable", message="down"),
        TalentRead(talent_id="both", outcome="picture", message=None),
        TalentRead(talent_id="none", outcome="needs_reconnect", message="connect again"),
        TalentRead(talent_id="unread", outcome=None, message=None),
        TalentRead(talent_id="lost", outcome=None, message=None),
    ]

    outcome = judge_batch(reads, of_failed_runs={"lost"})

    assert dict(outcome.failures).keys() == {"none", "lost"}
    assert dict(outcome.failures)["none"] == "connect again"
    assert outcome.successful == 2
