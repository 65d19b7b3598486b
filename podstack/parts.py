"""Compacted points in a store: opened by their index, fetched metric by metric.

Names, steps and summaries are known from the index alone, which needs no pyarrow. Rows are
fetched with one request for each metric, checked, and not kept.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from podstack import compacted, parquet
from podstack.backend import Backend, BlobInfo
from podstack.compacted import Damage, Index, NotEnough
from podstack.console import warn
from podstack.errors import BlobMissing
from podstack.keys import Range
from podstack.parquet import Rows, no_rows
from podstack.series import Columns, Span

_TAIL = 1 << 16  # bytes from the end that are fetched at first: most indexes are within


class _Opened(NamedTuple):
    info: BlobInfo
    facts: Index
    tail: bytes  # the last bytes of the object, the footer among them


class Part:
    """One compacted object.

    Raises, when made:
        BlobMissing: it is gone.
        Damage: it is not what was written.
    """

    def __init__(self, backend: Backend, place: Range, info: BlobInfo) -> None:
        self.place = place
        self._backend = backend
        self._told: set[str] = set()
        self._opened = self._open(info)

    @property
    def info(self) -> BlobInfo:
        return self._opened.info

    @property
    def index(self) -> Index:
        return self._opened.facts

    def _open(self, info: BlobInfo) -> _Opened:
        wanted = min(_TAIL, info.size)
        while True:
            tail = self._backend.get(info.key, start=info.size - wanted, stop=info.size)
            try:
                index = compacted.read_index(tail, info.size)
                break
            except NotEnough as error:
                if error.wanted > info.size or len(tail) < wanted:
                    raise Damage("it is cut off") from error
                wanted = error.wanted
        if len(index.segments) != self.place.last - self.place.first + 1:
            raise Damage("its index is that of another range")
        return _Opened(info, index, tail)

    def rows(self, name: str) -> Rows:
        """The points of one metric; none, and a warning, where they are damaged.

        Raises:
            BlobMissing: the object is gone: a larger one has replaced it.
            MissingExtraError: pyarrow is not installed.
        """
        try:
            return self.rows_for_sure(name)
        except Damage as damage:
            if name not in self._told:
                warn(
                    f"{self.info.key} in {self._backend.url} is damaged ({damage}); "
                    f"its points of {name!r} are passed over"
                )
            self._told.add(name)
            return no_rows()

    def rows_for_sure(self, name: str) -> Rows:
        """The same, where nothing is passed over.

        Raises:
            Damage: the points are not what was written.
        """
        try:
            return self._decoded(name)
        except Damage:
            pass  # or somebody wrote the same range anew, and its bytes lie elsewhere
        self._opened = self._open(self._listed())
        return self._decoded(name)

    def _decoded(self, name: str) -> Rows:
        info, index, tail = self._opened

        def fetch(start: int, stop: int) -> bytes:
            return self._backend.get(info.key, start=start, stop=stop)

        return parquet.decode(index, name, info.size, tail, fetch)

    def _listed(self) -> BlobInfo:
        for info in self._backend.list(self.info.key):
            if info.key == self.info.key:
                return info
        raise BlobMissing(f"There is no {self.info.key}.", url=self._backend.url, key=self.info.key)

    def lines_before(self, seq: int) -> int:
        """How many lines of the range come before segment `seq`."""
        return sum(seal.lines for seal in self.index.segments[: seq - self.place.first])


class PartStretch:
    """Consecutive segments of a part: all of them, or some where others are passed over."""

    def __init__(self, part: Part, first: int, last: int) -> None:
        """Segments `first` to `last`."""
        self._part = part
        self._lines = (part.lines_before(first), part.lines_before(last + 1))
        self._is_whole = (first, last) == part.place[1:]

    @property
    def names(self) -> Collection[str]:
        return self._part.index.columns.keys()

    def rows(self, name: str) -> Rows:
        rows = self._part.rows(name)
        return rows if self._is_whole else rows.between(*self._lines)

    def columns(self, name: str) -> Columns:
        return self.rows(name).columns

    def span(self, name: str) -> Span | None:
        if not self._is_whole:
            return None
        column = self._part.index.columns[name]
        return Span(column.first_step, column.summary)

    def last_step(self, name: str) -> int:
        """The largest step of a metric in the whole part."""
        return self._part.index.columns[name].summary.last_step

    @property
    def last_time(self) -> float:
        """The latest time in the whole part, epoch seconds."""
        return self._part.index.last_time
