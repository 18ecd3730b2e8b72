"""Which talents there are, and which of them need a person.

What belongs here: the rule for needing attention, and gathering the list. What does not: laying it out.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from talent_image_pipeline.database import listing_queries, transactions
from talent_image_pipeline.database.listing_queries import ListedAccount, ListedTalent
from talent_image_pipeline.platforms.contract import Outcome

#: These last until a person does something: the talent, or whoever runs this.
_OUTCOMES_FOR_A_PERSON = frozenset({Outcome.NEEDS_RECONNECT, Outcome.HIDDEN, Outcome.REFUSED, Outcome.MISCONFIGURED})
#: Passing failures end by themselves; after so many in a row somebody should look.
FAILURES_BEFORE_ATTENTION = 3


@dataclass(frozen=True, kw_only=True)
class TalentListing:
    """Talents, and of each why it needs attention.

    Attributes:
        talents: As many as were asked for.
        attention: Sentences, by talent id; without an entry for talents that need none.
        total: How many talents there are in all that the filters let through.
    """

    talents: tuple[ListedTalent, ...]
    attention: dict[str, tuple[str, ...]]
    total: int


def list_talents(
    engine: sa.Engine, *, source: str | None = None, only_needing_attention: bool = False, limit: int | None = None
) -> TalentListing:
    """List talents by id.

    Args:
        engine: The app's database.
        source: Only talents whose picture comes from there: a platform, ``manual`` or ``initials``.
        only_needing_attention: Only talents of whom an account waits for a person, or keeps failing.
        limit: How many at most; None for all.
    """
    found = transactions.read(engine, listing_queries.load_listing, source=source)
    attention = {listed.talent_id: reasons for listed in found if (reasons := attention_reasons(listed.accounts))}
    chosen = [listed for listed in found if not only_needing_attention or listed.talent_id in attention]
    shown = tuple(chosen[:limit])
    return TalentListing(
        talents=shown,
        attention={listed.talent_id: attention[listed.talent_id] for listed in shown if listed.talent_id in attention},
        total=len(chosen),
    )


def attention_reasons(accounts: tuple[ListedAccount, ...]) -> tuple[str, ...]:
    """Return why a talent needs attention, one sentence for each account that does."""
    return tuple(
        f"{account.platform}: {account.message or account.outcome or 'failed'}"
        for account in accounts
        if account.outcome in _OUTCOMES_FOR_A_PERSON or account.consecutive_failures >= FAILURES_BEFORE_ATTENTION
    )
