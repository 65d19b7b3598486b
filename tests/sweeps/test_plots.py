"""Pictures of a sweep: complete whatever there is to show, as text what users wrote."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from podstack import UsageError, WrongTypeError
from podstack.sweeps.definition import Definition
from podstack.sweeps.pictures import smoothed
from podstack.sweeps.plots import KINDS, figure
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.testing.sweeping import drawn_params

SPACE = {
    "lr": {"min": 1e-5, "max": 0.1, "distribution": "log_uniform"},
    "kind": {"values": ["adam", "sgd"]},
    "momentum": {"min": 0.0, "max": 0.9, "when": {"kind": "sgd"}},
    "epochs": 5,
}
LISTS = {"kind": {"values": ["a", "b"]}, "flag": {"values": [True, None, 1]}}
HOSTILE = {
    "$x_1$ <script>alert(1)</script>": {"min": 0.0, "max": 1.0},
    "$$\\frac{": {"values": ["$a^{", "b\\", "</svg>", "x" * 300]},
    "deep/" * 20 + "name": {"min": 1, "max": 9},
}


def definition(space: Mapping[str, Any] = SPACE, metric: str = "val_loss") -> Definition:
    return Definition(
        id="20261128-100000-abcdefgh", name="calm-otter-7", experiment="digits", user="ada",
        created=1000.0, strategy="random", options={}, seed=7, space=SearchSpace.parse(space),
        objective=Objective(metric, "minimize"), max_trials=None,
    )  # fmt: skip


def drawn(of: Definition, count: int, value: Callable[[int], float] = float) -> list[TrialRecord]:
    chance = random.Random(3)
    found = []
    for number in range(1, count + 1):
        params = drawn_params(of.space, chance)
        found.append(TrialRecord(number, params, "completed", value(number)))
    return found


def texts(found: Figure) -> str:
    """All that a reader finds written in a picture, once it is drawn."""
    found.savefig(BytesIO(), format="png", dpi=40)
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in found.findobj(Text))


def mixed(of: Definition) -> list[TrialRecord]:
    records = drawn(of, 12)
    records[1] = records[1]._replace(status="failed", value=None)
    records[2] = records[2]._replace(value=math.nan)
    records[3] = records[3]._replace(pruned=True)
    records[4] = records[4]._replace(value=math.inf)
    records[5] = records[5]._replace(value=-1e308)
    return records


CASES: dict[str, tuple[Definition, list[TrialRecord]]] = {
    "no trial": (definition(), []),
    "one trial": (definition(), drawn(definition(), 1)),
    "only NaN": (definition(), drawn(definition(), 3, lambda _: math.nan)),
    "some of everything": (definition(), mixed(definition())),
    "lists only": (definition(LISTS), drawn(definition(LISTS), 12)),
    "one constant": (definition({"a": 1}), [TrialRecord(1, {"a": 1}, "completed", 1.0)]),
    "hostile names": (definition(HOSTILE, "$\\frac{1}$ <b>"), drawn(definition(HOSTILE), 12)),
    "equal values": (definition(), drawn(definition(), 8, lambda _: 0.0)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_a_picture_is_complete_whatever_there_is(case: str, kind: str) -> None:
    of, records = CASES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = figure(of, records, kind)
        buffer = BytesIO()
        shown.savefig(buffer, format="png", dpi=40)

    assert buffer.getvalue().startswith(b"\x89PNG")


def test_the_history_tells_apart_what_has_no_value() -> None:
    of, records = CASES["some of everything"]
    shown = texts(figure(of, records, "history"))

    for told in ("best so far", "pruned", "3 not finite", "1 failed or killed", "val_loss"):
        assert told in shown


def test_an_importance_of_few_trials_says_so() -> None:
    shown = texts(figure(*CASES["lists only"], "importance"))

    assert "12 trials, low confidence" in shown
    assert "kind" in shown
    assert "flag" in shown


def test_pictures_without_data_say_why() -> None:
    assert "No trial is completed yet." in texts(figure(*CASES["no trial"], "history"))
    nothing = "No trial is completed with a finite value yet."
    assert nothing in texts(figure(*CASES["only NaN"], "slice"))
    assert "No parameter was tried" in texts(figure(*CASES["one constant"], "parallel"))


def test_a_logarithmic_range_has_a_logarithmic_axis() -> None:
    shown = figure(*CASES["some of everything"], "slice")

    scales = {axes.get_xlabel(): axes.get_xscale() for axes in shown.axes}
    assert scales["lr"] == "log"
    assert scales["momentum"] == "linear"
    assert "epochs" not in scales


def test_what_a_trial_does_not_have_lies_below_the_axes() -> None:
    assert "not there" in texts(figure(*CASES["some of everything"], "parallel"))


def test_names_are_text_and_no_formulas() -> None:
    shown = texts(figure(*CASES["hostile names"], "slice"))

    assert "$\\frac{1}$ <b>" in shown
    assert "$$\\frac{" in shown
    assert "</svg>" in shown


def test_parameters_may_be_chosen() -> None:
    of, records = CASES["some of everything"]
    shown = figure(of, records, "contour", ["kind", "lr"])

    assert (shown.axes[0].get_xlabel(), shown.axes[0].get_ylabel()) == ("kind", "lr")


def test_more_than_twelve_parameters_are_counted() -> None:
    of = definition({f"p{i}": {"min": 0.0, "max": 1.0} for i in range(15)})

    assert "3 more parameters" in texts(figure(of, drawn(of, 5), "parallel"))


@pytest.mark.parametrize(
    ("kind", "params", "error", "message"),
    [
        ("pie", None, UsageError, "plotted as history, importance, slice, contour, parallel, not"),
        ("history", ["lr"], UsageError, "history takes none"),
        ("slice", "lr", WrongTypeError, "params is a list of names"),
        ("slice", [], WrongTypeError, "params is a list of names"),
        ("slice", ["rate"], UsageError, "no parameter 'rate'; it has lr, kind, momentum, epochs"),
        ("contour", ["lr"], UsageError, "contour shows two parameters, not 1"),
    ],
)
def test_what_cannot_be_plotted_is_refused(
    kind: str, params: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        figure(definition(), [], kind, params)


def test_the_surface_goes_through_what_was_measured() -> None:
    chance = np.random.default_rng(1)
    xs, ys = chance.random(400), chance.random(400)
    ticks = np.linspace(0.2, 0.8, 7)
    heights, near = smoothed(xs, ys, 3 * xs + 100, ticks)

    assert heights.shape == near.shape == (7, 7)
    assert np.abs(heights - (3 * ticks[None, :] + 100)).max() < 0.4
    assert near.min() > 0.5
    assert smoothed(np.zeros(4), np.zeros(4), np.ones(4), ticks)[1].max() < 1.0


def test_a_notebook_gets_a_picture() -> None:
    shown = figure(*CASES["lists only"], "history")

    assert isinstance(shown, Figure)
    assert shown._repr_png_().startswith(b"\x89PNG")


def test_nothing_global_is_touched_and_nothing_loaded_before() -> None:
    script = (
        "import sys, podstack.sweeps.plots\n"
        "assert 'matplotlib' not in sys.modules and 'numpy' not in sys.modules\n"
        "import matplotlib\n"
        "before = dict(matplotlib.rcParams)\n"
        "import podstack.sweeps.pictures as pictures\n"
        "pictures.Picture().subplots()\n"
        "import matplotlib.pyplot as plt\n"
        "print(before == dict(matplotlib.rcParams), plt.get_fignums())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "True []\n"


def test_without_matplotlib_it_says_what_to_install() -> None:
    script = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "from podstack.sweeps.plots import _pictures\n"
        "_pictures()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert "matplotlib is not installed. Run: pip install 'podstack[plot]'" in done.stderr
