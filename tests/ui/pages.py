"""Every page, by name: the one list that the suites, the screenshots and the benchmark walk."""

from __future__ import annotations

_P = "/projects/default"
_RUN = _P + "/runs/{run}"
_EXPERIMENT = _P + "/experiments/{experiment}"

GENERAL = {
    "experiments": f"{_P}/experiments",
    "all runs": f"{_P}/runs",
    "all sweeps": f"{_P}/sweeps",
    "alerts": f"{_P}/alerts",
    "search": f"{_P}/search?q=resnet",
    "settings": "/settings",
    "keys": "/help/keys",
}  # those that a store without anything has too

OWNED = {
    "runs": _EXPERIMENT,
    "charts": f"{_EXPERIMENT}/charts",
    "experiment sweeps": f"{_EXPERIMENT}/sweeps",
    "experiment notes": f"{_EXPERIMENT}/notes",
    "experiment settings": f"{_EXPERIMENT}/settings",
    "run": _RUN,
    "parameters": f"{_RUN}/params",
    "metrics": f"{_RUN}/metrics",
    "artifacts": f"{_RUN}/artifacts",
    "artifact": f"{_RUN}/artifacts/{{artifact}}",
    "datasets": f"{_RUN}/datasets",
    "run alerts": f"{_RUN}/alerts",
    "notes": f"{_RUN}/notes",
    "compare": f"{_P}/compare?runs={{runs}}",
}
SWEEPS = {"new sweep": f"{_P}/sweeps/new", "sweep": f"{_P}/sweeps/{{sweep}}"}

PAGES = GENERAL | OWNED | SWEEPS
EMPTY = GENERAL | {"new sweep": SWEEPS["new sweep"], "compare": f"{_P}/compare"}
WITHOUT_SWEEPS = GENERAL | OWNED | {"new sweep": SWEEPS["new sweep"]}

SHORT = {
    "/": f"{_P}/experiments",
    "/experiments": f"{_P}/experiments",
    "/experiments/{experiment}": _EXPERIMENT,
    "/runs/{run}": _RUN,
    "/runs/{run}/metrics": f"{_RUN}/metrics",
    "/sweeps/{sweep}": SWEEPS["sweep"],
}  # what a person types, and where it leads
