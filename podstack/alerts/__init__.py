"""Alerts as a run keeps them: what was asked for, and when it fired.

An alert is a condition on metrics. It fires on the rising edge, when the condition turns from
false to true, and not again within `cooldown` seconds. `watches.py` looks for that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from operator import attrgetter
from typing import Any, NamedTuple

from podstack import clock, names
from podstack.clock import readable
from podstack.errors import NotFoundError, PodstackError, UsageError, WrongTypeError
from podstack.expressions.conditions import Condition, NoImprovement, condition_of, parse_condition
from podstack.names import printable, short
from podstack.oplog import Fold

MAX_ALERTS = 100  # on one run
MAX_MESSAGE = 10_000  # characters
COOLDOWN = 60.0  # seconds


class Firing(NamedTuple):
    """One time that an alert fired: at which step, at which value of its first metric, when."""

    condition: str
    metric: str
    step: int
    value: float
    time: float  # epoch seconds

    def __repr__(self) -> str:
        reading = f"{self.metric} = {self.value:.6g} at step {self.step}"
        return printable(f"{self.condition}: {reading}, {readable(self.time)}")


class Firings(list[Firing]):
    """Firings, oldest first; prints a line for each."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "nothing fired"


class Alert(NamedTuple):
    """A condition that a run is watched for, and when it fired."""

    id: str
    condition: str
    message: str
    created: float  # epoch seconds
    cooldown: float  # seconds after a firing in which it does not fire again
    fired: Firings

    @property
    def summary(self) -> str:
        """`fired 2×, last at step 120`."""
        if not self.fired:
            return "not fired"
        return f"fired {len(self.fired)}×, last at step {self.fired[-1].step}"

    def __repr__(self) -> str:
        message = f" — {self.message}" if self.message else ""
        return printable(f"{self.condition} · {self.summary}{message}")


class Alerts(list[Alert]):
    """The alerts of a run, oldest first; prints a line for each."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "no alerts"


# What is asked for, and stored ---------------------------------------------------------------


class Wanted(NamedTuple):
    """An alert as the store keeps it."""

    condition: str
    message: str
    created: float
    cooldown: float

    @property
    def id(self) -> str:
        return _id_of(self.condition)

    @property
    def fact(self) -> dict[str, Any]:
        return self._asdict()


def wanted(
    said: Sequence[Any],
    condition: str | None,
    message: str | None,
    threshold: float | None,
    metric_key: str | None,
    cooldown: float,
) -> Wanted:
    """The alert that the words of a call ask for, in either form.

    Args:
        said: what stands first: `condition, message`, or `metric, comparator, threshold`.

    Raises:
        ExpressionError: the condition is none; the message points at the place.
        WrongTypeError, UsageError: what else cannot be.
    """
    if metric_key is None and threshold is None and len(said) < 3:
        text, message = _filled(said, condition, message)
    else:
        text = condition_of(*_filled(said, metric_key, condition, threshold))
    found = parse_condition(text).text
    return Wanted(found, _checked_message(message), clock.now(), _checked_cooldown(cooldown))


def _filled(said: Sequence[Any], *named: Any) -> list[Any]:
    """The named words, the missing ones taken in order from those without a name."""
    rest = list(said)
    filled = [rest.pop(0) if word is None and rest else word for word in named]
    if rest:
        raise UsageError(
            f"{short(rest[0])} is one word too many for an alert. Write "
            "create_alert('val_loss > 2.0', 'a message') or create_alert('val_loss', 'gt', 2.0)."
        )
    return filled


def _checked_message(message: object) -> str:
    text = names.check_text("An alert's message", "" if message is None else message)
    if len(text) > MAX_MESSAGE:
        raise UsageError(f"An alert's message has {len(text)} characters, at most {MAX_MESSAGE}.")
    return text


def _checked_cooldown(cooldown: object) -> float:
    if isinstance(cooldown, bool) or not isinstance(cooldown, (int, float)):
        raise WrongTypeError(f"cooldown is a number of seconds, not {short(cooldown)}.")
    if not 0 <= cooldown < float("inf"):
        raise UsageError(f"cooldown is 0 or more seconds, not {short(cooldown)}.")
    return float(cooldown)


def among(known: Mapping[str, Wanted], new: Wanted) -> Wanted:
    """The new alert as one of those of its run: the same condition again is the same alert.

    Raises:
        UsageError: the run has as many alerts as one may have.
    """
    if new.id in known:
        return new._replace(created=known[new.id].created)
    if len(known) >= MAX_ALERTS:
        raise UsageError(
            f"A run has at most {MAX_ALERTS} alerts. Join conditions with 'or', or remove one: "
            "run.delete_alert(condition)."
        )
    return new


def find(known: Mapping[str, Wanted], id_or_condition: str) -> Wanted:
    """
    Raises:
        NotFoundError: there is none of that id or condition; the nearest are named.
    """
    if id_or_condition in known:
        return known[id_or_condition]
    try:
        return known[_id_of(parse_condition(id_or_condition).text)]
    except (KeyError, UsageError):
        conditions = [alert.condition for alert in known.values()]
        raise NotFoundError.among("alert", id_or_condition, conditions) from None


def _id_of(condition: str) -> str:
    return hashlib.sha256(condition.encode()).hexdigest()[:8]


# What a run's facts hold ---------------------------------------------------------------------


def stored(fold: Fold) -> dict[str, Wanted]:
    """The alerts of a run by id, oldest first. What is no alert is passed over."""
    found = ((id, _read(fact)) for id, fact in fold.below("alerts").items())
    sound = {id: alert for id, alert in found if alert is not None and alert.id == id}
    return dict(sorted(sound.items(), key=lambda pair: pair[1].created))


def _read(fact: object) -> Wanted | None:
    if not isinstance(fact, dict):
        return None
    condition, message = fact.get("condition"), fact.get("message", "")
    created, cooldown = number(fact.get("created")), number(fact.get("cooldown"))
    if not isinstance(condition, str) or not isinstance(message, str):
        return None
    return Wanted(
        condition,
        message[:MAX_MESSAGE],
        created if created is not None and isfinite(created) else 0.0,
        cooldown if cooldown is not None and 0 <= cooldown < float("inf") else COOLDOWN,
    )


def number(value: object) -> float | None:
    """A number as facts hold it, NaN and the infinities by their words; None for all else."""
    try:
        return float(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def firing_fact(step: int, value: float, time: float) -> dict[str, Any]:
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return {"step": step, "value": value if isfinite(value) else words[str(value)], "t": time}


def of(fold: Fold) -> Alerts:
    """The alerts of a run, each with its firings."""
    fired = fired_of(fold)
    return Alerts(shown(alert, fired.get(id, ())) for id, alert in stored(fold).items())


def shown(alert: Wanted, fired: Iterable[tuple[str, Any]]) -> Alert:
    """An alert as its user sees it; `fired` is what `fired_of` has for it."""
    metric = _first_metric(alert.condition)
    found = filter(None, (_firing(alert.condition, metric, fact) for _, fact in fired))
    return Alert(alert.id, *alert, fired=Firings(sorted(found, key=attrgetter("time"))))


def firings(of_run: Alerts) -> Firings:
    """All firings of a run's alerts, oldest first."""
    found = [firing for alert in of_run for firing in alert.fired]
    return Firings(sorted(found, key=attrgetter("time")))


def fired_of(fold: Fold) -> dict[str, list[tuple[str, Any]]]:
    """(n, fact) of every firing, by the id of its alert."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for path, fact in fold.below("fired").items():
        id, _, n = path.partition("/")
        found.setdefault(id, []).append((n, fact))
    return found


def _firing(condition: str, metric: str, fact: object) -> Firing | None:
    if not isinstance(fact, dict) or type(fact.get("step")) is not int:
        return None
    value, time = number(fact.get("value")), number(fact.get("t"))
    if value is None or time is None or not isfinite(time):
        return None
    return Firing(condition, metric, fact["step"], value, time)


def _first_metric(condition: str) -> str:
    try:
        return in_order(parse_condition(condition))[0]
    except PodstackError:  # of a later version
        return "value"


def in_order(condition: Condition | NoImprovement) -> list[str]:
    """The metrics of a condition as they stand in its text."""
    return sorted(condition.metrics, key=lambda name: (condition.text.find(name), name))
