"""Curves for a notebook: an SVG that needs no library, no script and nothing from elsewhere.

A curve is the mean of each bucket of steps, and behind it the range from the lowest to the highest
value, as on the pages: a spike of one step stays visible however long the run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from podstack.names import printable

BUCKETS = 160  # points of a curve
_WIDTH, _HEIGHT = 260, 110
_FRAME = f'<path d="M.5 .5V{_HEIGHT - 0.5}H{_WIDTH}" fill="none" stroke="gray" opacity=".5"/>'
# Contrast of 3:1 on white and on #161c23; the dash tells the seventh from the first.
COLOURS = ("#3355ee", "#dd6699", "#776600", "#3399ee", "#bb2288", "#999900")
DASHES = ("", "5 3", "2 2")


class Look(NamedTuple):
    """How the curve of a run is drawn: a colour, and dashes as SVG writes them."""

    colour: str = COLOURS[0]
    dash: str = ""


def looks(ids: Iterable[str]) -> dict[str, Look]:
    """A look for each run, the same as on the pages (`core/colors.js: runColors`).

    A run has its own colour by its id, the next free one where another in view has that; 18 differ.
    """
    slots = len(COLOURS) * len(DASHES)
    taken: set[int] = set()
    found = {}
    for run in ids:
        slot = _free(_hash(run) % len(COLOURS), taken)
        taken.add(slot)
        if len(taken) == slots:
            taken.clear()
        found[run] = Look(COLOURS[slot % len(COLOURS)], DASHES[slot // len(COLOURS)])
    return found


def _hash(text: str) -> int:
    """FNV-1a over the characters, in 32 bits, its upper half folded in."""
    value = 2166136261
    for letter in text:
        value = (value ^ ord(letter)) * 16777619 % 2**32
    return value ^ (value >> 15)


def _free(wanted: int, taken: set[int]) -> int:
    for dash in range(len(DASHES)):
        for step in range(len(COLOURS)):
            slot = dash * len(COLOURS) + (wanted + step) % len(COLOURS)
            if slot not in taken:
                return slot
    return wanted


class Bucket(NamedTuple):
    """A range of steps: the first of them, and what its finite values are."""

    x: float
    mean: float
    low: float
    high: float


class Curve(NamedTuple):
    """One line of a chart. `end` is its last step, which its last bucket only begins before."""

    label: str
    buckets: Sequence[Bucket]
    look: Look = Look()
    end: int = 0


def bucketed(steps: Any, values: Any) -> list[Bucket]:
    """The finite values in at most 160 buckets of equally many steps; an empty one is left out.

    Args:
        steps: whole numbers in ascending order: an array of numpy or of `array`, or a sequence.
        values: as many floats.
    """
    if not len(steps):
        return []
    first, last = int(steps[0]), int(steps[-1])
    wide = max(1, (last - first) // BUCKETS + 1)
    edges = [bisect_left(steps, edge) for edge in range(first, last + 1, wide)]
    ends = [*edges[1:], len(steps)]
    found = (_bucket(int(steps[a]), values[a:b]) for a, b in zip(edges, ends, strict=True) if a < b)
    return [bucket for bucket in found if bucket is not None]


def _bucket(first: int, values: Any) -> Bucket | None:
    known = values.tolist() if hasattr(values, "tolist") else values
    finite = [float(value) for value in known if isfinite(value)]
    if not finite:
        return None
    share = 1 / len(finite)  # multiplied first: a sum may overflow
    return Bucket(first, sum(v * share for v in finite), min(finite), max(finite))


def chart(title: str, curves: Iterable[Curve]) -> str:
    """A small chart with its range and its steps; empty where no curve has two points."""
    drawn = [one for one in curves if len(one.buckets) > 1]
    if not drawn:
        return ""
    alone = len(drawn) == 1  # several have no bands, so that one can tell them apart
    buckets = [bucket for one in drawn for bucket in one.buckets]
    spans = _Spans.of(buckets if alone else map(_flat, buckets))
    lines = "".join(_line(one, spans, alone) for one in drawn)
    end = max(spans.last, *(one.end for one in drawn))
    told = f"{spans.low:.4g} … {spans.high:.4g} · steps {spans.first:,.0f} to {end:,.0f}"
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    return (
        f"<figure><figcaption>{_text(title)}</figcaption>"
        f'<svg {size} role="img" aria-label="{_text(f"{title}: {told}")}">{_FRAME}{lines}</svg>'
        f"<div class=dim>{told}</div></figure>"
    )


def spark(buckets: Sequence[Bucket], *, width: int = 120, height: int = 22) -> str:
    """The means as one line in the colour of the text, the last one marked."""
    if len(buckets) < 2:
        return ""
    spans = _Spans.of(map(_flat, buckets))
    dots = [spans.place(b.x, b.mean, width, height, margin=2) for b in buckets]
    x, y = dots[-1].split(",")
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-hidden="true">'
        f'<polyline points="{" ".join(dots)}" fill="none" stroke="currentColor" '
        f'stroke-width="1.3"/><circle cx="{x}" cy="{y}" r="2" fill="currentColor"/></svg>'
    )


def _flat(bucket: Bucket) -> Bucket:
    return bucket._replace(low=bucket.mean, high=bucket.mean)


class _Spans(NamedTuple):
    first: float
    last: float
    low: float
    high: float

    @classmethod
    def of(cls, buckets: Iterable[Bucket]) -> _Spans:
        xs, _, lows, highs = zip(*buckets, strict=True)
        return cls(min(xs), max(xs), min(lows), max(highs))

    def place(
        self, x: float, value: float, width: int = _WIDTH, height: int = _HEIGHT, margin: int = 6
    ) -> str:
        across = (x - self.first) / ((self.last - self.first) or 1)
        # Halves, for the span of 1e308 and -1e308 is no float64.
        span = self.high / 2 - self.low / 2
        up = (value / 2 - self.low / 2) / span if span else 0.5
        wide, high = width - 2 * margin, height - 2 * margin
        return f"{margin + across * wide:.1f},{margin + (1 - up) * high:.1f}"


def _line(one: Curve, spans: _Spans, with_band: bool) -> str:
    points = " ".join(spans.place(bucket.x, bucket.mean) for bucket in one.buckets)
    return (
        (_band(one, spans) if with_band else "")
        + f'<polyline points="{points}" fill="none" {_stroke(one.look)}>'
        f"<title>{_text(one.label)}</title></polyline>"
    )


def _stroke(look: Look) -> str:
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    return f'stroke="{look.colour}" stroke-width="1.5"{dash}'


def _band(one: Curve, spans: _Spans) -> str:
    there = [spans.place(bucket.x, bucket.high) for bucket in one.buckets]
    back = [spans.place(bucket.x, bucket.low) for bucket in reversed(one.buckets)]
    return (
        f'<polygon points="{" ".join(there + back)}" fill="{one.look.colour}" fill-opacity=".18"/>'
    )


def legend(labelled: Iterable[tuple[str, Look]]) -> str:
    """Which colour is whose."""
    marks = "".join(
        f'<span class=who><svg width="22" height="8" aria-hidden="true"><path d="M0 4H22" '
        f"{_stroke(look)}/></svg> {_text(label)}</span>"
        for label, look in labelled
    )
    return f"<div class=legend>{marks}</div>"


def link(address: str | None, text: str) -> str:
    """A link to a page; empty where there is none, or its address is none of the web."""
    parts = urlsplit(address or "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = parts.netloc.rpartition("@")[2]  # a name or a token before it is nobody's to read
    whole = escape(parts._replace(netloc=host).geturl())
    return f'<a href="{whole}" target="_blank" rel="noopener">{_text(text)}</a>'


def _text(text: str) -> str:
    return escape(printable(text))
