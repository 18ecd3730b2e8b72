"""From what a person typed to one talent: an id, or a name that only one talent has.

What belongs here: the look-up, and the sentence when it finds nobody or too many.
What does not: who is due.
"""

import sqlalchemy as sa

from talent_image_pipeline.database import history_queries, transactions
from talent_image_pipeline.sync.planning.candidates import UnknownTalentError, require_talent


def find_talent(engine: sa.Engine, wanted: str) -> str:
    """Return the id of the talent that a person means by an id or a name.

    An id costs one look into an index; only what is no id is compared with all names.

    Raises:
        UnknownTalentError: naming the nearest ids or names, or all talents of that name.
    """
    typed = wanted.strip()
    if not typed:
        raise UnknownTalentError("No talent was named. Type a talent's id, or the name of one.")
    if transactions.read(engine, history_queries.load_talents, [typed]):
        return typed
    names = transactions.read(engine, history_queries.all_talent_names)
    same = sorted(talent_id for talent_id, name in names.items() if name.strip().casefold() == typed.casefold())
    if len(same) > 1:
        raise UnknownTalentError(f"{len(same)} talents are named {typed!r}: {', '.join(same[:5])}. Give the id.")
    if not same:
        require_talent(engine, typed)
        return typed
    return same[0]
