"""The change feed: triggers on the app's accounts that write down which of them changed.

What belongs here: making and removing the triggers and their queue, and reading the queue.
What does not: whether a change matters (``candidate_queries.py``) and when to look (``automation/sensors.py``).

The app's statement never fails because of it: whatever goes wrong in the trigger on PostgreSQL is caught there, and the
walk over all accounts, which goes on in the background, finds the change later. The trigger runs with the rights of
whoever made it, so that the app's role needs none on our queue. On SQLite a trigger has no way to catch an error; there
it does one insert into a table that only ``migrate --down`` removes, after the triggers.
"""

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from talent_image_pipeline.database.identifiers import quoted
from talent_image_pipeline.database.tables import changed_accounts, social_account_connection

#: The channel of PostgreSQL's NOTIFY; its payload is the account's id.
CHANNEL: Final = "talent_image_changes"

_TRIGGER: Final = "talent_image_change_feed"
_FUNCTION: Final = "talent_image_note_change"
_EVENTS: Final = ("INSERT", "UPDATE", "DELETE")


def install_change_feed(connection: sa.Connection) -> None:
    """Make the triggers, or make them again as this version has them."""
    if connection.dialect.name == "postgresql":
        _install_on_postgresql(connection)
    else:
        _install_on_sqlite(connection)


def remove_change_feed(connection: sa.Connection) -> None:
    """Remove the triggers; the app's table is then as it was."""
    table = quoted(social_account_connection.name)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_TRIGGER} ON {table}")
        connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {_FUNCTION}()")
        return
    for event in _EVENTS:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_TRIGGER}_{event.lower()}")


def has_change_feed(connection: sa.Connection) -> bool:
    """Whether the triggers are there."""
    if connection.dialect.name == "postgresql":
        statement = sa.text(
            "SELECT count(*) FROM pg_trigger WHERE tgname = :name AND tgrelid = to_regclass(quote_ident(:table))"
        )
        return bool(connection.scalar(statement, {"name": _TRIGGER, "table": social_account_connection.name}))
    statement = sa.text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE :name")
    return bool(connection.scalar(statement, {"name": f"{_TRIGGER}%"}))


def queued_accounts(connection: sa.Connection, *, limit: int) -> dict[str, int]:
    """Return accounts that changed, the longest waiting first, each with the newest number of its entries."""
    newest = sa.func.max(changed_accounts.c.id)
    statement = (
        sa.select(changed_accounts.c.account_id, newest)
        .group_by(changed_accounts.c.account_id)
        .order_by(sa.func.min(changed_accounts.c.id))
        .limit(limit)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def forget_queued(connection: sa.Connection, accounts: Collection[tuple[str, int]]) -> None:
    """Remove the entries of accounts up to a number: what the app did to them since stays in the queue."""
    for account_id, number in sorted(accounts):
        connection.execute(
            sa.delete(changed_accounts).where(
                changed_accounts.c.account_id == account_id, changed_accounts.c.id <= number
            )
        )


def _install_on_postgresql(connection: sa.Connection) -> None:
    schema: str = connection.execute(
        sa.text("SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass(:table)"),
        {"table": changed_accounts.name},
    ).scalar_one()
    queue = f"{schema}.{quoted(changed_accounts.name)}"
    connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION {schema}.{_FUNCTION}() RETURNS trigger"  # noqa: S608 - names of our own
        " LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $feed$"
        " DECLARE changed text := CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END;"
        " BEGIN"
        f" INSERT INTO {queue} (account_id) VALUES (changed);"
        f" PERFORM pg_notify('{CHANNEL}', changed);"
        " RETURN NULL;"
        " EXCEPTION WHEN OTHERS THEN RETURN NULL;"
        " END $feed$"
    )
    table = quoted(social_account_connection.name)
    connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_TRIGGER} ON {table}")
    connection.exec_driver_sql(
        f"CREATE TRIGGER {_TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {schema}.{_FUNCTION}()"
    )


def _install_on_sqlite(connection: sa.Connection) -> None:
    remove_change_feed(connection)
    table = quoted(social_account_connection.name)
    for event in _EVENTS:
        row = "OLD" if event == "DELETE" else "NEW"
        connection.exec_driver_sql(
            f"CREATE TRIGGER {_TRIGGER}_{event.lower()} AFTER {event} ON {table}"  # noqa: S608 - names of our own
            f" BEGIN INSERT INTO {changed_accounts.name} (account_id) VALUES ({row}.id); END"
        )
