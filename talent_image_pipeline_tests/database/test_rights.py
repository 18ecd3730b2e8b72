"""What a role may not do is named with the right, the table and the GRANT, and that GRANT is what was missing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
import sqlalchemy as sa
from psycopg2 import sql

from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline.database.rights import MissingRightsError, missing_for_runs
from talent_image_pipeline.database.url import with_own_schema
from talent_image_pipeline_tests.conftest import PostgresServer

Opener = Callable[[str], sa.Engine]


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role without any right, and the address under which it opens the owner's database."""

    name: str
    url: str


@pytest.fixture
def role(postgres_server: PostgresServer, postgres_url: str) -> Iterator[Role]:
    name = f"role_{uuid4().hex[:12]}"
    postgres_server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    yield Role(name=name, url=postgres_url.replace("//postgres@", f"//{name}@"))
    owner = open_engine(postgres_url)
    with owner.begin() as connection:
        connection.exec_driver_sql(f'DROP OWNED BY "{name}"')
    owner.dispose()
    postgres_server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def missing(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return [right.remedy for right in missing_for_runs(connection)]


def test_following_every_remedy_leaves_nothing_missing(postgres_url: str, role: Role, opened: Opener) -> None:
    owner = opened(with_own_schema(postgres_url, "talent_images"))
    migrate(opened(postgres_url), with_app_tables=True)
    migrate(owner, with_app_tables=False)
    mine = opened(with_own_schema(role.url, "talent_images"))

    followed: list[str] = []
    while remedies := missing(mine):
        assert not set(remedies) & set(followed), "a remedy that was followed is asked for again"
        with owner.begin() as connection:
            for remedy in remedies:
                connection.exec_driver_sql(remedy)
        followed += remedies

    text = " ".join(followed)
    assert 'GRANT USAGE ON SCHEMA "talent_images"' in text
    assert 'GRANT UPDATE ("accessToken", "refreshToken", "expiresAt") ON "SocialAccountConnection"' in text
    assert 'GRANT SELECT, INSERT, UPDATE, DELETE ON "platform_images"' in text
    assert "profile_image_versions_id_seq" in text
    assert 'DELETE ON "Talent"' not in text


def test_a_role_that_may_only_read_is_told_what_it_may_not_write(postgres_url: str, role: Role, opened: Opener) -> None:
    owner = opened(postgres_url)
    migrate(owner, with_app_tables=True)
    with owner.begin() as connection:
        connection.exec_driver_sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role.name}"')
    remedies = missing(opened(role.url))
    assert f'GRANT INSERT, UPDATE, DELETE ON "pictures" TO "{role.name}";' in remedies
    assert not [remedy for remedy in remedies if "SELECT" in remedy]


def test_a_migration_that_may_not_is_refused_before_anything_changes(
    postgres_url: str, role: Role, opened: Opener
) -> None:
    owner = opened(postgres_url)
    with owner.begin() as connection:
        connection.exec_driver_sql('CREATE TABLE "Talent" ("id" TEXT PRIMARY KEY)')
        connection.exec_driver_sql('CREATE TABLE "SocialAccountConnection" ("id" TEXT PRIMARY KEY)')
        connection.exec_driver_sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role.name}"')
    with pytest.raises(MissingRightsError) as caught:
        migrate(opened(role.url), with_app_tables=False)
    message = str(caught.value)
    assert f'role {role.name} lacks CREATE on schema "public": GRANT CREATE ON SCHEMA "public"' in message
    assert f'GRANT "postgres" TO "{role.name}"' in message
    assert set(sa.inspect(owner).get_table_names()) == {"Talent", "SocialAccountConnection"}


def test_a_statement_that_is_refused_says_which_role_and_where_to_read_on(
    postgres_url: str, role: Role, opened: Opener
) -> None:
    migrate(opened(postgres_url), with_app_tables=True)
    with opened(role.url).connect() as connection, pytest.raises(sa.exc.ProgrammingError) as caught:
        connection.exec_driver_sql('SELECT * FROM "Talent"')
    assert f"role {role.name}; talent-images doctor names each missing right" in str(caught.value)
