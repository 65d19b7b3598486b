"""Tokens: who may do what in which project. Kept beside the store, hashed, read at every request.

A token reads `pst_<id>_<secret>`. What is stored under `server/tokens/<id>.json` is the SHA-256 of
the whole, so nobody learns a token from a store. 256 bits of `secrets` need no slow hash. Because
the stored object is looked at with each request, revoking holds from the next one, on every
server that shares the store.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import orjson

from podstack import clock
from podstack.backend import Backend
from podstack.errors import BlobMissing, NotFoundError, UsageError
from podstack.names import check_id, check_name, short
from podstack.server.private import put_private

VIEWER, EDITOR, ADMIN = "viewer", "editor", "admin"
ROLES = (VIEWER, EDITOR, ADMIN)
EVERY_PROJECT = "*"
FOLDER = "server/tokens/"

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_TOKEN = re.compile(r"pst_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")
_ID = re.compile(r"[a-z0-9]{12}")
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; its secret is not. Times are epoch seconds."""

    id: str
    user: str
    project: str
    role: str
    hash: str
    created: float
    expires: float | None = None
    revoked: float | None = None

    def is_good(self, now: float) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)


class Clock:
    """A wall clock that never goes back while this process lives.

    Whoever turns the machine's clock back brings no expired token to life again: time goes on at
    least as fast as the monotonic clock, and never below what was read before.
    """

    def __init__(self) -> None:
        self._wall, self._monotonic = clock.now(), clock.monotonic()
        self._latest = self._wall

    def now(self) -> float:
        passed = self._wall + clock.monotonic() - self._monotonic
        self._latest = max(self._latest, clock.now(), passed)
        return self._latest


class Tokens:
    """The tokens of one store. Every method asks the store; safe from threads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._clock = Clock()

    def create(
        self, *, user: str, project: str, role: str, expires_in: float | None
    ) -> tuple[str, Token]:
        """A new token: its text, which is shown this once, and what is kept of it.

        Raises:
            UsageError: no such role, or the project or user is not named as one.
        """
        _check(user, project, role)
        ident = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        text = f"pst_{ident}_{secrets.token_urlsafe(32)}"
        now = self._clock.now()
        expires = None if expires_in is None else now + expires_in
        token = Token(ident, user, project, role, _hash(text), now, expires)
        self._put(token)
        return text, token

    def who(self, text: str) -> Token | None:
        """The good token that this text is, or None. Takes as long for a near miss as for any."""
        shape = _TOKEN.fullmatch(text)
        token = self.find(shape[1]) if shape else None
        is_it = hmac.compare_digest(_hash(text), token.hash if token else _NOBODY)
        return token if token and is_it and token.is_good(self._clock.now()) else None

    def still(self, ident: str) -> Token | None:
        """The token of that id, if it is still good: what a browser's session stands on."""
        token = self.find(ident)
        return token if token and token.is_good(self._clock.now()) else None

    def find(self, ident: str) -> Token | None:
        if not _ID.fullmatch(ident):
            return None
        try:
            return _read(self._backend.get(f"{FOLDER}{ident}.json"), ident)
        except BlobMissing:
            return None

    def all(self) -> Iterator[Token]:
        """Every token, also revoked and expired ones."""
        for info in self._backend.list(FOLDER):
            token = self.find(info.key[len(FOLDER) :].removesuffix(".json"))
            if token is not None:
                yield token

    def any(self) -> bool:
        """Whether a token was ever made here: then everybody needs one."""
        return next(iter(self._backend.list(FOLDER)), None) is not None

    def revoke(self, ident: str) -> Token:
        """End a token, from the next request on. Twice is fine.

        Raises:
            NotFoundError: there is none of that id.
        """
        token = self.find(ident)
        if token is None:
            raise NotFoundError.among("token", ident, [token.id for token in self.all()])
        if token.revoked is None:
            token = replace(token, revoked=self._clock.now())
            self._put(token)
        return token

    def _put(self, token: Token) -> None:
        put_private(self._backend, f"{FOLDER}{token.id}.json", orjson.dumps(asdict(token)))


def _check(user: str, project: str, role: str) -> None:
    check_name("user", user)
    if project != EVERY_PROJECT:
        check_id("project", project)
    if role not in ROLES:
        raise UsageError(f"A role is one of {', '.join(ROLES)}, not {short(role)}.")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(content: bytes, ident: str) -> Token | None:
    """A stored token; None for anything that is not a whole one of that id."""
    try:
        facts = orjson.loads(content)
        token = Token(**{name: facts.get(name) for name in Token.__slots__})
    except (ValueError, AttributeError):
        return None
    texts = (token.user, token.project, token.hash, token.role)
    times = (token.expires, token.revoked)
    is_whole = (
        token.id == ident
        and all(isinstance(text, str) for text in texts)
        and token.role in ROLES
        and all(time is None or isinstance(time, (int, float)) for time in times)
    )
    return token if is_whole else None
