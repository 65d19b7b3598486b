"""Curves for a notebook: an SVG that needs no library, no script and nothing from elsewhere.

A curve is the mean of each bucket of steps, and behind it the range from the lowest to the highest
value, as on the pages: a spike of one step stays visible however long the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from podstack.names import printable

BUCKETS = 160  # points of a curve
_WIDTH, _HEIGHT, _MARGIN = 260, 110, 6
# Contrast of 3:1 on white and on #161c23; the dash tells the seventh from the first.
COLOURS = ("#3355ee", "#dd6699", "#776600", "#3399ee", "#bb2288", "#999900")


class Bucket(NamedTuple):
    """A range of steps: the first of them, and what its finite values are."""

    x: float
    mean: float
    low: float
    high: float


class Curve(NamedTuple):
    """One line of a chart."""

    label: str
    buckets: Sequence[Bucket]


def curve(label: str, steps: Sequence[int], values: Sequence[float]) -> Curve:
    """The finite values in at most 160 buckets of equally many steps."""
    if not len(steps):
        return Curve(label, ())
    first, last = steps[0], steps[-1]
    wide = max(1, (last - first) // BUCKETS + 1)
    inside: dict[int, list[tuple[int, float]]] = {}
    for step, value in zip(steps, values, strict=True):
        if isfinite(value):
            inside.setdefault((step - first) // wide, []).append((step, float(value)))
    return Curve(label, [_bucket(points) for _, points in sorted(inside.items())])


def _bucket(points: Sequence[tuple[int, float]]) -> Bucket:
    values = [value for _, value in points]
    mean = sum(value / len(values) for value in values)  # divided first: a sum may overflow
    return Bucket(points[0][0], mean, min(values), max(values))


def chart(title: str, curves: Iterable[Curve]) -> str:
    """A small chart with its range and its steps; empty where no curve has two points."""
    drawn = [one for one in curves if len(one.buckets) > 1]
    if not drawn:
        return ""
    buckets = [bucket for one in drawn for bucket in one.buckets]
    spans = _Spans.of(buckets)
    lines = "".join(_line(one, spans, at, len(drawn) == 1) for at, one in enumerate(drawn))
    told = f"{title}: from {spans.low:.4g} to {spans.high:.4g}, steps {spans.first} to {spans.last}"
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    return (
        f'<figure style="margin:.3em 0"><figcaption>{_text(title)}</figcaption>'
        f'<svg {size} role="img" aria-label="{_text(told)}">{lines}</svg>'
        f"<div class=dim>{spans.low:.4g} … {spans.high:.4g} · steps {spans.first:,.0f} to "
        f"{spans.last:,.0f}</div></figure>"
    )


class _Spans(NamedTuple):
    first: float
    last: float
    low: float
    high: float

    @classmethod
    def of(cls, buckets: Sequence[Bucket]) -> _Spans:
        xs = [bucket.x for bucket in buckets]
        lows, highs = [b.low for b in buckets], [b.high for b in buckets]
        return cls(min(xs), max(xs), min(lows), max(highs))

    def place(self, x: float, value: float) -> str:
        across = (x - self.first) / ((self.last - self.first) or 1)
        # Halves, for the span of 1e308 and -1e308 is no float64.
        span = self.high / 2 - self.low / 2
        up = (value / 2 - self.low / 2) / span if span else 0.5
        wide, high = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
        return f"{_MARGIN + across * wide:.1f},{_MARGIN + (1 - up) * high:.1f}"


def _line(one: Curve, spans: _Spans, at: int, with_band: bool) -> str:
    colour = COLOURS[at % len(COLOURS)]
    dash = ("", ' stroke-dasharray="5 3"', ' stroke-dasharray="2 2"')[at // len(COLOURS) % 3]
    points = " ".join(spans.place(bucket.x, bucket.mean) for bucket in one.buckets)
    return (
        (_band(one, spans, colour) if with_band else "")
        + f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}>'
        f"<title>{_text(one.label)}</title></polyline>"
    )


def _band(one: Curve, spans: _Spans, colour: str) -> str:
    there = [spans.place(bucket.x, bucket.high) for bucket in one.buckets]
    back = [spans.place(bucket.x, bucket.low) for bucket in reversed(one.buckets)]
    return f'<polygon points="{" ".join(there + back)}" fill="{colour}" fill-opacity=".18"/>'


def legend(labels: Sequence[str]) -> str:
    """Which colour is whose."""
    marks = (
        f'<span class=dot style="background:{COLOURS[at % len(COLOURS)]}"></span> {_text(label)}'
        for at, label in enumerate(labels)
    )
    return f"<div>{' &nbsp; '.join(marks)}</div>"


def page_link(uri: str, path: str) -> str:
    """A link to a page of the server that the store is on; empty where it is on none."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = parts.netloc.rpartition("@")[2]  # a name or a token before it is nobody's to read
    address = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/{quote(path, safe='/?=')}"
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">Open the page</a>'


def _text(text: str) -> str:
    return escape(printable(text))
