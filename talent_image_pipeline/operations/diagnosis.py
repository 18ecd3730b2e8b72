"""What the doctor found: one part, how it is, and a sentence about it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a part is, from best to worst."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One part, how it is, and in words what was found and what to do."""

    name: str
    state: State
    message: str


def ok(name: str, message: str) -> Diagnosis:
    """Say that a part is as it should be."""
    return Diagnosis(name=name, state=State.OK, message=message)


def warning(name: str, message: str) -> Diagnosis:
    """Say that a part works and that somebody should look at it."""
    return Diagnosis(name=name, state=State.WARNING, message=message)


def missing(name: str, message: str) -> Diagnosis:
    """Say that a part has not been set up."""
    return Diagnosis(name=name, state=State.MISSING, message=message)


def broken(name: str, message: str) -> Diagnosis:
    """Say that a part does not work."""
    return Diagnosis(name=name, state=State.BROKEN, message=message)
