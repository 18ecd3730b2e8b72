"""Where the bars of a chart stand, as plain numbers that a template draws as SVG.

What belongs here: geometry, as pure functions of the figures.
What does not: colors and text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from talent_image_pipeline.database.statistics_queries import PlatformDay

#: The drawing is stretched to its column; these are the units of its coordinates.
CHART_WIDTH = 300.0
CHART_HEIGHT = 60.0
_GAP_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class DayBar:
    """One day: its figures, and the bar of its calls with the part of the failures at its foot."""

    day: date
    figures: PlatformDay | None
    x: float
    width: float
    height: float
    failed_height: float

    @property
    def y(self) -> float:
        """Where the bar begins, counted from the top."""
        return CHART_HEIGHT - self.height

    @property
    def failed_y(self) -> float:
        """Where the failures begin, counted from the top."""
        return CHART_HEIGHT - self.failed_height


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of a whole, and how long its bar is, from 0 to 100."""

    name: str
    count: int
    percent: float


def day_bars(figures: Sequence[PlatformDay], *, last: date, days: int) -> list[DayBar]:
    """Return a bar for each of the last days, the oldest first; a day without figures has an empty one.

    Failures are of reads and the bar is of calls, so a part never reaches above its bar.
    """
    by_day = {figure.day: figure for figure in figures}
    most = max((figure.calls for figure in figures), default=0)
    step = CHART_WIDTH / days
    return [
        _bar(by_day.get(day), day=day, x=position * step, width=step * (1 - _GAP_SHARE), most=most)
        for position, day in enumerate(last - timedelta(days=before) for before in range(days - 1, -1, -1))
    ]


def shares(counts: Mapping[str, int], *, whole: int) -> list[Share]:
    """Return each count with its share of the whole, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Share(name=name, count=count, percent=100 * count / whole if whole else 0.0) for name, count in ordered]


def _bar(figures: PlatformDay | None, *, day: date, x: float, width: float, most: int) -> DayBar:
    calls = figures.calls if figures is not None else 0
    failures = min(figures.failures, calls) if figures is not None else 0
    scale = CHART_HEIGHT / most if most else 0.0
    return DayBar(day=day, figures=figures, x=x, width=width, height=calls * scale, failed_height=failures * scale)
