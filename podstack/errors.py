"""Every error podstack raises on purpose.

PodstackError
├── UsageError          (ValueError)           the call itself is wrong; never retried
│   └── WrongTypeError  (TypeError)            a value of a kind that cannot be stored
├── NotFoundError       (KeyError)             no such run, experiment, metric or artifact
├── RunClosedError      (RuntimeError)         the run is already finished
├── TrialsFailedError   (RuntimeError)         a sweep's first trials all failed
├── MissingExtraError   (ModuleNotFoundError)  an optional dependency is not installed
└── BackendError        (OSError)              storage refused; carries .url and .key
    ├── BlobMissing     (FileNotFoundError)
    ├── DamagedError                           stored bytes are not what their record says
    ├── AccessDeniedError   (PermissionError)  no, or wrong, credentials: asking again does not help
    └── BackendUnavailable                     timeout, throttling, 5xx: worth a retry
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_SHOWN = 100  # characters of a name in a message


class PodstackError(Exception):
    """Base of all errors of this package."""


class UsageError(PodstackError, ValueError):
    """The call itself is wrong. Nothing of it was stored; the same call again will not help."""


class WrongTypeError(UsageError, TypeError):
    """A value of a kind that cannot be stored, such as a string as a metric."""


class NotFoundError(PodstackError, KeyError):
    """No such run, experiment, metric or artifact.

    A KeyError, so that `get` and `in` of the mappings that raise it work.
    """

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would show the repr of the message

    @classmethod
    def among(
        cls, kind: str, wanted: object, known: Iterable[str], *, hint: str = ""
    ) -> NotFoundError:
        """Name the nearest of what exists, so that a typo is seen at once."""
        from difflib import get_close_matches  # only where something is already wrong

        names = sorted(set(known))
        near = get_close_matches(str(wanted)[:_SHOWN], names, n=3, cutoff=0.4) or names[-3:]
        listed = ", ".join(name[:_SHOWN] for name in near)
        found = f"nearest of {len(names)}: {listed}" if near else f"there is no {kind} yet"
        return cls(f"No {kind} {repr(wanted)[:_SHOWN]} ({found}).{' ' + hint if hint else ''}")


class RunClosedError(PodstackError, RuntimeError):
    """The run is already finished."""


class TrialsFailedError(PodstackError, RuntimeError):
    """The first trials that were run all failed, or ended the processes that ran them."""


class MissingExtraError(PodstackError, ModuleNotFoundError):
    """An optional dependency is not installed."""

    @classmethod
    def for_(
        cls, cause: ModuleNotFoundError, *, extra: str, also: tuple[str, ...] = ()
    ) -> Exception:
        """Name the extra to install, or hand back `cause` if something else broke.

        Args:
            also: further modules that the extra brings, where not all are named like it.
        """
        missing = (cause.name or "").partition(".")[0]
        if missing not in (extra, *also):
            return cause  # a broken keras is not a missing keras
        return cls(f"{missing} is not installed. Run: pip install 'podstack[{extra}]'")


class BackendError(PodstackError, OSError):
    """Storage refused."""

    def __init__(self, message: str, *, url: str = "", key: str = "") -> None:
        super().__init__(message)  # one positional argument, so that pickle can rebuild it
        self.url, self.key = url, key

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps errno outside of the instance's dict, and would lose it.
        return type(self), self.args, {**vars(self), "errno": self.errno}


class BlobMissing(BackendError, FileNotFoundError):
    """There is no blob under that key."""


class DamagedError(BackendError):
    """The stored bytes are not what their record says."""


class AccessDeniedError(BackendError, PermissionError):
    """The store knows who asks and says no, or does not know: 401, 403, expired credentials."""


class BackendUnavailable(BackendError):
    """Timeout, throttling or a 5xx: worth a retry.

    retry_after: seconds that the store asked to be left alone for; None where it did not say.
    """

    def __init__(
        self, message: str, *, url: str = "", key: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, url=url, key=key)
        self.retry_after = retry_after
