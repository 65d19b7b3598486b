"""Who is told when an alert of a project fires: kept beside the store, below `server/`.

A target's URL and secret are written once and never shown again: not in an answer, a log, an error
or a repr. What it may be: a webhook (`https://…`), a mail server (`mailtos://…`), or a service
whose host apprise knows and nobody can choose. apprise is asked for nothing else, because what it
opens cannot be held to an address.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import orjson

from podstack import clock
from podstack.addresses import Allowed, endpoint, not_open
from podstack.backend import Backend
from podstack.errors import BlobMissing, NotFoundError, UsageError
from podstack.names import check_id, check_text, printable
from podstack.server.private import put_private

if TYPE_CHECKING:
    from podstack.alerts.receivers import Receiver

MOST = 20  # targets of a project
MAX_LABEL = 100  # characters
MAX_SECRET = 1000

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_ID = re.compile(r"[a-z0-9]{12}")
_WEBHOOKS = ("http", "https", "json", "jsons")
_MAIL = ("mailto", "mailtos")
# Of these apprise fixes the host. They take no options, some of which name files or hosts to open.
_SERVICES = re.compile(r"(slack|discord|tgram|pover|ntfys?)://[!-~]+")
_TOPIC = re.compile(r"ntfys?://[A-Za-z0-9_-]+/?")  # without a path, so that ntfy.sh it is


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver of a project's notices. created: epoch seconds; nothing older is sent to it."""

    id: str
    kind: str  # the scheme of its URL
    label: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    created: float
    user: str

    @property
    def name(self) -> str:
        """For logs and for people."""
        return f"the {self.kind}:// target {printable(self.label) or self.id}"

    @property
    def shown(self) -> dict[str, str | float | bool]:
        """What everybody may know of it who may list it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "label": self.label,
            "signed": bool(self.secret),
            "created": self.created,
            "user": self.user,
        }


def receiver(target: Target, allowed: Allowed) -> Receiver:
    """What hands notices over to a target. No connection is made.

    Raises:
        UsageError: it may not be sent to. The URL is not shown.
        MissingExtraError: it takes apprise, which is not installed.
    """
    from podstack.server.mail import Mail, postbox  # here and below: 20 ms that no page needs
    from podstack.server.webhooks import Webhook

    kind = target.kind
    if target.secret and kind not in _WEBHOOKS:
        raise UsageError("Only a webhook is signed: a secret goes with https://.")
    if kind in _WEBHOOKS:
        to = endpoint(target.url)
        allowed.check_spelling(to.host, to.port)
        return Webhook(target.name, to, target.secret, allowed)
    if kind in _MAIL:
        box = postbox(target.url)
        allowed.check_spelling(box.host, box.port)
        return Mail(target.name, box, allowed)
    return _service(target)


def _service(target: Target) -> Receiver:
    url = target.url
    is_known = _SERVICES.fullmatch(url) and not {"?", "%", "\\"} & set(url)
    if not is_known or (target.kind.startswith("ntfy") and not _TOPIC.fullmatch(url)):
        raise UsageError(
            "A target is https://…, mailtos://…, or slack, discord, tgram, pover or ntfy://… in "
            "apprise's form without options. It is not shown here, for it may hold a password."
        )
    from podstack.alerts.receivers import Address

    found = Address(url)
    found.name = target.name
    return found


class Targets:
    """The targets of all projects of a store. Every method asks the store; safe from threads."""

    def __init__(self, backend: Backend, allowed: Allowed) -> None:
        self._backend, self._allowed = backend, allowed
        self._seen: dict[str, tuple[str, Target | None]] = {}  # by key, with the tag it had

    def add(self, project: str, url: str, *, label: str, secret: str, user: str) -> Target:
        """Keep a new target, and send nothing yet.

        Raises:
            UsageError: it may not be sent to, or there are too many.
        """
        check_id("project", project)
        _check(url, label, secret)
        if sum(1 for _ in self.all(project)) >= MOST:
            raise UsageError(f"A project has at most {MOST} targets. Remove one.")
        ident = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        kind = url.partition(":")[0].lower() if "://" in url else ""
        target = Target(ident, kind, label, url, secret, clock.now(), user)
        self._check_where(receiver(target, self._allowed))
        put_private(self._backend, _key(project, ident), orjson.dumps(asdict(target)))
        return target

    def _check_where(self, found: Receiver) -> None:
        """Ask where its host leads, so that a wrong one is refused at once.

        Each try asks again, for that may change; a name that nobody knows yet is kept.
        """
        from podstack.alerts.receivers import NotTaken
        from podstack.server.mail import Mail
        from podstack.server.webhooks import Webhook, resolved

        if isinstance(found, (Webhook, Mail)):
            host, port = found.place
            try:
                resolved(host, port, self._allowed)
            except NotTaken as error:
                if error.is_final:
                    raise not_open() from None

    def all(self, project: str) -> Iterator[Target]:
        """The targets as of now; what did not change is not read again."""
        folder = _folder(project)
        for info in self._backend.list(folder):
            tag, target = self._seen.get(info.key, ("", None))
            if tag != info.tag:
                target = self.find(project, info.key[len(folder) :].removesuffix(".json"))
                self._seen[info.key] = info.tag, target
            if target is not None:
                yield target

    def find(self, project: str, ident: str) -> Target | None:
        if not _ID.fullmatch(ident):
            return None
        try:
            return _read(self._backend.get(_key(project, ident)), ident)
        except BlobMissing:
            return None

    def get(self, project: str, ident: str) -> Target:
        """
        Raises:
            NotFoundError: there is none of that id.
        """
        target = self.find(project, ident)
        if target is None:
            known = [target.id for target in self.all(project)]
            raise NotFoundError.among("target", ident, known)
        return target

    def remove(self, project: str, ident: str) -> Target:
        """Send nothing more to a target, and forget it.

        Raises:
            NotFoundError: there is none of that id.
        """
        target = self.get(project, ident)
        self._backend.delete(_key(project, ident))
        return target

    def receiver(self, target: Target) -> Receiver:
        """See `receiver`."""
        return receiver(target, self._allowed)


def _check(url: object, label: object, secret: object) -> None:
    if not isinstance(url, str) or not isinstance(secret, str):
        raise UsageError("A target's url and secret are texts.")
    if len(check_text("A target's label", label)) > MAX_LABEL or printable(str(label)) != label:
        raise UsageError(f"A target's label has at most {MAX_LABEL} characters, on one line.")
    if len(secret) > MAX_SECRET or not (secret.isascii() and secret.isprintable()):
        raise UsageError(f"A target's secret has at most {MAX_SECRET} characters of ASCII.")


def _folder(project: str) -> str:
    return f"server/projects/{project}/notify/"


def _key(project: str, ident: str) -> str:
    return f"{_folder(project)}{ident}.json"


def _read(content: bytes, ident: str) -> Target | None:
    """A stored target; None for anything that is not a whole one of that id."""
    try:
        facts = orjson.loads(content)
        target = Target(**{name: facts.get(name) for name in Target.__slots__})
    except (ValueError, AttributeError):
        return None
    texts = (target.kind, target.label, target.url, target.secret, target.user)
    is_whole = (
        target.id == ident
        and all(isinstance(text, str) for text in texts)
        and isinstance(target.created, (int, float))
        and target.url.lower().startswith(f"{target.kind}://")
    )
    return target if is_whole else None
