"""Tokens of the sandbox: opaque to a client, readable to the sandbox, valid across its restarts.

What belongs here: writing claims into a token and reading them back.
What does not: who may do what with a token (each network's own file).

A token carries its claims and a signature, so that a sandbox which was restarted still knows the tokens that it gave
out before. The key is no secret: nothing here guards anything real.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

_KEY = b"the sandbox guards nothing real"

INSTAGRAM_PREFIX = "IGAA"
TIKTOK_ACCESS_PREFIX = "act."
TIKTOK_REFRESH_PREFIX = "rft."


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a token says.

    Attributes:
        account: The network's own id of the account.
        issued_at: When it was handed out, in epoch seconds.
        expires_at: When it dies, in epoch seconds.
        generation: How many refreshes came before it.
        consent_ends_at: When the talent must consent anew, in epoch seconds; 0 where the network knows no such end.
    """

    account: str
    issued_at: int
    expires_at: int
    generation: int = 0
    consent_ends_at: int = 0


def epoch_seconds(moment: datetime) -> int:
    """Return whole epoch seconds."""
    return int(moment.timestamp())


def moment_of(seconds: float) -> datetime:
    """Return an aware UTC moment."""
    return datetime.fromtimestamp(seconds, tz=UTC)


def write_token(prefix: str, claims: Claims) -> str:
    """Return a token of that prefix."""
    payload = base64.urlsafe_b64encode(json.dumps(list(asdict(claims).values())).encode()).decode().rstrip("=")
    return f"{prefix}{payload}{_signature(prefix + payload)}"


def read_token(prefix: str, token: str) -> Claims | None:
    """Return what the token says, or none when the sandbox did not write it."""
    if not token.startswith(prefix) or len(token) <= len(prefix) + 32:
        return None
    payload, signature = token[len(prefix) : -32], token[-32:]
    if not hmac.compare_digest(_signature(prefix + payload).encode(), signature.encode()):
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return Claims(**dict(zip(Claims.__dataclass_fields__, values, strict=True)))
    except (ValueError, TypeError, binascii.Error):
        return None


def sign(text: str) -> bytes:
    """Return the sandbox's signature of a text, 20 bytes."""
    return hmac.digest(_KEY, text.encode(), "sha1")


def digest_number(text: str, digits: int) -> str:
    """Return a decimal number of exactly that many digits that depends on the text alone."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    return str(10 ** (digits - 1) + number % (9 * 10 ** (digits - 1)))


def _signature(text: str) -> str:
    return sign(text).hex()[:32]
