"""Words and ids: statuses, run and writer ids, experiment slugs, the checks on what users name.

Ids go into keys and URLs, so they are few and plain: `[a-z0-9][a-z0-9._-]{0,63}`. All other
names (metrics, parameters, tags, experiments) are text: they are stored inside lines, byte for
byte, and never become a path.
"""

from __future__ import annotations

import hashlib
import os
import re

from podstack import clock
from podstack.errors import UsageError, WrongTypeError

RUNNING, COMPLETED, FAILED, KILLED = "running", "completed", "failed", "killed"
STATUSES = (RUNNING, COMPLETED, FAILED, KILLED)
ENDINGS = (COMPLETED, FAILED, KILLED)

Tags = list[str] | tuple[str, ...] | str  # what callers may give; `check_tags` makes a list of it

MAX_NAME = 1000  # characters of a metric, parameter or tag name
MAX_TEXT = 1_000_000  # characters of notes, a description, one parameter

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 letters that are not taken for one another

_ADJECTIVES = [
    "amber",
    "brave",
    "brisk",
    "calm",
    "clear",
    "cosy",
    "crisp",
    "deft",
    "eager",
    "early",
    "fair",
    "fond",
    "fresh",
    "gentle",
    "glad",
    "golden",
    "keen",
    "kind",
    "light",
    "lively",
    "lucid",
    "lucky",
    "mellow",
    "merry",
    "mild",
    "neat",
    "noble",
    "plain",
    "polite",
    "prompt",
    "proud",
    "quick",
    "quiet",
    "ready",
    "ripe",
    "sharp",
    "silver",
    "smart",
    "solid",
    "steady",
    "sunny",
    "swift",
    "tidy",
    "warm",
    "wise",
    "witty",
]
_NOUNS = [
    "acorn",
    "badger",
    "beacon",
    "birch",
    "brook",
    "cedar",
    "comet",
    "coral",
    "crane",
    "delta",
    "ember",
    "falcon",
    "fern",
    "finch",
    "fjord",
    "gecko",
    "grove",
    "harbor",
    "heron",
    "island",
    "juniper",
    "lagoon",
    "lark",
    "lynx",
    "maple",
    "meadow",
    "meteor",
    "moss",
    "nebula",
    "oak",
    "otter",
    "pebble",
    "pine",
    "puffin",
    "quartz",
    "raven",
    "reef",
    "river",
    "robin",
    "spruce",
    "summit",
    "thistle",
    "tundra",
    "walnut",
    "wren",
]


def new_run_id() -> str:
    """An id that reads as time: `20261123-221530-k3x9q2ma`. Unique without coordination."""
    return f"{clock.utc_digits(clock.now())}-{_random_letters(8)}"


def new_writer_id() -> str:
    """The id of one process lifetime on one run; later writers sort after earlier ones."""
    now = clock.now()
    return f"{clock.utc_digits(now)}-{int(now * 1000) % 1000:03d}-{_random_letters(8)}"


def name_of_run(run_id: str) -> str:
    """A readable name, always the same for one id: `quiet-otter-82`."""
    digest = hashlib.sha256(run_id.encode()).digest()
    adjective = _ADJECTIVES[digest[0] % len(_ADJECTIVES)]
    return f"{adjective}-{_NOUNS[digest[1] % len(_NOUNS)]}-{digest[2] % 100}"


def experiment_id(name: str) -> str:
    """The id a name stands for: its slug, plus a short hash where the slug loses anything.

    The same name gives the same id on every host, so creating it twice gives one experiment.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48].strip("-")
    if slug == name:
        return slug
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slug or 'experiment'}-{digest}"


def is_id(text: object) -> bool:
    """Whether `text` may stand in a key as the id of a project, run, experiment or writer."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None and ".." not in text


def check_id(kind: str, text: object) -> str:
    """`text`, if it may be an id.

    Raises:
        WrongTypeError: it is not a string.
        UsageError: it may not; the message says what may.
    """
    if not isinstance(text, str):
        raise WrongTypeError(f"{kind} must be a string, not {short(text)}.")
    if is_id(text):
        return text
    raise UsageError(
        f"{kind} {short(text)} is not an id: use 1 to 64 of a-z 0-9 . _ -, "
        "starting with a letter or a digit, without '..'."
    )


def check_name(kind: str, text: object) -> str:
    """`text`, if it may name a metric, parameter, tag, dataset, run or experiment.

    Raises:
        WrongTypeError: it is not a string.
        UsageError: it is empty, too long, or holds a NUL or half a surrogate pair.
    """
    if not isinstance(text, str):
        raise WrongTypeError(f"A {kind} name must be a string, not {short(text)}.")
    if not text or len(text) > MAX_NAME:
        raise UsageError(
            f"A {kind} name has 1 to {MAX_NAME} characters; {short(text)} has {len(text)}."
        )
    _check_characters(f"{kind} name", text)
    return text


def check_text(kind: str, text: object) -> str:
    """`text`, if it may be notes or a description: any string up to a million characters."""
    if not isinstance(text, str):
        raise WrongTypeError(f"{kind} must be a string, not {short(text)}.")
    if len(text) > MAX_TEXT:
        raise UsageError(
            f"{kind} has {len(text)} characters; at most {MAX_TEXT} are kept. Log a file instead."
        )
    _check_characters(kind, text)
    return text


def check_tags(tags: object) -> list[str]:
    """`tags` as a list of names. One string is one tag, not its letters."""
    if isinstance(tags, str):
        tags = (tags,)
    if not isinstance(tags, (list, tuple, set, frozenset)):
        raise WrongTypeError(f"Tags are a string or a list of strings, not {short(tags)}.")
    return [check_name("tag", tag) for tag in tags]


def check_status(status: object) -> str:
    """`status`, if a run may end in it."""
    if isinstance(status, str) and status in ENDINGS:
        return status
    raise UsageError(f"A run ends as one of {', '.join(ENDINGS)}, not {short(status)}.")


def _check_characters(kind: str, text: str) -> None:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{kind} {short(text)} holds half a surrogate pair, which is no character."
        ) from None
    if b"\0" in encoded:
        raise UsageError(f"{kind} {short(text)} holds a NUL character; remove it.")


def short(value: object) -> str:
    """A value for an error message: bounded, on one line, whatever its repr does."""
    try:
        text = ascii(value)
    except Exception as error:  # noqa: BLE001  # a foreign __repr__ may raise anything
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    shown = text if len(text) <= 80 else f"{text[:60]}… ({type(value).__name__})"
    return printable(shown)


def short_path(path: str) -> str:
    """The same for a path: of a long one the end, which says more than its beginning."""
    return short(path if len(path) <= 70 else f"...{path[-60:]}")


def printable(text: str) -> str:
    """`text` on one line and without control characters: no name may steer a terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _random_letters(count: int) -> str:
    return "".join(_ALPHABET[byte & 31] for byte in os.urandom(count))
