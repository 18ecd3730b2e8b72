"""What a report says about health: which checks pass, and what the data team is told.

What belongs here: pure judgements of reports, with the thresholds and their reasons.
What does not: Dagster's check results (``assets/checks.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.reporting.reports import AccountFailure, PlatformReport, WaitingAccount

#: More failed reads than this on a platform that answers others are our problem, not a passing one.
ERROR_BUDGET = 0.05


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One judgement.

    Attributes:
        passed: Whether all is well.
        message: What was found, and what to do.
        is_error: Whether a failed check is an error rather than a warning.
        numbers: Figures behind it.
    """

    passed: bool
    message: str
    is_error: bool = False
    numbers: dict[str, float] = field(default_factory=dict)


def judge_answering(report: PlatformReport) -> Finding:
    """Whether the platform answers: a platform that is down or limits us is a warning, never an error."""
    unavailable = report.outcomes[Outcome.UNAVAILABLE]
    limited = report.outcomes[Outcome.RATE_LIMITED]
    numbers: dict[str, float] = {"reads": report.reads, "unavailable": unavailable, "rate_limited": limited}
    if not unavailable and not limited and not report.not_reached:
        return Finding(passed=True, message=f"All {report.reads} reads were answered.", numbers=numbers)
    parts = []
    if unavailable:
        parts.append(f"{unavailable} of {report.reads} reads were not answered; they are repeated after a backoff")
    if limited:
        parts.append(f"{limited} of {report.reads} reads wait until a limit ends")
    if report.not_reached:
        parts.append(f"{report.not_reached} accounts were not reached before the deadline; they stay due")
    message = "; ".join(parts) + f". Every picture stays.{_examples(report.failures, _UNANSWERED)}"
    return Finding(passed=False, message=message, numbers=numbers)


def judge_error_budget(report: PlatformReport) -> Finding:
    """Whether reads fail for reasons of our own: a wrong key, a bug, or too many failures on a platform that is up."""
    unavailable = report.outcomes[Outcome.UNAVAILABLE]
    misconfigured = report.outcomes[Outcome.MISCONFIGURED]
    failed = unavailable + misconfigured
    share = failed / report.reads if report.reads else 0.0
    numbers = {
        "failed_share": round(share, 4),
        "budget": ERROR_BUDGET,
        "internal_errors": float(report.internal_errors),
    }
    if report.internal_errors:
        message = f"{report.internal_errors} reads ended in an error of this pipeline: see the run's log."
        return Finding(passed=False, is_error=True, message=message, numbers=numbers)
    if misconfigured:
        message = f"{misconfigured} reads were refused because of our settings.{_examples(report.failures, _OURS)}"
        return Finding(passed=False, is_error=True, message=message, numbers=numbers)
    if _is_up(report) and share > ERROR_BUDGET:
        examples = _examples(report.failures, _UNANSWERED)
        message = f"{failed} of {report.reads} reads failed while others were answered.{examples}"
        return Finding(passed=False, is_error=True, message=message, numbers=numbers)
    return Finding(passed=True, message="Within the error budget.", numbers=numbers)


def _is_up(report: PlatformReport) -> bool:
    """Whether the platform answered others to the end; a dead token needs no answer, and an outage may begin later."""
    return not report.ended_unanswered and any(report.outcomes[outcome] for outcome in _ANSWERS)


def judge_connections(waiting: Sequence[WaitingAccount]) -> Finding:
    """Whether every account of the platform can be read without its talent doing something."""
    numbers: dict[str, float] = {"waiting_accounts": len(waiting)}
    if not waiting:
        return Finding(passed=True, message="No account waits for its talent.", numbers=numbers)
    listed = "; ".join(f"{account.handle} of {account.talent_id}: {account.what_to_do}" for account in waiting[:5])
    more = f"; and {len(waiting) - 5} more" if len(waiting) > 5 else ""
    message = f"{len(waiting)} accounts wait for their talents. {listed}{more}"
    return Finding(passed=False, message=message, numbers=numbers)


def judge_trusted_origins(origins: Sequence[str]) -> Finding:
    """Whether pictures come from the platforms alone."""
    if not origins:
        return Finding(passed=True, message="Pictures come from the platforms' own hosts alone.")
    listed = ", ".join(sorted(origins))
    message = f"TALENT_IMAGE_TRUSTED_ORIGINS is set ({listed}): right for the sandbox and tests, never in production."
    return Finding(passed=False, message=message)


def judge_columns(talents_out_of_sync: Sequence[str], *, talents: int) -> Finding:
    """Whether the app's columns show what the history says."""
    if not talents_out_of_sync:
        return Finding(passed=True, message=f"The columns of all {talents} talents show what the history says.")
    listed = ", ".join(talents_out_of_sync[:10])
    message = (
        f"{len(talents_out_of_sync)} talents show something other than their history says, or a picture that we do "
        f"not own: "
        f"{listed}. Somebody else writes to the columns; refresh these talents."
    )
    return Finding(passed=False, is_error=True, message=message, numbers={"talents": len(talents_out_of_sync)})


_ANSWERS = (
    Outcome.PICTURE,
    Outcome.UNCHANGED,
    Outcome.NO_PICTURE,
    Outcome.UNCONFIRMED,
    Outcome.GONE,
    Outcome.HIDDEN,
    Outcome.REFUSED,
)
_UNANSWERED = {Outcome.UNAVAILABLE, Outcome.RATE_LIMITED}
_OURS = {Outcome.MISCONFIGURED}


def _examples(failures: Sequence[AccountFailure], outcomes: set[Outcome]) -> str:
    message = list(dict.fromkeys(failure.message for failure in failures if failure.outcome in outcomes))
    return f" {' | '.join(message[:3])}" if message else ""
