"""What the routes for pictures look up of a talent: the name and what is shown, remembered for when nobody answers.

What belongs here: one query by id, and the answers of before while the database does not answer.
What does not: what is drawn or served.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass

import anyio.to_thread
import sqlalchemy as sa

from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.tables import talent

_MOST_REMEMBERED = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ShownTalent:
    """What a talent shows; ``name`` is the one that the app displays."""

    name: str
    image_url: str | None


class TalentLookup:
    """Looks talents up, and knows the last answer for each of the latest while the database does not answer."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = read_only(engine)
        self._known: OrderedDict[str, ShownTalent] = OrderedDict()

    async def find(self, talent_id: str) -> ShownTalent | None:
        """Return a talent, or none for an id that nobody has.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: when the database does not answer and never did for this talent.
        """
        try:
            found = await anyio.to_thread.run_sync(self._query, talent_id)
        except sa.exc.SQLAlchemyError as error:
            _log.error("[TALENT_IMAGE] the database does not answer: %s", type(error).__name__)
            if talent_id in self._known:
                return self._known[talent_id]
            raise
        self._remember(talent_id, found)
        return found

    def _query(self, talent_id: str) -> ShownTalent | None:
        # PostgreSQL has no text with a zero character, and refuses to compare with one.
        if "\0" in talent_id:
            return None
        query = sa.select(talent.c.displayName, talent.c.name, talent.c.profileImageUrl).where(talent.c.id == talent_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return ShownTalent(name=(row.displayName or "").strip() or row.name, image_url=row.profileImageUrl)

    def _remember(self, talent_id: str, found: ShownTalent | None) -> None:
        self._known.pop(talent_id, None)
        if found is not None:
            self._known[talent_id] = found
        if len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
