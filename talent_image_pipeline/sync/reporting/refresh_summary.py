"""What a run about a few talents came to, in a word and a sentence: for the person who waits for it.

What belongs here: the words for a refresh.
What does not: figures of batches (``reports.py``) and health (``check_rules.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from talent_image_pipeline.sync.reporting.reports import PlatformReport, ResolutionReport


class RefreshOutcome(StrEnum):
    """What became of the picture that a refresh was about."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    MANUAL = "manual"


@dataclass(frozen=True, kw_only=True)
class RefreshSummary:
    """How a refresh ended.

    Attributes:
        outcome: ``kept`` when a network could not be read, so that nobody knows whether there is a new picture.
        message: A sentence for the person who asked.
    """

    outcome: RefreshOutcome
    message: str

    @property
    def changed(self) -> bool:
        """Whether the talent shows something else now."""
        return self.outcome is RefreshOutcome.CHANGED


def summarize_refresh(
    platforms: Sequence[PlatformReport], resolution: ResolutionReport, *, labels: Mapping[str, str]
) -> RefreshSummary:
    """Say what a run about one talent came to.

    Args:
        platforms: What reading each platform came to.
        resolution: What was decided.
        labels: The platforms' names as people write them; a source that is none of them stays as it is.
    """
    if resolution.changes:
        _, source, why = resolution.changes[0]
        shown = "the initials" if source == "initials" else f"a new picture from {labels.get(source, source)}"
        return RefreshSummary(outcome=RefreshOutcome.CHANGED, message=f"Shows {shown}: {why}.")
    if resolution.manual:
        message = "The picture was set by hand and stays."
        return RefreshSummary(outcome=RefreshOutcome.MANUAL, message=message)
    failures = [
        f"{labels.get(report.platform, report.platform)}: {failure.message}"
        for report in platforms
        for failure in report.failures
    ]
    if failures:
        message = f"The picture stays as it is. {' | '.join(dict.fromkeys(failures))}"
        return RefreshSummary(outcome=RefreshOutcome.KEPT, message=message)
    sources = ", ".join(labels.get(source, source) for source in sorted(resolution.sources)) or "nothing"
    message = f"Nothing changed: shows {sources}."
    return RefreshSummary(outcome=RefreshOutcome.UNCHANGED, message=message)
