"""What a migration does to databases in every state in which it may find them."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from talent_image_pipeline.database.app_additions import MigrationBlockedError, add_missing
from talent_image_pipeline.database.engine import MissingAppTableError, require_app_tables
from talent_image_pipeline.database.migrate import (
    AppColumnsMissingError,
    MigrationPatience,
    MigrationReport,
    migrate,
    migrate_down,
)
from talent_image_pipeline.database.records import Reason
from talent_image_pipeline.database.schema_revision import VERSION_TABLE
from talent_image_pipeline.database.tables import app_metadata, candidate_talents, metadata, platform_images, talent
from talent_image_pipeline.database.url import with_own_schema
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline_tests.rows import CREATED_AT

Opener = Callable[[str], sa.Engine]

NOW = "2026-01-01 00:00:00"

OUR_COLUMNS = {"profileImageUrl", "profileImageSource", "lastProfileImageSyncAt"}
APP_TABLES = """
CREATE TABLE "Talent" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "userId" TEXT,
    "name" TEXT NOT NULL,
    "displayName" TEXT,
    "status" TEXT,
    {our_columns}
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL
);
CREATE UNIQUE INDEX "Talent_userId_key" ON "Talent"("userId");
CREATE TABLE "SocialAccountConnection" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "creatorId" TEXT NOT NULL REFERENCES "Talent"("id") ON DELETE CASCADE ON UPDATE CASCADE,
    "platform" TEXT NOT NULL,
    "handle" TEXT NOT NULL,
    "profileUrl" TEXT,
    "connected" BOOLEAN NOT NULL DEFAULT false,
    "connectionType" TEXT NOT NULL DEFAULT 'MANUAL',
    "syncStatus" TEXT NOT NULL DEFAULT 'PENDING',
    "accessToken" TEXT,
    "refreshToken" TEXT,
    "expiresAt" TIMESTAMP(3),
    "lastSyncedAt" TIMESTAMP(3),
    "syncError" TEXT,
    "metadata" JSON,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL
);
CREATE UNIQUE INDEX "SocialAccountConnection_creatorId_platform_key"
    ON "SocialAccountConnection"("creatorId", "platform");
INSERT INTO "Talent" ("id", "name", "updatedAt") VALUES ('t1', 'Ada', '2026-01-01 00:00:00.000');
INSERT INTO "SocialAccountConnection" ("id", "creatorId", "platform", "handle", "updatedAt")
    VALUES ('a1', 't1', 'INSTAGRAM', '@ada', '2026-01-01 00:00:00.000')
"""
COLUMNS_BY_THE_APP = """
    "profileImageUrl" TEXT,
    "profileImageSource" TEXT NOT NULL DEFAULT 'initials',
    "lastProfileImageSyncAt" TIMESTAMP(3),
"""
INDEXES_BY_THE_APP = """;
CREATE INDEX "Talent_profileImageSource_idx" ON "Talent"("profileImageSource");
CREATE INDEX "Talent_lastProfileImageSyncAt_idx" ON "Talent"("lastProfileImageSyncAt")
"""


def create_app(engine: sa.Engine, *, has_our_columns: bool) -> None:
    script = APP_TABLES.format(our_columns=COLUMNS_BY_THE_APP if has_our_columns else "")
    script += INDEXES_BY_THE_APP if has_our_columns else ""
    with engine.begin() as connection:
        for statement in script.split(";"):
            connection.exec_driver_sql(statement)


def app_schema(engine: sa.Engine) -> dict[str, object]:
    """Everything that the database says of the app's tables."""
    inspector = sa.inspect(engine)
    return {
        name: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)],
            sorted(str(index["name"]) for index in inspector.get_indexes(name)),
            inspector.get_unique_constraints(name),
            inspector.get_foreign_keys(name),
        )
        for name in app_metadata.tables
    }


def talents(engine: sa.Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        return [(row.id, row.name) for row in connection.execute(sa.text('SELECT "id", "name" FROM "Talent"'))]


def differences(engine: sa.Engine) -> list[object]:
    """What Alembic would change to make the database look like ``tables.py``; comments aside, they stay in the code."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_server_default": True}
        )
        found: list[object] = compare_metadata(context, [app_metadata, metadata])  # type: ignore[arg-type]
    return [difference for difference in found if "comment" not in str(difference)[:40]]


def test_an_empty_database_gets_exactly_the_tables_that_the_code_knows(database_url: str, opened: Opener) -> None:
    engine = opened(database_url)
    migrate(engine, with_app_tables=True)
    assert differences(engine) == []
    require_app_tables(engine)


def test_the_report_names_what_was_created(database_url: str, opened: Opener) -> None:
    report = migrate(opened(database_url), with_app_tables=True)
    assert report.revision_before is None
    assert report.revision_after is not None
    assert {'table "Talent"', 'table "pictures"', 'column "Talent"."profileImageUrl"'} <= set(report.created)
    assert report.removed == ()


def test_an_app_database_gets_our_columns_and_indexes_and_keeps_its_rows(database_url: str, opened: Opener) -> None:
    engine = opened(database_url)
    create_app(engine, has_our_columns=False)
    migrate(engine, with_app_tables=False)
    assert differences_on_talent(engine) == (OUR_COLUMNS, 2)
    with engine.connect() as connection:
        row = connection.execute(sa.select(talent)).one()
    assert (row.id, row.profileImageUrl, row.profileImageSource) == ("t1", None, "initials")
    assert row.lastProfileImageSyncAt is None


def differences_on_talent(engine: sa.Engine) -> tuple[set[str], int]:
    inspector = sa.inspect(engine)
    columns = {column["name"] for column in inspector.get_columns("Talent")}
    indexes = [index for index in inspector.get_indexes("Talent") if not index["unique"]]
    return columns & OUR_COLUMNS, len(indexes)


def test_nothing_of_the_apps_changes_where_its_own_migration_made_the_columns(
    database_url: str, opened: Opener
) -> None:
    engine = opened(database_url)
    create_app(engine, has_our_columns=True)
    before = app_schema(engine)
    report = migrate(engine, with_app_tables=False)
    assert app_schema(engine) == before
    assert [entry for entry in report.created if "Talent" in entry] == []


@pytest.mark.parametrize("has_our_columns", [False, True])
def test_migrating_twice_is_harmless(database_url: str, opened: Opener, has_our_columns: bool) -> None:
    engine = opened(database_url)
    create_app(engine, has_our_columns=has_our_columns)
    first = migrate(engine, with_app_tables=False)
    schema = app_schema(engine)
    assert migrate(engine, with_app_tables=False) == MigrationReport(
        revision_before=first.revision_after, revision_after=first.revision_after, created=(), removed=()
    )
    assert app_schema(engine) == schema


@pytest.mark.parametrize("has_our_columns", [False, True])
def test_going_down_leaves_the_app_as_it_was(database_url: str, opened: Opener, has_our_columns: bool) -> None:
    engine = opened(database_url)
    create_app(engine, has_our_columns=has_our_columns)
    before = app_schema(engine)
    migrate(engine, with_app_tables=False)
    assert talents(engine) == [("t1", "Ada")]
    migrate_down(engine)
    assert app_schema(engine) == before
    assert talents(engine) == [("t1", "Ada")]
    assert set(sa.inspect(engine).get_table_names()) == set(app_metadata.tables)


def test_going_down_twice_and_up_again_ends_where_going_up_once_does(database_url: str, opened: Opener) -> None:
    engine = opened(database_url)
    first = migrate(engine, with_app_tables=True)
    migrate_down(engine)
    assert migrate_down(engine).removed == ()
    again = migrate(engine, with_app_tables=True)
    assert again.revision_after == first.revision_after
    assert differences(engine) == []


def test_an_index_of_the_apps_under_another_name_is_not_doubled(database_url: str, opened: Opener) -> None:
    engine = opened(database_url)
    create_app(engine, has_our_columns=True)
    with engine.begin() as connection:
        connection.exec_driver_sql('DROP INDEX "Talent_lastProfileImageSyncAt_idx"')
        connection.exec_driver_sql('CREATE INDEX by_sync ON "Talent"("lastProfileImageSyncAt")')
    before = app_schema(engine)
    migrate(engine, with_app_tables=False)
    assert app_schema(engine) == before


def test_a_missing_app_table_is_named_with_the_place_that_was_looked_at(database_url: str, opened: Opener) -> None:
    engine = opened(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql('CREATE TABLE "Talent" ("id" TEXT PRIMARY KEY)')
    with pytest.raises(MissingAppTableError, match=r'^"SocialAccountConnection" not found in ') as caught:
        migrate(engine, with_app_tables=False)
    assert str(engine.url.database) in str(caught.value)
    assert sa.inspect(engine).get_table_names() == ["Talent"]


def test_the_schema_that_the_address_names_is_the_one_migrated(postgres_url: str, opened: Opener) -> None:
    with opened(postgres_url).begin() as connection:
        connection.exec_driver_sql('CREATE SCHEMA "Agency 1"')
    engine = opened(f"{postgres_url}&schema=Agency%201&pgbouncer=true&connection_limit=1")
    with pytest.raises(MissingAppTableError, match="schema 'Agency 1'"):
        migrate(engine, with_app_tables=False)
    migrate(engine, with_app_tables=True)
    inspector = sa.inspect(opened(postgres_url))
    assert inspector.get_table_names(schema="public") == []
    assert {*app_metadata.tables, *metadata.tables} < set(inspector.get_table_names(schema="Agency 1"))
    assert differences(engine) == []


OUTSIDE_THE_CLOSED_SETS = [
    ("candidate_talents", {"run_id": "r", "talent_id": "t1", "chosen_at": NOW, "reason": "felt like it"}),
    (
        "platform_images",
        {"account_id": "a1", "talent_id": "t1", "platform": "instagram", "handle": "", "outcome": ""},
    ),
    ("platform_images", {"account_id": "a1", "talent_id": "t1", "platform": "Instagram", "handle": ""}),
    ("platform_images", {"account_id": "a1", "talent_id": "t1", "platform": "instagram ", "handle": ""}),
    ("profile_image_versions", {"talent_id": "t1", "source": "", "valid_from": NOW, "why": ""}),
    ("profile_image_pins", {"talent_id": "t1", "version_id": 1, "source": "Manual", "pinned_at": NOW}),
]


@pytest.mark.parametrize(("table", "values"), OUTSIDE_THE_CLOSED_SETS)
def test_the_database_itself_refuses_what_is_outside_the_closed_sets(
    migrated_engine: sa.Engine, table: str, values: dict[str, object]
) -> None:
    insert = sa.insert(sa.table(table, *(sa.column(name) for name in values)))
    with pytest.raises(sa.exc.IntegrityError), migrated_engine.begin() as connection:
        connection.execute(insert, values)


def test_every_outcome_and_reason_of_the_code_can_be_stored(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        for outcome in Outcome:
            account = {"account_id": outcome, "talent_id": "t1", "platform": "instagram", "handle": "ada"}
            connection.execute(sa.insert(platform_images).values(account | {"outcome": outcome}))
        for reason in Reason:
            candidate = {"run_id": reason, "talent_id": "t1", "reason": reason, "chosen_at": CREATED_AT}
            connection.execute(sa.insert(candidate_talents).values(candidate))
        assert set(connection.scalars(sa.select(platform_images.c.outcome))) == set(Outcome)
        assert set(connection.scalars(sa.select(candidate_talents.c.reason))) == set(Reason)


def test_our_timestamps_have_the_apps_precision(postgres_url: str, opened: Opener) -> None:
    engine = opened(postgres_url)
    migrate(engine, with_app_tables=True)
    with engine.connect() as connection:
        types = connection.execute(
            sa.text(
                "SELECT DISTINCT data_type, datetime_precision FROM information_schema.columns"
                " WHERE table_schema = 'public' AND data_type LIKE 'timestamp%'"
            )
        ).all()
    assert [tuple(row) for row in types] == [("timestamp without time zone", 3)]


def test_processes_that_migrate_at_once_all_succeed(database_url: str, opened: Opener) -> None:
    program = (
        "import sys\n"
        "from talent_image_pipeline.database.engine import open_engine\n"
        "from talent_image_pipeline.database.migrate import migrate\n"
        "print(bool(migrate(open_engine(sys.argv[1]), with_app_tables=True).created))\n"
    )
    command = [sys.executable, "-c", program, database_url]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=120)[0].strip() for process in running]
    assert sorted(answers) == ["False", "False", "True"]
    assert differences(opened(database_url)) == []


# --- beside the app -------------------------------------------------------------------------------------------------


@contextmanager
def migrating(engine: sa.Engine) -> Iterator[threading.Thread]:
    """Migrate in the background; the end waits for it."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            migrate(engine, with_app_tables=False)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(timeout=120)
    assert failures == []
    assert not thread.is_alive()


def work_as_the_app(engine: sa.Engine) -> None:
    """Read and write a talent; the server itself refuses either when it waits for a lock longer than 0.6 s."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '600ms'")
        connection.exec_driver_sql('SELECT count(*) FROM "Talent"')
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '600ms'")
        connection.exec_driver_sql("""UPDATE "Talent" SET "name" = 'Ada' WHERE "id" = 't1'""")


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("what was waited for did not come")


def test_while_an_index_is_built_the_app_reads_and_writes(postgres_url: str, opened: Opener) -> None:
    """An index that is built without locks waits for whoever had a snapshot before: long enough to look at it."""
    engine, app = opened(postgres_url), opened(postgres_url)
    create_app(engine, has_our_columns=False)

    def index_waits() -> bool:
        with app.connect() as connection:
            statement = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%%'"
            return bool(connection.exec_driver_sql(statement).scalar_one())

    with opened(postgres_url).connect().execution_options(isolation_level="REPEATABLE READ") as report:
        report.exec_driver_sql("SELECT 1")
        with migrating(engine) as migration:
            wait_until(index_waits)
            for _ in range(5):
                work_as_the_app(app)
            assert migration.is_alive()
            report.rollback()
    assert differences_on_talent(engine) == (OUR_COLUMNS, 2)


def test_the_app_never_queues_for_long_behind_a_migration_that_waits(postgres_url: str, opened: Opener) -> None:
    """A reader that stays in its transaction, as a backup does, holds up the columns; the app must not notice."""
    engine, app = opened(postgres_url), opened(postgres_url)
    create_app(engine, has_our_columns=False)

    def migration_waits() -> bool:
        with app.connect() as connection:
            statement = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
            return bool(connection.exec_driver_sql(statement).scalar_one())

    with opened(postgres_url).connect() as backup:
        backup.exec_driver_sql('SELECT count(*) FROM "Talent"')
        with migrating(engine):
            for _ in range(2):
                wait_until(migration_waits)
                work_as_the_app(app)
            backup.rollback()
    assert differences_on_talent(engine) == (OUR_COLUMNS, 2)


def test_whoever_holds_a_lock_for_too_long_is_named(postgres_url: str, opened: Opener) -> None:
    engine = opened(postgres_url)
    create_app(engine, has_our_columns=False)
    before = app_schema(engine)
    with opened(f"{postgres_url}&application_name=pg_dump").connect() as backup:
        backup.exec_driver_sql('SELECT count(*) FROM "Talent"')
        with pytest.raises(MigrationBlockedError, match=r"process \d+ \(pg_dump, idle in transaction"):
            migrate(engine, with_app_tables=False, patience=MigrationPatience(lock_seconds=0))
        assert app_schema(engine) == before
    migrate(engine, with_app_tables=False)
    assert differences_on_talent(engine) == (OUR_COLUMNS, 2)


def test_another_migration_is_not_waited_for_for_ever(postgres_url: str, opened: Opener) -> None:
    engine = opened(postgres_url)
    create_app(engine, has_our_columns=False)
    with opened(postgres_url).connect() as other:
        other.execute(sa.select(sa.func.pg_advisory_xact_lock(0x74616C656E74696D)))
        with pytest.raises(MigrationBlockedError, match="another process has been migrating"):
            migrate(engine, with_app_tables=False, patience=MigrationPatience(other_migration_seconds=0.05))
    assert differences_on_talent(engine) == (set(), 0)


def test_an_index_whose_build_was_cut_short_is_built_anew(postgres_url: str, opened: Opener) -> None:
    engine = opened(postgres_url)
    create_app(engine, has_our_columns=False)
    with engine.begin() as connection:
        connection.exec_driver_sql('ALTER TABLE "Talent" ADD COLUMN "lastProfileImageSyncAt" TIMESTAMP(3)')
    with opened(postgres_url).connect().execution_options(isolation_level="REPEATABLE READ") as report:
        report.exec_driver_sql("SELECT 1")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET lock_timeout = '50ms'")
            build = (
                'CREATE INDEX CONCURRENTLY "Talent_lastProfileImageSyncAt_idx" ON "Talent"("lastProfileImageSyncAt")'
            )
            with pytest.raises(sa.exc.OperationalError):
                connection.exec_driver_sql(build)
            connection.exec_driver_sql("RESET lock_timeout")
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    with engine.connect() as connection:
        assert connection.exec_driver_sql(invalid).scalar_one() == 1
    migrate(engine, with_app_tables=False)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(invalid).scalar_one() == 0
    assert differences_on_talent(engine) == (OUR_COLUMNS, 2)


def test_a_migration_that_was_killed_half_way_is_resumed_and_can_be_undone(postgres_url: str, opened: Opener) -> None:
    engine = opened(postgres_url)
    create_app(engine, has_our_columns=False)
    before = app_schema(engine)
    add_missing(engine, say=lambda _: None)
    migrate(engine, with_app_tables=False)
    assert differences_on_talent(engine) == (OUR_COLUMNS, 2)
    migrate_down(engine)
    assert app_schema(engine) == before


# --- a schema of our own --------------------------------------------------------------------------------------------


def tables_in(engine: sa.Engine, schema: str) -> set[str]:
    return set(sa.inspect(engine).get_table_names(schema=schema))


def test_our_tables_lie_in_their_own_schema_and_only_the_columns_in_the_apps(postgres_url: str, opened: Opener) -> None:
    app = opened(postgres_url)
    create_app(app, has_our_columns=False)
    before = app_schema(app)
    engine = opened(with_own_schema(postgres_url, "Our images"))
    migrate(engine, with_app_tables=False)
    assert tables_in(app, "public") == set(app_metadata.tables)
    assert tables_in(app, "Our images") == {*metadata.tables, VERSION_TABLE}
    assert differences_on_talent(engine) == (OUR_COLUMNS, 2)
    migrate_down(engine)
    assert app_schema(app) == before
    assert "Our images" not in sa.inspect(app).get_schema_names()


def test_tables_of_an_earlier_version_move_into_the_schema_with_their_rows(postgres_url: str, opened: Opener) -> None:
    app = opened(postgres_url)
    create_app(app, has_our_columns=True)
    migrate(app, with_app_tables=False)
    with app.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO candidate_talents (run_id, talent_id, reason, chosen_at)"
            " VALUES ('r1', 't1', 'stale', '2026-01-01')"
        )
    engine = opened(with_own_schema(f"{postgres_url}&schema=public", "talent_images"))
    migrate(engine, with_app_tables=False)
    assert tables_in(app, "public") == set(app_metadata.tables)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT run_id FROM candidate_talents").scalar_one() == "r1"


def test_a_table_of_the_apps_with_the_name_of_one_of_ours_stays_the_apps(postgres_url: str, opened: Opener) -> None:
    app = opened(postgres_url)
    create_app(app, has_our_columns=True)
    with app.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE pictures (title TEXT)")
    migrate(opened(with_own_schema(postgres_url, "talent_images")), with_app_tables=False)
    assert [column["name"] for column in sa.inspect(app).get_columns("pictures", schema="public")] == ["title"]


# --- an app that migrates with Prisma -------------------------------------------------------------------------------


def test_columns_that_the_app_will_add_are_waited_for(postgres_url: str, opened: Opener) -> None:
    engine = opened(postgres_url)
    create_app(engine, has_our_columns=False)
    said: list[str] = []

    def add_columns_as_the_app(message: str) -> None:
        said.append(message)
        if len(said) > 1:
            return
        with opened(postgres_url).begin() as connection:
            for column in COLUMNS_BY_THE_APP.strip().rstrip(",").split(","):
                connection.exec_driver_sql(f'ALTER TABLE "Talent" ADD COLUMN {column}')

    report = migrate(engine, with_app_tables=False, app_owns_columns=True, say=add_columns_as_the_app)
    assert "lastProfileImageSyncAt" in said[0]
    assert [entry for entry in report.created if entry.startswith("column")] == []
    migrate_down(engine)
    assert differences_on_talent(engine) == (OUR_COLUMNS, 0)


def test_columns_that_the_app_never_adds_are_named_and_nothing_is_changed(postgres_url: str, opened: Opener) -> None:
    engine = opened(postgres_url)
    create_app(engine, has_our_columns=False)
    before = app_schema(engine)
    with pytest.raises(AppColumnsMissingError, match="profileImageSource"):
        migrate(engine, with_app_tables=False, app_owns_columns=True, patience=MigrationPatience(wait_seconds=0))
    assert app_schema(engine) == before


@pytest.mark.parametrize("uses_prisma", [False, True])
def test_whoever_migrates_with_prisma_is_told_what_to_do_next(
    postgres_url: str, opened: Opener, uses_prisma: bool
) -> None:
    engine = opened(postgres_url)
    create_app(engine, has_our_columns=False)
    if uses_prisma:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE _prisma_migrations (id TEXT)")
    notes = " ".join(migrate(engine, with_app_tables=False).notes)
    assert ("npx prisma migrate resolve --applied" in notes) == uses_prisma
    assert ("TALENT_IMAGE_SCHEMA=talent_images" in notes) == uses_prisma
