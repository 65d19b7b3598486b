"""Every key of the store, made and taken apart in one place.

Only ids and checked artifact paths become part of a key; a name never does.
`FORMAT.md` is the norm that this file follows.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from podstack.errors import UsageError
from podstack.names import is_id, short

STORE = "podstack.json"
MAX_KEY = 1000  # bytes; S3 ends at 1024
SWEEP_WRITER = "2"  # what the ids of a sweep's writers begin with: the year does, until 3000
MAX_TRIAL = 999_999  # the largest number whose claims list in the order of numbers

_LOG = re.compile(r"(.+?)\.jsonl(\.gz)?")
_SEGMENT = re.compile(r"([0-9]{6,})\.jsonl(\.gz)?")
_RANGE = re.compile(r"([0-9]{6,})-([0-9]{6,})\.parquet")
_CONSOLE_SEGMENT = re.compile(r"([0-9]{6,})\.txt(\.gz)?")
_ANY_LOG = re.compile(
    r"(projects/[^/]+/(?:experiments/[^/]+/[^/]+\.jsonl|sweeps/[^/]+/[^/]+\.jsonl"
    r"|views/[^/]+\.jsonl"
    r"|runs/[^/]+/(?:meta/[^/]+\.jsonl|metrics/[^/]+/[0-9]{6,}\.jsonl|console/[^/]+/[0-9]{6,}\.txt)))"
    r"(?:\.gz)?"
)
_CLAIM = re.compile(
    r"projects/[^/]+/sweeps/[^/]+/claims/([0-9]{6})(?:\.([1-9][0-9]{0,5}))?/([^/]+)\.json"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Project:
    """The keys of one project."""

    def __init__(self, name: str) -> None:
        self.root = f"projects/{name}/"
        self.experiments = f"{self.root}experiments/"
        self.runs = f"{self.root}runs/"
        self.live = f"{self.root}live/"
        self.tombs = f"{self.root}tombs/"
        self.sweeps = f"{self.root}sweeps/"
        self.views = f"{self.root}views/"

    def experiment(self, experiment: str) -> str:
        return f"{self.experiments}{experiment}/"

    def experiment_log(self, experiment: str, writer: str) -> str:
        return f"{self.experiments}{experiment}/{writer}.jsonl"

    def run(self, run: str) -> str:
        return f"{self.runs}{run}/"

    def meta(self, run: str) -> str:
        return f"{self.runs}{run}/meta/"

    def meta_log(self, run: str, writer: str) -> str:
        return f"{self.runs}{run}/meta/{writer}.jsonl"

    def metrics(self, run: str) -> str:
        return f"{self.runs}{run}/metrics/"

    def segment(self, run: str, writer: str, seq: int) -> str:
        return f"{self.runs}{run}/metrics/{writer}/{seq:06d}.jsonl"

    def range(self, run: str, writer: str, first: int, last: int) -> str:
        return f"{self.runs}{run}/metrics/{writer}/{first:06d}-{last:06d}.parquet"

    def console(self, run: str) -> str:
        return f"{self.runs}{run}/console/"

    def console_segment(self, run: str, writer: str, seq: int) -> str:
        return f"{self.runs}{run}/console/{writer}/{seq:06d}.txt"

    def environment(self, run: str, writer: str) -> str:
        return f"{self.runs}{run}/environment/{writer}.json"

    def written_by(self, run: str, writer: str) -> tuple[str, ...]:
        """What the keys begin with of all that one writer wrote of a run; its hint is not there."""
        return (
            self.meta_log(run, writer),
            f"{self.metrics(run)}{writer}/",
            f"{self.console(run)}{writer}/",
            self.environment(run, writer),
        )

    def live_hint(self, run: str, writer: str) -> str:
        return f"{self.live}{run}.{writer}.json"

    def live_of(self, run: str) -> str:
        return f"{self.live}{run}."

    def hinted(self, key: str) -> tuple[str, str]:
        """The run and the writer that a hint's key names."""
        run, _, writer = key[len(self.live) :].removesuffix(".json").rpartition(".")
        return run, writer

    def tomb(self, run: str) -> str:
        return f"{self.tombs}{run}.json"

    def sweep(self, sweep: str) -> str:
        return f"{self.sweeps}{sweep}/"

    def sweep_logs(self, sweep: str) -> str:
        """What the keys of a sweep's logs begin with, and those of its claims do not."""
        return f"{self.sweeps}{sweep}/{SWEEP_WRITER}"

    def sweep_log(self, sweep: str, writer: str) -> str:
        return f"{self.sweeps}{sweep}/{writer}.jsonl"

    def claims(self, sweep: str) -> str:
        return f"{self.sweeps}{sweep}/claims/"

    def claims_of(self, sweep: str, number: int) -> str:
        """What the keys of one trial's claims begin with, of all generations."""
        return f"{self.sweeps}{sweep}/claims/{number:06d}"

    def claims_to(self, sweep: str, number: int, generation: int) -> str:
        """The folder of one generation of them."""
        again = f".{generation}" if generation else ""
        return f"{self.claims_of(sweep, number)}{again}/"

    def claim(self, sweep: str, number: int, generation: int, writer: str) -> str:
        return f"{self.claims_to(sweep, number, generation)}{writer}.json"


class Segment(NamedTuple):
    """Where an object of metrics or of output belongs: segment `seq` of `writer`."""

    writer: str
    seq: int


def segment_of(key: str) -> Segment | None:
    """The place of a metrics key, or None for an object that format 1 does not know."""
    return _placed(key, _SEGMENT)


def console_segment_of(key: str) -> Segment | None:
    """The place of captured output, or None for an object that format 1 does not know."""
    return _placed(key, _CONSOLE_SEGMENT)


def _placed(key: str, pattern: re.Pattern[str]) -> Segment | None:
    parent, _, name = key.rpartition("/")
    match = pattern.fullmatch(name)
    writer = parent.rpartition("/")[2]
    return Segment(writer, int(match[1])) if match and is_id(writer) else None


class Range(NamedTuple):
    """Where a compacted object belongs: it replaces segments `first` to `last` of `writer`."""

    writer: str
    first: int
    last: int

    def holds(self, first: int, last: int) -> bool:
        """Whether segments `first` to `last` are all among its own."""
        return self.first <= first and last <= self.last


def range_of(key: str) -> Range | None:
    """The place of a compacted object, or None for any other object."""
    parent, _, name = key.rpartition("/")
    match = _RANGE.fullmatch(name)
    writer = parent.rpartition("/")[2]
    if match is None or not is_id(writer) or int(match[1]) > int(match[2]):
        return None
    return Range(writer, int(match[1]), int(match[2]))


class ClaimPlace(NamedTuple):
    """Whose claim it is, to which trial; `generation` counts how often that was offered again.

    A writer who claims once more, after a withdrawal without an answer, adds `.1` to its id.
    """

    number: int
    generation: int
    writer: str


def claim_of(key: str) -> ClaimPlace | None:
    """The place of a claim, or None for any other object."""
    match = _CLAIM.fullmatch(key)
    if match is None or not is_id(match[3]):
        return None
    return ClaimPlace(int(match[1]), int(match[2] or 0), match[3].partition(".")[0])


def log_writer(key: str) -> str | None:
    """The writer of an op log's key, or None for any other object."""
    match = _LOG.fullmatch(key.rpartition("/")[2])
    return match[1] if match and is_id(match[1]) else None


def plain_log(key: str) -> str | None:
    """The key of a log in its plain form, whichever form `key` has; None for what is no log.

    A file that somebody logged under a name such as `x.jsonl` is no log.
    """
    match = _ANY_LOG.fullmatch(key)
    return match[1] if match else None


def child(key: str, prefix: str) -> str:
    """The first component of `key` below `prefix`."""
    return key[len(prefix) :].partition("/")[0]


def artifact(folder: str, path: str) -> str:
    """Where a file lies, relative to its run: so that a run's folder may be copied anywhere."""
    return f"artifacts/{folder}/{path}"


def is_artifact_key(key: object) -> bool:
    """Whether a stored entry points to a place inside its run's artifacts, and nowhere else."""
    return (
        isinstance(key, str)
        and key.startswith("artifacts/")
        and not {"", ".", ".."} & set(key.split("/"))
    )


def artifact_path(path: str) -> str:
    """`path`, if it may name an artifact: relative, `/` between parts, nothing that climbs.

    Raises:
        UsageError: it is empty, absolute, too long, or has an odd part.
    """
    parts = path.split("/")
    odd = any(
        part in ("", ".", "..") or len(part.encode("utf-8", "replace")) > 255 for part in parts
    )
    if (
        odd
        or _CONTROL.search(path)
        or "\\" in path
        or len(path.encode("utf-8", "replace")) > MAX_KEY - 200
    ):
        raise UsageError(
            f"{short(path)} cannot name an artifact: use a relative path with '/' between its "
            "parts, without '..', backslashes or control characters, such as 'models/best.pt'."
        )
    return path
