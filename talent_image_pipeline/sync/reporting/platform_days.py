"""What went on with each platform on each day: calls, reads and failures, added up over all runs.

What belongs here: adding one run's report to its day.
What does not: showing it (``operations/statistics.py``).
"""

import logging
from datetime import datetime

import sqlalchemy as sa

from talent_image_pipeline.database.statistics_queries import PlatformDay, add_to_day
from talent_image_pipeline.database.transactions import write
from talent_image_pipeline.sync.reporting.reports import PlatformReport

_log = logging.getLogger(__name__)


def record_day(engine: sa.Engine, report: PlatformReport, *, failures: int, now: datetime) -> None:
    """Add what reading a platform came to to the figures of the day.

    Figures are worth less than the read that they are about: when the database does not take them, that is logged and
    the run goes on.

    Args:
        engine: The app's database.
        report: What the run came to.
        failures: How many of its reads count as failed.
        now: When it ended.
    """
    if not report.api_calls and not report.reads:
        return
    figures = PlatformDay(
        platform=report.platform,
        day=now.date(),
        calls=report.api_calls,
        reads=report.reads,
        failures=failures,
        downloads=report.downloads,
    )
    try:
        write(engine, add_to_day, figures)
    except sa.exc.SQLAlchemyError as error:
        _log.warning("[TALENT_IMAGE] the day's figures were not kept: %s", type(error).__name__)
