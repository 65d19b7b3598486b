"""What the driver tells its workers, in the memory of one small actor. Not for users.

Variables that a driver sets after `ray.init` do not reach its workers, and what stands in a
trial's `config` is printed and written to `params.json`. So the driver tells the store's address,
token and all, to a named actor of its own job, and a worker asks that. Ray's `internal_kv` would
do as well, but it is open to every job of the cluster, is kept in Redis where Ray is made fault
tolerant, and outlives a driver that was killed; the actor ends with its driver, writes nothing,
and gets what it holds by a method call, which Ray does not record as it records constructors.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from podstack.errors import UsageError
from podstack.extending import Settings, new_run_id
from podstack.integrations.ray_trials import Scope

_PATIENCE = 60.0  # seconds that a worker waits for the actor's answer


class Told(NamedTuple):
    """What a worker needs to know of its trial's run."""

    settings: Settings
    scope: Scope
    node: str  # where the driver is
    is_a_folder: bool  # on that node's disk


class _Board:
    """Tellers are expected from before the first trial on, so that no worker asks too early."""

    def __init__(self, teller: str) -> None:
        self._expected = {teller}
        self._told: dict[str, Told] = {}

    def expect(self, teller: str) -> None:
        self._expected.add(teller)

    def tell(self, teller: str, experiment: str, told: Told) -> None:
        self._told[experiment] = told
        self._expected.discard(teller)

    def told(self, experiment: str) -> Told | bool:
        """What was told; else whether there is something that may yet be told."""
        return self._told.get(experiment) or bool(self._expected)

    def leave(self, teller: str, experiments: list[str]) -> None:
        self._expected.discard(teller)
        for experiment in experiments:
            self._told.pop(experiment, None)


_Remote: Any = ray.remote(num_cpus=0)(_Board)
_made: dict[tuple[str, str], Any] = {}  # by cluster and job; an actor ends with its maker's handle


class Board:
    """The actor of this job, as one callback has it, from before the first trial to the end."""

    def __init__(self) -> None:
        self._teller = new_run_id()
        self._experiments: list[str] = []
        try:
            self._actor = ray.get_actor(_name())
            ray.get(self._actor.expect.remote(self._teller))
        except ValueError:  # Ray's word for: there is none
            here = NodeAffinitySchedulingStrategy(node_id(), soft=True)
            options = _Remote.options(name=_name(), scheduling_strategy=here)
            self._actor = _made[node_id(), _name()] = options.remote(self._teller)

    def tell(self, experiment: str, told: Told) -> None:
        """Let workers of Ray's `experiment` know. Returns at once; a second call is a no-op."""
        if experiment not in self._experiments:
            self._experiments.append(experiment)
            self._actor.tell.remote(self._teller, experiment, told)

    def leave(self) -> None:
        """Let nobody know any more."""
        self._actor.leave.remote(self._teller, self._experiments)


def told_of(experiment: str) -> Told | None:
    """What the driver told of Ray's `experiment`; None where it has nothing to tell.

    Raises:
        UsageError: the driver does not come to tell.
    """
    try:
        actor = ray.get_actor(_name())
    except ValueError:
        return None
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        told: Told | bool = ray.get(actor.told.remote(experiment), timeout=_PATIENCE)
        if not isinstance(told, bool):
            return told
        if not told:
            return None
        time.sleep(0.05)
    raise UsageError(
        f"The driver of {experiment} did not say within {_PATIENCE:.0f} s where to log."
    )


def node_id() -> str:
    return str(ray.get_runtime_context().get_node_id())


def nodes() -> int:
    """How many machines the cluster has now."""
    return sum(bool(node["Alive"]) for node in ray.nodes())


def _name() -> str:
    return f"podstack-{ray.get_runtime_context().get_job_id()}"
