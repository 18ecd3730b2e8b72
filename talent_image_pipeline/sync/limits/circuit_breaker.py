"""When a platform is down, stop asking it: one circuit breaker per platform and run.

What belongs here: when the circuit opens and closes.
What does not: single retries (``retries.py``) and limits that the platform announces (``quota_gate.py``).

There is no half-open state: a run is short, the next one starts closed and is the probe.
"""

from dataclasses import dataclass

# More than a handful of accounts may fail for reasons of their own; eight in a row without one answer between them
# is the platform.
FAILURES_TO_OPEN = 8


@dataclass(kw_only=True)
class CircuitBreaker:
    """Counts failed calls in a row and says when to stop calling.

    Calls that were in flight when the circuit opened still count: an answer among them closes it.

    Attributes:
        failures_to_open: How many calls in a row must fail.
        failures: How many have failed in a row so far.
    """

    failures_to_open: int = FAILURES_TO_OPEN
    failures: int = 0

    @property
    def is_open(self) -> bool:
        """Whether further calls are to be left out."""
        return self.failures >= self.failures_to_open

    def record(self, *, answered: bool) -> None:
        """Count one call that was made. A read that ended without a call is not recorded.

        Args:
            answered: Whether anything came that shows that the platform is up, be it a refusal or a limit.
        """
        self.failures = 0 if answered else self.failures + 1
