"""Whose matter a refusal is: the account's that heard it, or everybody's.

What belongs here: what a run remembers of refusals that blame our own settings.
What does not: limits (``sync/limits/``) and how a refusal is recognized (``platforms/``).
"""

from collections import defaultdict
from dataclasses import dataclass, field

from talent_image_pipeline.platforms.contract import Outcome, Reading, Scope

#: What is wrong with token refreshes is kept beside the quotas' names; reads with living tokens go on.
RENEWALS = "token refreshes"

#: Outcomes that show that the platform takes our requests.
ACCEPTED_OUTCOMES = frozenset(
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


@dataclass(kw_only=True)
class Refusals:
    """What a run was refused, by quota (or :data:`RENEWALS`).

    What one account hears is about that account. Once a second one hears it, and nobody was answered, it is about
    everybody, and nobody else is asked. What the platform says of all accounts is so at once.
    """

    _of_accounts: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    _of_everybody: dict[str, str] = field(default_factory=dict)
    _accepted: set[str] = field(default_factory=set)

    def record(self, kind: str, account_id: str, reading: Reading) -> None:
        """Take in what one account heard."""
        if reading.outcome in ACCEPTED_OUTCOMES:
            self.record_accepted(kind)
        elif reading.outcome is Outcome.MISCONFIGURED and reading.scope is Scope.PLATFORM:
            self._of_everybody[kind] = reading.message
        elif reading.outcome is Outcome.MISCONFIGURED:
            self._of_accounts[kind][account_id] = reading.message

    def record_accepted(self, kind: str) -> None:
        """Take in that a request of this kind was answered well: whatever was refused was about single accounts."""
        self._accepted.add(kind)

    def message(self, kind: str) -> str | None:
        """Return why no more requests of this kind are to be made; none where they are welcome."""
        if kind in self._of_everybody:
            return self._of_everybody[kind]
        heard = self._of_accounts[kind]
        return next(iter(heard.values())) if len(heard) > 1 and kind not in self._accepted else None

    def is_about_account_alone(self, account_id: str, reading: Reading) -> bool:
        """Whether a refusal turned out to be one account's own matter; known at the end of the run."""
        if reading.outcome is not Outcome.MISCONFIGURED or reading.scope is Scope.PLATFORM:
            return False
        return not any(account_id in heard and self.message(kind) for kind, heard in self._of_accounts.items())
