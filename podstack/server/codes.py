"""Codes that let a browser in once: `podstack ui` makes one, the login page gives it back.

A code is signed with the secret of the sessions and is good for a minute. That it was used is noted
beside the store, so that no server of this store takes it again. It stands after the `#` of an
address, which browsers send to nobody and keep out of what they pass on.
"""

from __future__ import annotations

import os
import re
import secrets

from podstack.backend import Backend, LocalFolder
from podstack.server.claims import Claims
from podstack.server.private import put_private
from podstack.server.sessions import Sessions
from podstack.server.tokens import Clock

GOOD_FOR = 60.0  # seconds
USED = "server/codes/"

_KEPT = 3600.0  # seconds that the note of a used code stays
_NAME = re.compile(rf"{USED}([0-9]+)-")


class Codes:
    """Makes codes, and takes each of them once. Safe from threads."""

    def __init__(self, backend: Backend, sessions: Sessions) -> None:
        self._backend, self._sessions = backend, sessions
        self._clock = Clock()

    def issue(self, token: str) -> str:
        """A code that stands for the holder of a token, by its id."""
        until = int(self._clock.now() + GOOD_FOR)
        return self._sessions.sign("code", {"t": token, "n": secrets.token_hex(12), "e": until})

    def redeem(self, code: str) -> str | None:
        """The id of the token, the first time a good code is shown; else None."""
        facts = self._sessions.signed("code", code)
        if facts is None or not facts["e"] > self._clock.now():
            return None
        self._forget()
        return facts["t"] if self._is_first(f"{USED}{facts['e']}-{facts['n']}") else None

    def _is_first(self, key: str) -> bool:
        """Note that a code was used; whether nobody had."""
        if not isinstance(self._backend, LocalFolder):
            return key in Claims(self._backend).won([key])
        put_private(self._backend, f"{USED}0-folder", b"")  # makes the folder, closed to others
        try:
            os.close(os.open(self._backend.path(key), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        return True

    def _forget(self) -> None:
        """Take away the notes of codes that have long expired."""
        limit = self._clock.now() - _KEPT
        for key in [info.key for info in self._backend.list(USED)]:
            name = _NAME.match(key)
            if name is not None and 0 < int(name[1]) < limit:
                self._backend.delete(key)
