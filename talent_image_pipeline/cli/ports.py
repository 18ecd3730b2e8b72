"""Choosing ports before anything is started: the wanted one, or the next that is free."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from talent_image_pipeline.errors import UserError

_LOOPBACK = "127.0.0.1"
_HIGHEST_PORT = 65535
_TRIES = 100


class PortsTakenError(UserError):
    """A port that was asked for is taken; the message says which."""


@dataclass(frozen=True, kw_only=True)
class WantedPort:
    """A port that something will listen on.

    Attributes:
        purpose: What for, in words.
        port: The number.
        is_exact: Whether a person asked for this very port, so that another will not do.
        option: The option that chooses it.
    """

    purpose: str
    port: int
    is_exact: bool
    option: str


def choose_ports(wanted: Sequence[WantedPort]) -> list[int]:
    """Return a free port for each, none of them twice.

    Raises:
        PortsTakenError: when a port that a person asked for is taken, or no free one is near.
    """
    chosen: list[int] = []
    for one in wanted:
        chosen.append(_choose(one, besides=chosen))
    return chosen


def _choose(wanted: WantedPort, *, besides: Sequence[int]) -> int:
    last = wanted.port if wanted.is_exact else min(wanted.port + _TRIES, _HIGHEST_PORT)
    for port in range(wanted.port, last + 1):
        if port not in besides and _is_free(port):
            return port
    where = f"Port {wanted.port} is" if wanted.is_exact else f"The ports {wanted.port} to {last} are"
    raise PortsTakenError(
        f"{where} taken, and {wanted.purpose} needs one: "
        f"stop what listens there, or choose another with {wanted.option}."
    )


def _is_free(port: int) -> bool:
    try:
        socket.create_server((_LOOPBACK, port)).close()
    except OSError:
        return False
    return True
