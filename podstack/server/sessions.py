"""A browser's session: a signed cookie that names a token, for as long as the token is good.

The secret that signs lies beside the store, so that every server of one store takes the others'
cookies. A cookie alone writes nothing: the page must also show what only it was told, `csrf`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from typing import Any, NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from podstack.backend import Backend
from podstack.clock import monotonic
from podstack.errors import BlobMissing
from podstack.server.private import put_private
from podstack.server.tokens import Clock

COOKIE = "podstack_session"
LIFETIME = 12 * 3600.0
SECRET = "server/secret"

_RELOAD = 1.0  # seconds between two looks at the secret because of a cookie that does not fit


class Session(NamedTuple):
    """What a good cookie says."""

    token: str  # its id
    csrf: str


class Sessions:
    """Signs and reads cookies. The secret is read, or made, at first need; safe from threads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._clock = Clock()
        self._lock = threading.Lock()
        self._secret = b""
        self._looked = float("-inf")

    def prepare(self) -> None:
        """Make the secret where there is none."""
        with self._lock:
            self._secret = self._load() or self._make()

    def issue(self, token: str) -> tuple[str, Session]:
        """A cookie for the holder of a token, by its id."""
        if not self._secret:
            self.prepare()
        nonce = secrets.token_urlsafe(16)
        facts = {"t": token, "n": nonce, "e": self._clock.now() + LIFETIME}
        return str(_signer(self._secret).dumps(facts)), Session(token, self._csrf(nonce))

    def read(self, cookie: str) -> Session | None:
        """What a cookie says, if it is one of ours and has not expired."""
        facts = self._facts(cookie)
        if facts is None and self._renewed():  # another server may have made the secret
            facts = self._facts(cookie)
        if facts is None or not facts["e"] > self._clock.now():
            return None
        return Session(facts["t"], self._csrf(facts["n"]))

    def sign(self, purpose: str, facts: dict[str, Any]) -> str:
        """Facts that nobody else can have written, for one purpose other than a cookie."""
        if not self._secret:
            self.prepare()
        return str(_signer(self._secret, purpose).dumps(facts))

    def signed(self, purpose: str, text: str) -> dict[str, Any] | None:
        """What `sign` was given, by any server of this store; None for anything else."""
        for _ in range(2):
            try:
                if self._secret:
                    facts: dict[str, Any] = _signer(self._secret, purpose).loads(text)
                    return facts
            except BadData:
                pass  # another server may have made the secret: look once more
            if not self._renewed():
                return None
        return None

    def _facts(self, cookie: str) -> dict[str, Any] | None:
        if not self._secret:
            return None
        try:
            facts: dict[str, Any] = _signer(self._secret).loads(cookie)
        except BadData:
            return None
        return facts

    def _csrf(self, nonce: object) -> str:
        return hmac.new(self._secret, f"csrf {nonce}".encode(), hashlib.sha256).hexdigest()

    def _renewed(self) -> bool:
        """Whether the secret beside the store is another than the one known here."""
        with self._lock:
            if monotonic() - self._looked < _RELOAD:
                return False
            self._looked = monotonic()
            known, self._secret = self._secret, self._load() or self._secret
            return known != self._secret

    def _load(self) -> bytes:
        try:
            return self._backend.get(SECRET)
        except BlobMissing:
            return b""

    def _make(self) -> bytes:
        put_private(self._backend, SECRET, secrets.token_hex(32).encode())
        return self._load()  # of two servers that start at once, one secret stays


def _signer(secret: bytes, purpose: str = "session") -> URLSafeSerializer:
    return URLSafeSerializer(
        secret, salt=f"podstack.{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
    )
