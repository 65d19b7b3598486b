"""The columns of a table of runs: which are shown, what they hold, how that reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack import clock
from podstack.directions import MINIMIZE, direction_of
from podstack.display import duration
from podstack.errors import UsageError, WrongTypeError
from podstack.expressions import ANY, ATTRIBUTE, METRIC, PARAM, TAGS, Name, parse_name
from podstack.frames import ABSENT
from podstack.names import short
from podstack.points import SYSTEM
from podstack.tables import NOTHING, WHOLE, Column, cell, cells, is_number, numbers

if TYPE_CHECKING:
    from podstack.index import RunRow


class Field(NamedTuple):
    """Something that a run has, by its name in the expression language."""

    name: Name
    rank: int = 4

    @property
    def head(self) -> str:
        return cell(self.name.name + self._part)

    @property
    def key(self) -> str:
        """Its name in a data frame: that of the language, without backticks."""
        bare = self.name.kind in (ATTRIBUTE, ANY)
        return f"{'' if bare else self.name.kind + '.'}{self.name.name}{self._part}"

    @property
    def _part(self) -> str:
        return "" if self.name.part in ("", "last") else f".{self.name.part}"

    def of(self, row: RunRow) -> Any:
        """Its value; ABSENT where this run has none."""
        name = self.name
        if name.kind == ATTRIBUTE:
            return getattr(row, name.name)
        if name.kind == TAGS:
            return name.name in row.tags
        if name.kind in (METRIC, ANY) and name.name in row.metrics:
            return getattr(row.metrics[name.name], name.part or "last")
        is_param = name.kind == PARAM or (name.kind == ANY and not name.part)
        return row.params.get(name.name, ABSENT) if is_param else ABSENT


def fields_named(texts: object) -> list[Field]:
    """The fields that a user names: `["name", "params.lr", "metrics.val_acc.max", "tags"]`.

    Raises:
        UsageError: one of them is no name of the expression language.
    """
    if isinstance(texts, str) or not isinstance(texts, (list, tuple)):
        raise WrongTypeError(
            f"columns is a list of names such as ['name', 'params.lr'], not {short(texts)}."
        )
    if not texts:
        raise UsageError("columns names at least one: ['name', 'params.lr', 'metrics.loss.min'].")
    return [Field(parse_name(text)) for text in texts]


def default_fields(rows: Sequence[RunRow], asked: Iterable[Name] = ()) -> list[Field]:
    """Who the runs are, the parameters that tell them apart, and their metrics.

    What the filter and the order speak of is always among them, and the last to be left out.
    """
    wanted = dict.fromkeys(_resolved(name, rows) for name in asked)
    attributes = _attributes(rows, {name.name for name in wanted if name.kind == ATTRIBUTE})
    params = [Name(PARAM, name) for name in differing(rows)]
    metrics = [Name(METRIC, name, "last") for name in metric_names(rows)]
    telling = [name for name in metrics if direction_of(name.name)]
    ranks = dict.fromkeys([*params, *metrics], 5)
    ranks |= dict.fromkeys(params[:2], 3) | dict.fromkeys(telling[:2], 2)
    ranks |= {name: 1 for name in wanted if name.kind != ATTRIBUTE}
    order = (PARAM, TAGS, METRIC)
    found = sorted(ranks, key=lambda name: order.index(name.kind))
    return attributes + [Field(name, ranks[name]) for name in found]


def _attributes(rows: Sequence[RunRow], asked: set[str]) -> list[Field]:
    names = [row.name for row in rows]
    shown = {"name": 0, "status": 0, "created": 2, "duration": 4}
    if len(set(names)) < len(names):
        shown["id"] = 0
    for several in ("experiment", "user"):
        if len({getattr(row, several) for row in rows}) > 1:
            shown[several] = 3
    shown |= dict.fromkeys(asked, 1)
    order = ("name", "id", "status", "experiment", "user", "created", "ended", "duration")
    ordered = sorted(shown, key=lambda name: order.index(name) if name in order else len(order))
    return [Field(Name(ATTRIBUTE, name), shown[name]) for name in ordered]


def _resolved(name: Name, rows: Sequence[RunRow]) -> Name:
    """A bare name as what it stands for in these runs: a metric, else a parameter."""
    if name.kind != ANY:
        return name
    is_metric = name.part or any(name.name in row.metrics for row in rows)
    return Name(METRIC, name.name, name.part or "last") if is_metric else Name(PARAM, name.name)


def metric_names(rows: Iterable[RunRow]) -> list[str]:
    """The names of their metrics, without those of the machine."""
    found = dict.fromkeys(name for row in rows for name in row.metrics)
    return [name for name in found if not name.startswith(SYSTEM)]


def differing(rows: Sequence[RunRow]) -> list[str]:
    """The parameters that are not the same in all rows; all of them where there is one row."""
    names = dict.fromkeys(name for row in rows for name in row.params)
    return [name for name in names if len(rows) == 1 or not are_equal(name, rows)]


def are_equal(param: str, rows: Sequence[RunRow]) -> bool:
    first = rows[0].params.get(param, ABSENT)
    return all(same(row.params.get(param, ABSENT), first) for row in rows[1:])


def same(a: Any, b: Any) -> bool:
    """Equal, and of one kind: True is not 1, absent is not None; 1 is 1.0, and NaN is NaN."""
    if is_number(a) and is_number(b):
        return bool(a == b or (a != a and b != b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and bool(a == b)


# What a reader sees ------------------------------------------------------------------------


def shown(field: Field, rows: Sequence[RunRow]) -> Column:
    """The field of these runs as a column of text."""
    resolved = field._replace(name=_resolved(field.name, rows))
    if resolved.name.kind == ATTRIBUTE:
        return _attribute_column(resolved, rows)
    values = [resolved.of(row) for row in rows]
    if resolved.name.kind == METRIC:
        return _metric_column(resolved, values)
    return plain_column(resolved.head, values, field.rank)


def plain_column(head: str, values: Sequence[Any], rank: int = 3) -> Column:
    """Values as they are; to the right where all are numbers."""
    known = [value for value in values if value is not ABSENT]
    right = bool(known) and all(map(is_number, known))
    least = WHOLE if right else 12
    return Column(cell(head), cells(values), right, rank, least=least)


def _attribute_column(field: Field, rows: Sequence[RunRow]) -> Column:
    name = field.name.name
    texts = [_attribute(name, row) for row in rows]
    is_text = name in ("name", "experiment", "user", "tags", "notes", "error")
    return Column(
        name,
        texts,
        right=name == "duration",
        rank=field.rank,
        is_status=name == "status",
        least=20 if name == "name" else 12 if is_text else WHOLE,
    )


def _attribute(name: str, row: RunRow) -> str:
    value = getattr(row, name)
    if name == "status":
        return cell(status_of(row))
    if name == "duration":
        return duration(value)
    if name in ("created", "ended"):
        return NOTHING if value is None else moment(value)
    if name == "tags":
        return cell(", ".join(value))
    return cell(value or "")


def status_of(row: RunRow) -> str:
    """The status; a run that ended without saying so is told apart."""
    return row.status if row.lost_since is None else f"{row.status} (lost)"


def moment(when: float) -> str:
    """`11-23 22:15` in the reader's time zone, the year before it unless that is this year."""
    try:
        text = clock.readable(when)[:16]
    except (ValueError, OverflowError, OSError):
        return NOTHING  # whatever is no time
    return text[5:] if text[:4] == clock.readable(clock.now())[:4] else text


def _metric_column(field: Field, values: list[Any]) -> Column:
    plain = [None if value is ABSENT else float(value) for value in values]
    direction = direction_of(field.name.name)
    rates = direction is not None and field.name.part in ("last", "min", "max")
    best = best_of(plain, direction) if rates else frozenset()
    return Column(field.head, numbers(plain), True, field.rank, best, least=WHOLE)


def best_of(values: Sequence[float | None], direction: str | None) -> frozenset[int]:
    """Where the best finite value stands; nowhere if no direction is known or all are alike."""
    known = {i: v for i, v in enumerate(values) if v is not None and v == v}
    finite = list(filter(isfinite, known.values()))
    if direction is None or not finite or len(set(known.values())) < 2:
        return frozenset()
    best = min(finite) if direction == MINIMIZE else max(finite)
    return frozenset(i for i, value in known.items() if value == best)
