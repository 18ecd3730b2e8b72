"""Reports as Dagster metadata: a sentence first, then this run's figures under ``run/``, then what is listed.

What belongs here: the names under which the Dagster UI shows and plots figures. They stay what they are: a plot over
time is lost with its name. A figure of zero is left out.
What does not: counting (``sync/``), judging (``checks.py``) and the shape of tables (``tables.py``).

See https://docs.dagster.io/guides/build/assets/metadata-and-tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from talent_image_pipeline.assets.tables import Link, table
from talent_image_pipeline.sync.reporting.refresh_summary import RefreshSummary
from talent_image_pipeline.sync.reporting.reports import MAX_LISTED, PlatformReport, ResolutionReport, WaitingAccount


@dataclass(frozen=True, kw_only=True)
class TalentPages:
    """Where a talent's page is, and what each talent is called."""

    public_url: str
    names: Mapping[str, str]

    def link(self, talent_id: str) -> Link:
        """Return the talent's name, leading to its page."""
        return Link(text=self.names.get(talent_id) or talent_id, url=f"{self.public_url}/talents/{quote(talent_id)}")


def platform_metadata(
    report: PlatformReport, waiting: Sequence[WaitingAccount], *, pages: TalentPages
) -> dict[str, Any]:
    """Return what a platform's asset says of a materialization."""
    figures: dict[str, float] = {
        "accounts": report.accounts,
        "reads": report.reads,
        "not_due_yet": report.not_owed,
        "read_by_another_run": report.claimed_by_other_run,
        "left_for_later": report.not_reached,
        "changed_meanwhile": report.superseded,
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
        "internal_errors": report.internal_errors,
        **{f"outcome/{outcome}": reads for outcome, reads in sorted(report.outcomes.items())},
        "seconds": round(report.seconds, 3),
        **{f"seconds_in/{stage}": round(value, 3) for stage, value in sorted(report.seconds_by_stage.items())},
    }
    metadata: dict[str, Any] = {"summary": platform_summary(report)}
    if report.failures:
        rows = [(pages.link(one.talent_id), one.handle, str(one.outcome), one.message) for one in report.failures]
        metadata["failures"] = table(("talent", "handle", "outcome", "what to do"), rows, total=len(rows))
    if waiting:
        listed = [(pages.link(one.talent_id), one.handle, one.what_to_do) for one in waiting[:MAX_LISTED]]
        metadata["accounts_waiting"] = table(("talent", "handle", "what to do"), listed, total=len(waiting))
    return metadata | {"waiting_for_their_talent": len(waiting)} | of_run(figures)


def resolution_metadata(report: ResolutionReport, *, pages: TalentPages) -> dict[str, Any]:
    """Return what ``resolved_profile_images`` says of a batch."""
    metadata: dict[str, Any] = {"summary": resolution_summary(report)}
    if report.changes:
        rows = [(pages.link(talent_id), source, why) for talent_id, source, why in report.changes]
        metadata["changes"] = table(("talent", "shows now", "why"), rows, total=report.changed)
    return metadata | of_run(resolution_figures(report))


def few_talents_metadata(
    platforms: Sequence[PlatformReport], resolution: ResolutionReport, summary: RefreshSummary
) -> dict[str, Any]:
    """Return what a run about a few talents says of itself on ``resolved_profile_images``."""
    is_single = resolution.talents <= 1
    reads = {
        f"outcome/{report.platform}/{outcome}": reads
        for report in platforms
        for outcome, reads in sorted(report.outcomes.items())
    }
    figures: dict[str, float] = {
        **resolution_figures(resolution),
        **reads,
        "api_calls": sum(report.api_calls for report in platforms),
        "downloads": sum(report.downloads for report in platforms),
        "failed": sum(len(report.failures) for report in platforms),
    }
    metadata: dict[str, Any] = {"summary": summary.message if is_single else resolution_summary(resolution)}
    if is_single:
        metadata["outcome"] = str(summary.outcome)
    return metadata | of_run(figures)


def resolution_figures(report: ResolutionReport) -> dict[str, float]:
    """Return what resolving came to, in numbers."""
    return {
        "talents": report.talents,
        "changed": report.changed,
        "synced": report.stamped,
        "manual": report.manual,
        "pinned": report.pinned,
        "deleted": report.deleted,
        **{f"source/{source}": talents for source, talents in sorted(report.sources.items())},
        "seconds": round(report.seconds, 3),
    }


def of_run(figures: Mapping[str, float]) -> dict[str, float]:
    """Name figures as those of the run itself, without those that are zero."""
    return {f"run/{name}": value for name, value in figures.items() if value}


def platform_summary(report: PlatformReport) -> str:
    """Say in one line what reading a platform came to."""
    if not report.accounts:
        return "Nothing to read: nobody in this run has an account here."
    outcomes = ", ".join(f"{reads} {outcome}" for outcome, reads in sorted(report.outcomes.items()))
    parts = [outcomes or "Nothing to read"]
    for count, words in (
        (report.not_owed, "not due yet"),
        (report.claimed_by_other_run, "read by another run"),
        (report.not_reached, "left for later"),
    ):
        if count:
            parts.append(f"{count} {words}")
    if report.api_calls or report.downloads:
        parts.append(f"{report.api_calls} calls, {report.downloads} downloads in {report.seconds:.1f} s")
    return "; ".join(parts)


def resolution_summary(report: ResolutionReport) -> str:
    """Say in one line what resolving a batch came to."""
    sources = ", ".join(f"{count} {source}" for source, count in sorted(report.sources.items())) or "none"
    return f"{report.talents} talents, {report.stamped} synced, {report.changed} changed ({sources})"
