"""How an operator may write the database's address, and what is made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.database.url import DatabaseAddressError, parse_database_address, with_own_schema

PASSWORD = "p4ss-w0rd-planted"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_spelling_of_postgresql_means_the_driver_that_is_installed(scheme: str) -> None:
    address = parse_database_address(f"{scheme}://ada:{PASSWORD}@db.example:6432/agency")
    assert address.url.drivername == "postgresql+psycopg2"
    assert (address.url.host, address.url.port, address.url.database) == ("db.example", 6432, "agency")
    assert address.url.password == PASSWORD


def test_the_parameters_of_prisma_are_understood() -> None:
    address = parse_database_address(
        "postgresql://ada:x@db.example/agency?schema=talents&connection_limit=3&pgbouncer=true&sslmode=require"
        "&connect_timeout=4&pool_timeout=7&socket_timeout=9&sslaccept=accept_invalid_certs&statement_cache_size=0"
    )
    assert address.schema == "talents"
    assert address.connection_limit == 3
    assert address.pool_timeout == 7
    assert address.statement_timeout == 9
    assert address.connect_arguments["sslmode"] == "require"
    assert address.connect_arguments["connect_timeout"] == "4"
    assert dict(address.url.query) == {}


@pytest.mark.parametrize("given", ["postgres://db.example/agency", "postgres://db.example/agency?schema=talents"])
def test_a_schema_of_our_own_goes_with_the_address_wherever_it_is_opened(given: str) -> None:
    address = parse_database_address(with_own_schema(given, "Our & images"))
    assert address.own_schema == "Our & images"
    assert address.schema == ("talents" if "?" in given else None)


def test_a_schema_of_our_own_is_refused_for_a_file() -> None:
    with pytest.raises(DatabaseAddressError, match="TALENT_IMAGE_SCHEMA is for PostgreSQL"):
        parse_database_address(with_own_schema("sqlite:////var/talents.db", "talent_images"))


def test_strict_certificates_are_checked_against_the_hosts_name() -> None:
    arguments = parse_database_address("postgres://ada@db.example/agency?sslaccept=strict").connect_arguments
    assert (arguments["sslmode"], arguments["sslrootcert"]) == ("verify-full", "system")


def test_a_unix_socket_is_accepted() -> None:
    address = parse_database_address("postgresql://ada@/agency?host=/var/run/postgresql&port=5433")
    assert dict(address.url.query) == {"host": "/var/run/postgresql", "port": "5433"}
    assert address.place == "the PostgreSQL database 'agency' at /var/run/postgresql, port 5433"


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    assert int(parse_database_address("postgres://db.example/agency").connect_arguments["connect_timeout"]) > 0


def test_a_sqlite_file_is_accepted() -> None:
    assert parse_database_address("sqlite:////var/talents.db").url.database == "/var/talents.db"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"postgresql://ada:{PASSWORD}@db/agency?conection_limit=3", "conection_limit"),
        (f"postgresql://ada:{PASSWORD}@db/agency?connection_limit=many", "connection_limit"),
        (f"postgresql://ada:{PASSWORD}@db/agency?connection_limit=0", "connection_limit"),
        (f"postgresql://ada:{PASSWORD}@db/agency?sslaccept=maybe", "sslaccept"),
        (f"postgresql://ada:{PASSWORD}@db/agency?schema=a&schema=b", "schema more than once"),
        (f"mysql://ada:{PASSWORD}@db/agency", "mysql"),
        (f"postgresql+asyncpg://ada:{PASSWORD}@db/agency", "asyncpg"),
        (f"postgresql://ada:{PASSWORD}@db:port/agency", "cannot be read"),
        (f"ada:{PASSWORD}@db/agency", "cannot be read"),
        (f"postgresql://ada:hidden@{PASSWORD}@db/agency", "%40"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///talents.db?mode=ro", "mode"),
        ("", "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_by_the_part_that_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(DatabaseAddressError, match=complaint) as caught:
        parse_database_address(text)
    assert PASSWORD not in str(caught.value)


@given(st.text(max_size=80), st.text(max_size=20))
def test_whatever_is_written_the_password_is_in_no_message(scheme: str, ending: str) -> None:
    try:
        address = parse_database_address(f"{scheme}://ada:{PASSWORD}@db.example/agency{ending}")
    except DatabaseAddressError as error:
        assert PASSWORD not in f"{error}{error.__cause__}"  # noqa: PT017 - either way is right; this is about the text
    else:
        assert PASSWORD not in f"{address!r}{address.place}"
