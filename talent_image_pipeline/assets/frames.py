"""Reports and tables as pandas frames and Dagster metadata.

What belongs here: the shapes in which the Dagster UI shows what an asset did and what its table holds.
What does not: counting (``sync/``) and judging (``checks.py``).

See https://docs.dagster.io/guides/build/assets/metadata-and-tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from talent_image_pipeline.sync.reporting.reports import (
    MAX_LISTED,
    AccountFailure,
    PlatformReport,
    ResolutionReport,
    WaitingAccount,
)

_FAILURE_COLUMNS = ("talent_id", "handle", "outcome", "message")
_CHANGE_COLUMNS = ("talent_id", "source", "why")


def column_schema(table: sa.Table) -> dg.TableSchema:
    """Return a table's columns for the UI, from the table itself."""
    return dg.TableSchema(columns=[_table_column(column) for column in table.columns])


def _table_column(column: sa.Column[Any]) -> dg.TableColumn:
    return dg.TableColumn(
        name=column.name,
        type=str(column.type.compile(dialect=sa.create_mock_engine("postgresql://", lambda *_: None).dialect)),
        description=column.comment,
        constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=bool(column.primary_key)),
    )


def failures_frame(failures: Sequence[AccountFailure]) -> pd.DataFrame:
    """Return one row per failed account: talent, handle, outcome and what to do."""
    rows = [{**asdict(failure), "outcome": str(failure.outcome)} for failure in failures]
    return pd.DataFrame(rows, columns=list(_FAILURE_COLUMNS))


def outcomes_frame(reports: Sequence[PlatformReport]) -> pd.DataFrame:
    """Return one row per platform and outcome with the number of reads."""
    rows = [
        {"platform": report.platform, "outcome": str(outcome), "reads": reads}
        for report in reports
        for outcome, reads in sorted(report.outcomes.items())
    ]
    return pd.DataFrame(rows, columns=["platform", "outcome", "reads"])


def changes_frame(report: ResolutionReport) -> pd.DataFrame:
    """Return one row per talent whose picture changed: what it shows now, and why."""
    return pd.DataFrame(report.changes, columns=list(_CHANGE_COLUMNS))


def table_metadata(frame: pd.DataFrame) -> dg.TableMetadataValue:
    """Return a frame as a table that the UI shows."""
    records = [
        dg.TableRecord({str(name): _plain(value) for name, value in row.items()}) for row in frame.to_dict("records")
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name=str(name), type="string") for name in frame.columns])
    return dg.MetadataValue.table(records=records, schema=schema)


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)


def waiting_frame(waiting: Sequence[WaitingAccount]) -> pd.DataFrame:
    """Return one row per account that waits for its talent: talent, handle and what the talent must do."""
    rows = [asdict(account) for account in waiting[:MAX_LISTED]]
    return pd.DataFrame(rows, columns=["talent_id", "handle", "what_to_do"])


def platform_metadata(report: PlatformReport, waiting: Sequence[WaitingAccount]) -> dict[str, Any]:
    """Return what a platform asset says of a materialization: rows, outcomes by kind, calls, downloads, seconds."""
    metadata: dict[str, Any] = {
        "dagster/row_count": report.reads,
        "accounts": report.accounts,
        "not_owed": report.not_owed,
        "read_by_another_run": report.claimed_by_other_run,
        "left_for_later": report.not_reached,
        "superseded": report.superseded,
        "held_back": report.held,
        "restored": report.restored,
        "suspended": report.suspended,
        "token_refreshes_failed": report.token_refreshes_failed,
        "pictures_changed": report.pictures_changed,
        "token_refreshes": report.token_refreshes,
        "api_calls": report.api_calls,
        "without_call": report.without_call,
        "downloads": report.downloads,
        "bytes_received": report.bytes_received,
        "seconds": round(report.seconds, 3),
    }
    metadata |= {f"outcome/{outcome}": reads for outcome, reads in sorted(report.outcomes.items())}
    metadata |= _rounded("seconds_in", report.seconds_by_stage)
    metadata["waiting_for_their_talent"] = len(waiting)
    if waiting:
        metadata["accounts_waiting"] = table_metadata(waiting_frame(waiting))
    if report.failures:
        metadata["failures"] = table_metadata(failures_frame(report.failures))
    return metadata


def resolution_metadata(report: ResolutionReport) -> dict[str, Any]:
    """Return what ``resolved_profile_images`` says of a materialization."""
    metadata: dict[str, Any] = {
        "dagster/row_count": report.talents,
        "changed": report.changed,
        "synced": report.stamped,
        "manual": report.manual,
        "pinned": report.pinned,
        "deleted": report.deleted,
        "seconds": round(report.seconds, 3),
    }
    metadata |= {f"source/{source}": talents for source, talents in sorted(report.sources.items())}
    if report.changes:
        metadata["changes"] = table_metadata(changes_frame(report))
    return metadata


def _rounded(prefix: str, seconds: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": round(value, 3) for name, value in sorted(seconds.items())}
