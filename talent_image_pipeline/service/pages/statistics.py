"""``/stats``: how many talents have a picture, how fresh, what was asked of each network, and what is left.

What belongs here: what the template needs, drawn and as tables.
What does not: gathering the figures (``operations/statistics.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from talent_image_pipeline.database.statistics_queries import PlatformDay
from talent_image_pipeline.operations.statistics import DAYS_SHOWN, Statistics, gather_statistics
from talent_image_pipeline.service.dependencies import dependencies_of
from talent_image_pipeline.service.pages.charts import CHART_HEIGHT, CHART_WIDTH, DayBar, day_bars, shares
from talent_image_pipeline.service.pages.rendering import for_people, page, percent, source_label
from talent_image_pipeline.service.sessions import Session


@dataclass(frozen=True, kw_only=True)
class PlatformChart:
    """One network's last days: bars, and the sums that its caption says."""

    label: str
    bars: Sequence[DayBar]
    calls: int
    reads: int
    failures: int
    downloads: int

    @property
    def failed_share(self) -> str:
        """How many of the reads failed."""
        return percent(self.failures, self.reads)


@for_people
async def show_statistics(request: Request, session: Session) -> Response:
    """Show the figures of the last 30 days."""
    dependencies = dependencies_of(request)
    now = dependencies.clock()
    statistics = await anyio.to_thread.run_sync(lambda: gather_statistics(dependencies.engine, now=now))
    pictured = statistics.talents - statistics.by_source.get("initials", 0)
    context = {
        "title": "Statistics",
        "statistics": statistics,
        "coverage": percent(pictured, statistics.talents),
        "pictured": pictured,
        "sources": [(source_label(one.name), one) for one in shares(statistics.by_source, whole=statistics.talents)],
        "freshness": [(one, percent(one.talents, statistics.talents)) for one in statistics.freshness],
        "charts": platform_charts(statistics, last=now.date()),
        "days": DAYS_SHOWN,
        "width": CHART_WIDTH,
        "height": CHART_HEIGHT,
        "quotas": statistics.quotas,
        "stored": f"{statistics.stored_bytes / 1e6:,.1f} MB",
    }
    return page(request, "stats.html", context, session=session)


def platform_charts(statistics: Statistics, *, last: date) -> list[PlatformChart]:
    """Return a chart for each network that was asked anything, by name."""
    names = sorted({day.platform for day in statistics.days})
    return [_chart(name, [day for day in statistics.days if day.platform == name], last=last) for name in names]


def _chart(name: str, days: list[PlatformDay], *, last: date) -> PlatformChart:
    return PlatformChart(
        label=source_label(name),
        bars=day_bars(days, last=last, days=DAYS_SHOWN),
        calls=sum(day.calls for day in days),
        reads=sum(day.reads for day in days),
        failures=sum(day.failures for day in days),
        downloads=sum(day.downloads for day in days),
    )
