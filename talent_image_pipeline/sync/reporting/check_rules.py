"""What a report says about health: which checks pass, and what the data team is told.

What belongs here: pure judgements of what the ledger says of all accounts, with the thresholds and their reasons.
What does not: Dagster's check results (``assets/checks.py``).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from talent_image_pipeline.database.fact_queries import PlatformFacts
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.reporting.reports import WaitingAccount

#: The checks speak of reads that ended within this time, whichever run they belonged to.
CHECKED_PERIOD = timedelta(hours=24)
#: More failed reads than this on a platform that answers others are our problem, not a passing one.
ERROR_BUDGET = 0.05
#: Fewer failures say nothing of the whole, however few accounts there are.
FEWEST_FAILURES = 5
#: A platform that answered nobody for so long before the newest failure is down.
_OUTAGE_BEGINS_AFTER = timedelta(minutes=15)


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


def judge_answering(facts: PlatformFacts) -> Finding:
    """Whether the platform answers: a platform that is down or limits us is a warning, never an error.

    Args:
        facts: How the last reads of all its accounts ended.
    """
    unavailable = facts.outcomes[Outcome.UNAVAILABLE]
    limited = facts.outcomes[Outcome.RATE_LIMITED]
    numbers: dict[str, float] = {"reads": facts.reads, "unavailable": unavailable, "rate_limited": limited}
    if not unavailable and not limited:
        return Finding(passed=True, message=_all_answered(facts), numbers=numbers)
    parts = []
    if unavailable:
        parts.append(f"{unavailable} of {facts.reads} accounts were not answered; they are read again after a backoff")
    if limited:
        parts.append(f"{limited} of {facts.reads} accounts wait until a limit ends")
    message = "; ".join(parts) + f". Every picture stays.{_examples(facts, _UNANSWERED)}"
    return Finding(passed=False, message=message, numbers=numbers)


def _all_answered(facts: PlatformFacts) -> str:
    if not facts.reads:
        return "No account was read within the last 24 hours."
    return f"All {facts.reads} accounts read within the last 24 hours were answered."


def judge_error_budget(facts: PlatformFacts) -> Finding:
    """Whether reads fail for reasons of our own: a wrong key, a bug, or too many failures on a platform that is up.

    Args:
        facts: How the last reads of all its accounts ended.
    """
    failed = facts.outcomes[Outcome.UNAVAILABLE] + facts.outcomes[Outcome.MISCONFIGURED]
    refused = facts.outcomes[Outcome.REFUSED]
    numbers = {
        "reads": float(facts.reads),
        "failed": float(failed),
        "refused": float(refused),
        "budget": ERROR_BUDGET,
        "own_errors": float(facts.own_errors),
    }
    message = _why_over_budget(facts)
    if message is not None:
        return Finding(passed=False, is_error=True, message=message, numbers=numbers)
    return Finding(passed=True, message=f"Within the error budget of {facts.reads} accounts.", numbers=numbers)


def _why_over_budget(facts: PlatformFacts) -> str | None:
    misconfigured, refused = facts.outcomes[Outcome.MISCONFIGURED], facts.outcomes[Outcome.REFUSED]
    failed = facts.outcomes[Outcome.UNAVAILABLE] + misconfigured
    if facts.own_errors:
        return f"{facts.own_errors} reads ended in an error of this pipeline; the log of the run that read them has it."
    if misconfigured:
        return f"{misconfigured} accounts were not read because of our settings.{_examples(facts, _OURS)}"
    if _is_over_budget(refused, facts):
        hosts = ", ".join(f"{host} ({count})" for host, count in facts.refused_hosts.most_common(5))
        return (
            f"The pictures of {refused} of {facts.reads} accounts were refused: {hosts}. Has the network moved its "
            f"pictures to another host?{_examples(facts, {Outcome.REFUSED})}"
        )
    if _is_over_budget(failed, facts) and _is_up(facts):
        return f"{failed} of {facts.reads} accounts failed while others were answered.{_examples(facts, _UNANSWERED)}"
    return None


def _is_over_budget(failures: int, facts: PlatformFacts) -> bool:
    return failures >= FEWEST_FAILURES and failures > facts.reads * ERROR_BUDGET


def _is_up(facts: PlatformFacts) -> bool:
    """Whether the platform answers others: one that was last answered long before the failures began is down."""
    answered = [time for outcome, time in facts.last_read_at.items() if outcome in _ANSWERS]
    unanswered = [time for outcome, time in facts.last_read_at.items() if outcome in _UNANSWERED]
    if not answered:
        return False
    return not unanswered or max(answered) > max(unanswered) - _OUTAGE_BEGINS_AFTER


def judge_held(facts: PlatformFacts, *, platform: str) -> Finding:
    """Whether every word of the platform is believed: too many losses within a day are held back, and are an error."""
    connections = facts.held[Outcome.NEEDS_RECONNECT]
    held_pictures = facts.held.total() - connections
    numbers: dict[str, float] = {"held_pictures": held_pictures, "held_connections": connections}
    if facts.held_since is None:
        return Finding(passed=True, message="No picture and no account is held back.", numbers=numbers)
    parts = []
    if held_pictures:
        parts.append(f"{held_pictures} pictures would be dropped and are kept")
    if connections:
        parts.append(f"{connections} accounts would have to be reconnected and are read again within the hour")
    said = " | ".join(facts.held_messages[:3])
    message = (
        f"{'; '.join(parts)}, since {facts.held_since:%Y-%m-%d %H:%M} UTC: that many within a day are not the talents' "
        f"doing. The platform said: {said} Look at the platform, our app and our key. What a later read contradicts is "
        f"released by itself; if the platform is right: talent-images release {platform}, or the job release_held_back"
    )
    return Finding(passed=False, is_error=True, message=message, numbers=numbers)


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


_ANSWERS = frozenset(
    {
        Outcome.PICTURE,
        Outcome.UNCHANGED,
        Outcome.NO_PICTURE,
        Outcome.UNCONFIRMED,
        Outcome.GONE,
        Outcome.HIDDEN,
        Outcome.REFUSED,
    }
)
_UNANSWERED = frozenset({Outcome.UNAVAILABLE, Outcome.RATE_LIMITED})
_OURS = frozenset({Outcome.MISCONFIGURED})


def _examples(facts: PlatformFacts, outcomes: Collection[Outcome]) -> str:
    said = dict.fromkeys(message for outcome in sorted(outcomes) for message in facts.messages.get(outcome, ()))
    return f" {' | '.join(list(said)[:3])}" if said else ""
