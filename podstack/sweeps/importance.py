"""How much each parameter of a sweep matters for its objective. Optuna's evaluators judge.

- `fanova`: the share of the objective's variance, over the whole space, that a parameter explains
  by itself, in a forest of 64 trees. Hutter, Hoos, Leyton-Brown: "An Efficient Approach for
  Assessing Hyperparameter Importance", ICML 2014. It needs scikit-learn.
  Its time grows with the square of the trials: a second for 100, half a minute for 500.
- `ped-anova`: how far the parameter's distribution among the best tenth of the trials is from that
  among all: what matters to get good results. Watanabe, Bansal, Hutter: "PED-ANOVA: Efficiently
  Quantifying Hyperparameter Importance in Arbitrary Subspaces", IJCAI 2023. It takes a tenth of a
  second, and is a guess below 50 trials.

Both look at a number as the share of draws below it, so that a logarithmic range counts evenly by
orders of magnitude, and a bell curve by its mass; and at a list as its places.

Only completed, not pruned trials with a finite value count. The same trials and the same seed
give the same shares.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from math import isfinite
from typing import Any, NamedTuple

from podstack.display import STYLE
from podstack.errors import MissingExtraError, UsageError
from podstack.names import printable, short
from podstack.sweeps.definition import Definition
from podstack.sweeps.distributions import Categorical, Distribution
from podstack.sweeps.records import JsonValue, TrialRecord
from podstack.sweeps.scales import share_below, varied
from podstack.tables import cell, cut, plain_lines, terminal_width, width_of

FANOVA, PED_ANOVA = "fanova", "ped-anova"
EVALUATORS = (FANOVA, PED_ANOVA)
ENOUGH = 20  # trials; fewer are a guess
FANOVA_MOST = 150  # trials that it is the default for
_BAR = 24  # characters
_NAME = 32
_EIGHTHS = " ▏▎▍▌▋▊▉"
_QUIET = threading.Lock()  # filters of warnings, and Optuna's verbosity, are the whole process's


class Importance(Mapping[str, float]):
    """Flat name → share of the importance, the largest first; all shares add up to 1.

    Parameters that cannot matter, for they never varied, have 0 and stand last.

    evaluator: `fanova` or `ped-anova`.
    metric: what the shares are about.
    trials: how many trials they come from.
    unvaried: name → why it cannot matter: `constant`, or `one value tried`.
    reason: why there are no shares, as a sentence; None where there are. All are 0 then.
    """

    def __init__(
        self,
        shares: Mapping[str, float],
        *,
        evaluator: str,
        metric: str,
        trials: int,
        unvaried: Mapping[str, str],
        reason: str | None = None,
    ) -> None:
        self._shares = dict(shares)
        self.evaluator, self.metric, self.trials = evaluator, metric, trials
        self.unvaried, self.reason = dict(unvaried), reason

    @property
    def low_confidence(self) -> bool:
        """Whether it comes from fewer than 20 trials."""
        return self.trials < ENOUGH

    def __getitem__(self, name: str) -> float:
        return self._shares[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shares)

    def __len__(self) -> int:
        return len(self._shares)

    @property
    def notes(self) -> list[str]:
        """What to know of it, as sentences."""
        if self.reason is not None:
            return [self.reason]
        few = f"Low confidence: {_trials(self.trials)}; from {ENOUGH} on it tells more."
        return [few] if self.low_confidence else []

    @property
    def _title(self) -> str:
        return f"importance for {cell(self.metric)} ({self.evaluator}, {_trials(self.trials)})"

    def __repr__(self) -> str:
        width = terminal_width()
        room = min(_NAME, max(map(width_of, map(cell, self)), default=0))
        lines = [] if self.reason else [self._line(name, room) for name in self]
        return plain_lines([self._title, *lines, *self.notes], width)

    def _line(self, name: str, room: int) -> str:
        shown = cut(cell(name), room, keep_end=True)
        head = f"  {shown}{' ' * (room - width_of(shown))}  "
        if name in self.unvaried:
            return f"{head}0     {self.unvaried[name]}"
        return f"{head}{self[name]:.3f} {_bar(self[name])}"

    def _repr_html_(self) -> str:
        rows = "" if self.reason else "".join(map(self._row, self))
        notes = "<br>".join(escape(printable(note)) for note in self.notes)
        return (
            f"{STYLE}<div class=podstack><b>{escape(printable(self._title))}</b>"
            f"<table>{rows}</table><span class=dim>{notes}</span></div>"
        )

    def _row(self, name: str) -> str:
        told = self.unvaried.get(name) or _svg_bar(self[name])
        share = f"{self[name]:.3f}" if name not in self.unvaried else "0"
        return f"<tr><td>{escape(cell(name))}</td><td class=n>{share}</td><td>{told}</td></tr>"


def _trials(count: int) -> str:
    return f"{count:,} trial{'' if count == 1 else 's'}"


def _bar(share: float) -> str:
    whole, rest = divmod(round(share * _BAR * 8), 8)
    return ("█" * whole + _EIGHTHS[rest]).rstrip()


def _svg_bar(share: float) -> str:
    return (
        f'<svg width="160" height="10" role="img"><rect width="{max(1.0, 160 * share):.1f}" '
        'height="10" rx="2" fill="#3355ee"/></svg>'
    )


# Evaluating ----------------------------------------------------------------------------------


def importance(
    definition: Definition, records: Iterable[TrialRecord], evaluator: str | None = None
) -> Importance:
    """How much each parameter matters for the objective.

    Args:
        evaluator: `fanova` or `ped-anova`. Default: fanova for up to 150 trials where scikit-learn
            is installed and no parameter is conditional, else ped-anova.

    Returns:
        Of fewer than two trials, or of values that are all the same, one without shares that says
        so: see `.reason`.

    Raises:
        UsageError: there is no such evaluator.
        MissingExtraError: Optuna is not installed; for fanova, or scikit-learn is not.
    """
    counted = [one for one in records if one.counts and isfinite(one.value or 0.0) and one.params]
    chosen = _chosen(definition, len(counted), evaluator)
    unvaried = {n: why for n, why in varied(definition.space.distributions, counted).items() if why}
    names = [name for name in definition.space.names if name not in unvaried]
    reason = _nothing_to_say(counted, names)
    shares = dict.fromkeys(names, 0.0)
    if reason is None:
        shares |= _shares(definition, counted, names, chosen)
        reason = None if any(shares.values()) else "No parameter explains any of the differences."
    ordered = sorted(shares, key=lambda name: -shares[name])  # stable: else the user's order
    return Importance(
        {**{name: shares[name] for name in ordered}, **dict.fromkeys(unvaried, 0.0)},
        evaluator=chosen,
        metric=definition.objective.metric,
        trials=len(counted),
        unvaried=unvaried,
        reason=reason,
    )


def _nothing_to_say(counted: Sequence[TrialRecord], names: Sequence[str]) -> str | None:
    if len(counted) < 2:
        return (
            f"Importance needs 2 completed trials with a finite value; there "
            f"{'is 1' if counted else 'are none'} so far."
        )
    if len({one.value for one in counted}) == 1:
        return f"All {len(counted):,} trials have the same value: no parameter mattered."
    if not names:
        return "No parameter was tried with more than one value."
    return None


def _chosen(definition: Definition, trials: int, evaluator: str | None) -> str:
    if evaluator is None:
        suits = trials <= FANOVA_MOST and not definition.space.conditions
        return FANOVA if suits and find_spec("sklearn") is not None else PED_ANOVA
    if evaluator not in EVALUATORS:
        raise UsageError(f"evaluator is {' or '.join(EVALUATORS)}, not {short(evaluator)}.")
    if evaluator == FANOVA and find_spec("sklearn") is None:
        raise MissingExtraError(
            "fanova needs scikit-learn, which is not installed. Run: pip install scikit-learn; or "
            "use evaluator='ped-anova'."
        )
    return evaluator


def _shares(
    definition: Definition, counted: Sequence[TrialRecord], names: Sequence[str], evaluator: str
) -> dict[str, float]:
    """Name → share; the sum is 1, or 0 where no parameter explains anything."""
    optuna = _optuna()
    values = _scaled([one.value or 0.0 for one in counted])
    codes = {name: _code(optuna, definition.space.distributions[name]) for name in names}
    with _quiet(optuna):
        study = optuna.create_study(direction=definition.objective.direction)
        study.add_trials(
            [
                _frozen(optuna, one._replace(value=value), codes, evaluator)
                for one, value in zip(counted, values, strict=True)
            ]
        )
        found = _evaluator(optuna, evaluator, definition.seed).evaluate(study)
    total = sum(value for value in found.values() if isfinite(value))
    shares = {name: float(found.get(name, 0.0)) for name in names}
    return {n: v / total if total > 0 and isfinite(v) else 0.0 for n, v in shares.items()}


def _scaled(values: Sequence[float]) -> list[float]:
    """From 0 to 1: shares are the same, and no square of 1e300 is beyond float64."""
    low, high = min(values) / 2, max(values) / 2  # halves, for the span of 1e308 and -1e308
    return [(value / 2 - low) / (high - low) if high > low else 0.0 for value in values]


def _evaluator(optuna: Any, name: str, seed: int) -> Any:
    if name == FANOVA:
        return optuna.importance.FanovaImportanceEvaluator(seed=seed % 2**32)
    return optuna.importance.PedAnovaImportanceEvaluator()


class _Code(NamedTuple):
    """A parameter in Optuna's terms."""

    of: Distribution
    distribution: Any

    def encoded(self, value: JsonValue) -> float | int:
        if isinstance(self.of, Categorical):
            return self.of.index_of(value) or 0
        return share_below(self.of, value)


def _code(optuna: Any, distribution: Distribution) -> _Code:
    if isinstance(distribution, Categorical):
        places = range(len(distribution.values))
        return _Code(distribution, optuna.distributions.CategoricalDistribution(places))
    return _Code(distribution, optuna.distributions.FloatDistribution(0.0, 1.0))


def _frozen(optuna: Any, record: TrialRecord, codes: Mapping[str, _Code], evaluator: str) -> Any:
    """A trial for Optuna.

    Where a conditional parameter is not there, PED-ANOVA from Optuna 5 on takes that for a regime
    of its own. For the others it then has the middle of its range or the first of its list, as
    fANOVA's authors put in the default.
    """
    may_lack = evaluator == PED_ANOVA and int(optuna.__version__.partition(".")[0]) >= 5
    params: dict[str, float | int] = {}
    for name, code in codes.items():
        if name in record.params:
            params[name] = code.encoded(record.params[name])
        elif not may_lack:
            params[name] = 0 if isinstance(code.of, Categorical) else 0.5
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.COMPLETE,
        value=record.value,
        params=params,
        distributions={name: codes[name].distribution for name in params},
    )


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Neither a line about a study that the user never made, nor warnings about its trials."""
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(verbosity)


def _optuna() -> Any:
    try:
        import optuna  # half a second
    except ModuleNotFoundError as cause:
        raise MissingExtraError.for_(cause, extra="sweeps", also=("optuna",)) from cause
    return optuna
