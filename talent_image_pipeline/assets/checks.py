"""What is checked of the pipeline as it stands: the findings of ``sync/reporting/check_rules.py`` as Dagster checks.

What belongs here: names, descriptions and severities of checks, and what each looks at: the ledger over the last day
and the app's table, never one run's batch. So a small run that went well clears no warning of another's.
What does not: when a check passes (``sync/reporting/check_rules.py``).

They can be executed at any time, and a batch reports them at its end. No check blocks: pictures are kept whatever a
platform does, so what was read is resolved.
See https://docs.dagster.io/guides/test/asset-checks.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import dagster as dg

from talent_image_pipeline.assets.naming import CANDIDATES, RESOLVED, platform_asset
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.resources import DatabaseResource
from talent_image_pipeline.settings import active_platforms

if TYPE_CHECKING:
    import sqlalchemy as sa

    from talent_image_pipeline.database.fact_queries import PlatformFacts
    from talent_image_pipeline.settings import Settings
    from talent_image_pipeline.sync.reporting.check_rules import Finding

IS_ANSWERING = "is_answering"
ERROR_BUDGET = "error_budget"
NOTHING_HELD_BACK = "nothing_held_back"
ACCOUNTS_STAY_CONNECTED = "accounts_stay_connected"
NO_TRUSTED_ORIGINS = "no_trusted_origins"
COLUMNS_MATCH_HISTORY = "columns_match_history"


def _platform_specs(platform: Platform) -> list[dg.AssetCheckSpec]:
    asset, label = platform_asset(platform.name), platform.label
    return [
        dg.AssetCheckSpec(
            IS_ANSWERING,
            asset=asset,
            description=(
                f"{label} answers: how the last read of each account ended, over a day. A warning where it is down or "
                "limits us: pictures stay, reads are repeated."
            ),
        ),
        dg.AssetCheckSpec(
            ERROR_BUDGET,
            asset=asset,
            description=(
                f"Reads of {label} do not fail for reasons of our own, over a day. An error with a wrong key, a bug, "
                "or more than 5 % failed reads while others are answered, or of refused pictures."
            ),
        ),
        dg.AssetCheckSpec(
            NOTHING_HELD_BACK,
            asset=asset,
            description=(
                f"{label} takes no more than 5 % of its pictures away within a day, nor asks more than 10 % of its "
                "accounts to reconnect. What is more is held back until it is contradicted or a person releases it."
            ),
        ),
        dg.AssetCheckSpec(
            ACCOUNTS_STAY_CONNECTED,
            asset=asset,
            description=f"No {label} account waits for its talent to reconnect it, or to consent again within 14 days.",
        ),
    ]


_SPECS = [
    dg.AssetCheckSpec(
        NO_TRUSTED_ORIGINS,
        asset=CANDIDATES,
        description="Pictures come from the platforms' own hosts alone; trusted origins are for sandbox and tests.",
    ),
    *(spec for platform in active_platforms() for spec in _platform_specs(platform)),
    dg.AssetCheckSpec(
        COLUMNS_MATCH_HISTORY,
        asset=RESOLVED,
        description="Every talent's columns show what the history says, and every picture shown is one that we own.",
    ),
]


@dg.multi_asset_check(name="standing_checks", specs=_SPECS, can_subset=True)
def standing_checks(
    context: dg.AssetCheckExecutionContext, database: DatabaseResource
) -> Iterator[dg.AssetCheckResult]:
    """Judge everything that was selected."""
    for key in context.selected_asset_check_keys:
        finding = _FINDERS[key.name](database.engine, database.settings, key.asset_key)
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=finding.passed,
            severity=_severity(finding),
            description=finding.message,
            metadata=dict(finding.numbers),
        )


def evaluate_after_batch(database: DatabaseResource) -> Iterator[dg.AssetCheckEvaluation]:
    """Judge what a batch may have changed, for a run that was not asked for checks."""
    for spec in (spec for spec in _SPECS if spec.name != NO_TRUSTED_ORIGINS):
        finding = _FINDERS[spec.name](database.engine, database.settings, spec.asset_key)
        yield dg.AssetCheckEvaluation(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=finding.passed,
            severity=_severity(finding),
            description=finding.message,
            metadata={name: dg.MetadataValue.float(float(value)) for name, value in finding.numbers.items()},
        )


def _severity(finding: "Finding") -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if finding.is_error else dg.AssetCheckSeverity.WARN


def _platform_of(asset: dg.AssetKey) -> Platform:
    return next(platform for platform in active_platforms() if platform_asset(platform.name) == asset.path[-1])


def _facts(engine: "sa.Engine", asset: dg.AssetKey) -> "PlatformFacts":
    from talent_image_pipeline.database import fact_queries, transactions
    from talent_image_pipeline.sync.reporting.check_rules import CHECKED_PERIOD

    platform = _platform_of(asset).name
    return transactions.read(engine, fact_queries.platform_facts, platform=platform, since=utc_now() - CHECKED_PERIOD)


def _find_answering(engine: "sa.Engine", _settings: "Settings", asset: dg.AssetKey) -> "Finding":
    from talent_image_pipeline.sync.reporting.check_rules import judge_answering

    return judge_answering(_facts(engine, asset))


def _find_error_budget(engine: "sa.Engine", _settings: "Settings", asset: dg.AssetKey) -> "Finding":
    from talent_image_pipeline.sync.reporting.check_rules import judge_error_budget

    return judge_error_budget(_facts(engine, asset))


def _find_held(engine: "sa.Engine", _settings: "Settings", asset: dg.AssetKey) -> "Finding":
    from talent_image_pipeline.sync.reporting.check_rules import judge_held

    return judge_held(_facts(engine, asset), platform=_platform_of(asset).name)


def _find_connections(engine: "sa.Engine", _settings: "Settings", asset: dg.AssetKey) -> "Finding":
    from talent_image_pipeline.database import transactions
    from talent_image_pipeline.sync.reporting.check_rules import judge_connections
    from talent_image_pipeline.sync.reporting.reconnects import accounts_waiting_for_their_talent

    platform = _platform_of(asset)
    waiting = transactions.read(engine, accounts_waiting_for_their_talent, platform=platform, now=utc_now())
    return judge_connections(waiting)


def _find_trusted_origins(_engine: "sa.Engine", settings: "Settings", _asset: dg.AssetKey) -> "Finding":
    from talent_image_pipeline.sync.reporting.check_rules import judge_trusted_origins

    return judge_trusted_origins(sorted(settings.trusted_origins))


def _find_columns(engine: "sa.Engine", settings: "Settings", _asset: dg.AssetKey) -> "Finding":
    from talent_image_pipeline.database import fact_queries, transactions
    from talent_image_pipeline.sync.batch import publishing_rules
    from talent_image_pipeline.sync.reporting.check_rules import judge_columns

    picture_url = publishing_rules(settings).around_hash
    otherwise = transactions.read(engine, fact_queries.talents_out_of_sync, picture_url=picture_url)
    return judge_columns(otherwise, talents=transactions.read(engine, fact_queries.count_synced_talents))


_FINDERS: dict[str, Callable[["sa.Engine", "Settings", dg.AssetKey], "Finding"]] = {
    IS_ANSWERING: _find_answering,
    ERROR_BUDGET: _find_error_budget,
    NOTHING_HELD_BACK: _find_held,
    ACCOUNTS_STAY_CONNECTED: _find_connections,
    NO_TRUSTED_ORIGINS: _find_trusted_origins,
    COLUMNS_MATCH_HISTORY: _find_columns,
}
