"""The geometry of the statistics page's drawings."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.database.statistics_queries import PlatformDay
from talent_image_pipeline.service.pages.charts import CHART_HEIGHT, CHART_WIDTH, day_bars, shares

_LAST = date(2026, 3, 1)


@st.composite
def _days(draw: st.DrawFn) -> list[PlatformDay]:
    ages = draw(st.sets(st.integers(min_value=0, max_value=40)))
    numbers = st.integers(min_value=0, max_value=10**7)
    return [
        PlatformDay(
            platform="instagram",
            day=_LAST - timedelta(days=age),
            calls=draw(numbers),
            reads=draw(numbers),
            failures=draw(numbers),
            downloads=draw(numbers),
        )
        for age in ages
    ]


@given(_days())
def test_every_day_has_a_bar_inside_the_drawing_with_its_failures_inside_the_bar(days: list[PlatformDay]) -> None:
    bars = day_bars(days, last=_LAST, days=30)

    assert [bar.day for bar in bars] == [_LAST - timedelta(days=age) for age in range(29, -1, -1)]
    for bar in bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= CHART_WIDTH
        assert 0 <= bar.failed_height <= bar.height <= CHART_HEIGHT * 1.000001
        assert (bar.figures is None) == (bar.day not in {day.day for day in days})


@given(st.dictionaries(st.text(min_size=1), st.integers(min_value=0, max_value=10**6), max_size=6))
def test_shares_add_up_to_the_whole_the_largest_first(counts: dict[str, int]) -> None:
    found = shares(counts, whole=sum(counts.values()))

    assert sum(share.count for share in found) == sum(counts.values())
    assert [share.count for share in found] == sorted(counts.values(), reverse=True)
    assert all(0 <= share.percent <= 100 for share in found)
