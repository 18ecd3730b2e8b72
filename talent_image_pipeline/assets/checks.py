"""What is checked with every materialization: the findings of ``sync/check_rules.py`` as Dagster asset checks.

What belongs here: names, descriptions and severities of checks.
What does not: when a check passes (``sync/check_rules.py``).

The assets yield their own check results: a check with a step of its own would cost every run, a refresh of one talent
too, another step each. No check blocks: pictures are kept whatever a platform does, so what was read is resolved.
See https://docs.dagster.io/guides/test/asset-checks.
"""

import dagster as dg

from talent_image_pipeline.sync.reporting.check_rules import Finding

IS_ANSWERING = "is_answering"
ERROR_BUDGET = "error_budget"
NOTHING_HELD_BACK = "nothing_held_back"
ACCOUNTS_STAY_CONNECTED = "accounts_stay_connected"
NO_TRUSTED_ORIGINS = "no_trusted_origins"
COLUMNS_MATCH_HISTORY = "columns_match_history"


def platform_check_specs(*, asset: str, label: str) -> list[dg.AssetCheckSpec]:
    """Return the checks of a platform's asset."""
    return [
        dg.AssetCheckSpec(
            IS_ANSWERING,
            asset=asset,
            description=f"{label} answers. A warning where it is down or limits us: pictures stay, reads are repeated.",
        ),
        dg.AssetCheckSpec(
            ERROR_BUDGET,
            asset=asset,
            description=(
                f"Reads of {label} do not fail for reasons of our own. An error with a wrong key, a bug, or more than "
                "5 % failed reads while others are answered, or of refused pictures: of all accounts, over 24 hours."
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
            description=f"No {label} account waits for its talent to reconnect it, or to consent anew within 14 days.",
        ),
    ]


def candidate_check_specs() -> list[dg.AssetCheckSpec]:
    """Return the checks of ``candidate_talents``."""
    return [
        dg.AssetCheckSpec(
            NO_TRUSTED_ORIGINS,
            asset="candidate_talents",
            description="Pictures come from the platforms' own hosts alone; trusted origins are for sandbox and tests.",
        )
    ]


def resolution_check_specs() -> list[dg.AssetCheckSpec]:
    """Return the checks of ``resolved_profile_images``."""
    return [
        dg.AssetCheckSpec(
            COLUMNS_MATCH_HISTORY,
            asset="resolved_profile_images",
            description="The app's columns show what the history says, and every picture shown is one that we own.",
        )
    ]


def check_result(name: str, finding: Finding) -> dg.AssetCheckResult:
    """Return a finding as a check result."""
    return dg.AssetCheckResult(
        check_name=name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if finding.is_error else dg.AssetCheckSeverity.WARN,
        description=finding.message,
        metadata=dict(finding.numbers),
    )
