"""A page's session: a signed cookie, and the token that a page's own requests carry against forgery.

What belongs here: making and checking both, as pure functions of the API token and the time.
What does not: the login page, and where a request carries them (``callers.py``).

Nothing is stored: the cookie says until when it is valid and is signed with a key drawn from the API token, so that
a new API token ends every session.
"""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from pydantic import SecretStr

SESSION_COOKIE = "talent_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
SESSION_LASTS = timedelta(hours=12)

_COOKIE = re.compile(r"(?P<expires>\d{1,12})\.(?P<nonce>[A-Za-z0-9_-]{22})\.(?P<signature>[A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Session:
    """A page's session.

    Attributes:
        nonce: Random; names the session in the audit log by its first characters.
        expires_at: When it ends.
        cookie: The cookie's value.
        csrf_token: What the page's own requests carry in ``X-CSRF-Token`` or the form field ``csrf_token``.
    """

    nonce: str
    expires_at: datetime
    cookie: str
    csrf_token: str


def open_session(token: SecretStr, *, now: datetime) -> Session:
    """Begin a session for somebody who gave the API token."""
    nonce = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    return _session(token, nonce=nonce, expires_at=now + SESSION_LASTS)


def read_session(cookie: str, token: SecretStr, *, now: datetime) -> Session | None:
    """Return the session that a cookie is of, or none when it is forged, expired or no cookie of ours."""
    match = _COOKIE.fullmatch(cookie)
    if match is None:
        return None
    expires_at = datetime.fromtimestamp(int(match["expires"]), tz=UTC)
    session = _session(token, nonce=match["nonce"], expires_at=expires_at)
    is_genuine = hmac.compare_digest(session.cookie.encode(), cookie.encode())
    return session if is_genuine and now < expires_at else None


def is_csrf_token(candidate: str, session: Session) -> bool:
    """Whether a request comes from a page of this session."""
    return hmac.compare_digest(candidate.encode("utf-8", "surrogateescape"), session.csrf_token.encode())


def _session(token: SecretStr, *, nonce: str, expires_at: datetime) -> Session:
    signed = f"{int(expires_at.timestamp())}.{nonce}"
    return Session(
        nonce=nonce,
        expires_at=expires_at,
        cookie=f"{signed}.{_signature(token, 'session', signed)}",
        csrf_token=_signature(token, "csrf", nonce),
    )


def _signature(token: SecretStr, purpose: str, text: str) -> str:
    digest = hmac.new(token.get_secret_value().encode(), f"{purpose}\0{text}".encode(), sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
