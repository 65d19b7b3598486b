"""Settings from the environment, read here and nowhere else.

PODSTACK_URI        where the store is: a folder, or a URL a backend serves   (./podstack-store)
PODSTACK_API_TOKEN  the token for a podstack server
PODSTACK_PROJECT    the project inside the store                              (default)
PODSTACK_MODE       online, offline or disabled                               (online)
PODSTACK_USER       who runs this                                             (the system's user)
PODSTACK_SPOOL      where runs wait that cannot be sent yet                   (the cache folder)
PODSTACK_SPOOL_LIMIT        bytes that may wait there, such as 500MB          (10GB)
PODSTACK_FINISH_TIMEOUT     seconds that the end waits for a store elsewhere  (30)
PODSTACK_NETWORK_FILESYSTEMS    filesystems that count as elsewhere  (nfs, cifs, …: mounts.py)
PODSTACK_CACHE      where readers keep their indexes                          (the cache folder)
PODSTACK_CAPTURE    what a run records of its surroundings: 1, 0, or a list   (1: everything)
PODSTACK_NOTIFY     apprise addresses that every alert is sent to             (none)
PODSTACK_EXPERIMENT, _RUN_ID, _RUN_NAME, _TAGS, _LOG_MODEL     what an integration takes for the
                    arguments that it was not given; tags between commas
PODSTACK_SWEEP_PATIENCE     seconds of silence after which a trial is offered again  (300)
PODSTACK_SWEEP_TIMEOUT      seconds that asking for a trial outlasts a store that is down    (60)
PODSTACK_SWEEP_ID, _SWEEP_TRIAL, _SWEEP_PARAMS     set by `podstack sweep agent` for the command
                    that it starts, whose first run then is the trial's: PODSTACK_RUN_ID
PODSTACK_QUIET      1: say nothing at start and finish; warnings still show
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from podstack.errors import UsageError
from podstack.names import check_id, short

DEFAULT_STORE = "./podstack-store"
MODES = ("online", "offline", "disabled")
CAPTURES = ("code", "packages", "host", "console", "system")
_JOB = (  # what of the environment a run keeps: where it was placed, and what changes its results
    *("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    *("SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_NODELIST", "PBS_JOBID", "LSB_JOBID"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"),
    *("APPTAINER_NAME", "SINGULARITY_NAME", "CONDA_DEFAULT_ENV", "PYTHONHASHSEED"),
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "XLA_FLAGS"),
)


class Settings(NamedTuple):
    """What a client needs to know before it touches a store."""

    uri: str
    project: str
    mode: str
    api_token: str | None = None
    storage_options: tuple[tuple[str, Any], ...] = ()  # of the backend; may hold secrets

    def __repr__(self) -> str:  # a secret is never shown
        return f"Settings(uri={self.uri!r}, project={self.project!r}, mode={self.mode!r})"


def settings(
    uri: str | os.PathLike[str] | None,
    api_token: str | None,
    project: str | None,
    mode: str | None,
    storage_options: Mapping[str, Any] | None = None,
) -> Settings:
    """What was passed, else the environment, else the default.

    Raises:
        UsageError: the mode, the project's name, a limit or a timeout is not one.
    """
    mode = mode or os.environ.get("PODSTACK_MODE") or "online"
    if mode not in MODES:
        raise UsageError(f"mode is one of {', '.join(MODES)}, not {short(mode)}.")
    project = project or os.environ.get("PODSTACK_PROJECT") or "default"
    finish_timeout(), spool_limit()  # a wrong one is told now, and not at the end of a training
    return Settings(
        uri=os.fspath(uri or os.environ.get("PODSTACK_URI") or DEFAULT_STORE),
        project=check_id("project", project),
        mode=mode,
        api_token=api_token or os.environ.get("PODSTACK_API_TOKEN"),
        storage_options=tuple(sorted((storage_options or {}).items())),
    )


def api_token() -> str | None:
    """PODSTACK_API_TOKEN."""
    return os.environ.get("PODSTACK_API_TOKEN") or None


def user() -> str:
    """Who runs this: PODSTACK_USER, else the system's user."""
    name = os.environ.get("PODSTACK_USER")
    if name:
        return name
    import getpass  # 3 ms

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number that has no name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def spool_folder() -> Path:
    """Where runs wait that cannot be written to their store directly."""
    named = os.environ.get("PODSTACK_SPOOL")
    return Path(named) if named else _users_cache() / "spool"  # PODSTACK_CACHE may be emptied


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def spool_limit() -> int:
    """Bytes that may wait in the spool: PODSTACK_SPOOL_LIMIT, else 10 GB.

    Raises:
        UsageError: it is no size.
    """
    text = os.environ.get("PODSTACK_SPOOL_LIMIT") or "10GB"
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"PODSTACK_SPOOL_LIMIT is a size such as 500MB or 10GB, not {short(text)}."
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])


def finish_timeout() -> float:
    """Seconds that the end of a run or a process waits: PODSTACK_FINISH_TIMEOUT, else 30.

    Raises:
        UsageError: it is no number of seconds.
    """
    return _seconds("PODSTACK_FINISH_TIMEOUT", "30")


def sweep_patience() -> float:
    """Seconds of silence after which a trial is offered again: PODSTACK_SWEEP_PATIENCE, else 300.

    Raises:
        UsageError: it is no number of seconds.
    """
    return _seconds("PODSTACK_SWEEP_PATIENCE", "300")


def sweep_timeout() -> float:
    """Seconds for which a trial is asked for while the store is down: PODSTACK_SWEEP_TIMEOUT,
    else 60.

    Raises:
        UsageError: it is no number of seconds.
    """
    return _seconds("PODSTACK_SWEEP_TIMEOUT", "60")


def _seconds(variable: str, default: str) -> float:
    text = os.environ.get(variable) or default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise UsageError(f"{variable} is a number of seconds, not {short(text)}.")
    return seconds


def network_filesystems() -> frozenset[str] | None:
    """The types of PODSTACK_NETWORK_FILESYSTEMS; None where it is not set."""
    text = os.environ.get("PODSTACK_NETWORK_FILESYSTEMS")
    return None if text is None else frozenset(part.strip() for part in text.split(","))


def quiet() -> bool:
    """Whether the lines at start and finish are unwanted."""
    return os.environ.get("PODSTACK_QUIET", "") not in ("", "0")


def be_quiet() -> None:
    """As if PODSTACK_QUIET were set, for this process and those that it starts."""
    os.environ["PODSTACK_QUIET"] = "1"


def given() -> dict[str, str]:
    """The variables of podstack that are set, secrets and all."""
    return {name: os.environ[name] for name in sorted(os.environ) if name.startswith("PODSTACK_")}


def cache_folder() -> Path:
    """Where readers keep what they can build again: PODSTACK_CACHE, else the user's cache."""
    named = os.environ.get("PODSTACK_CACHE")
    return Path(named) if named else _users_cache()


def _users_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podstack"


def notify_urls() -> list[str]:
    """Where every alert of this process is sent: apprise addresses between spaces or commas.

    A comma inside an address, as between two mail recipients, does not divide.
    """
    text = os.environ.get("PODSTACK_NOTIFY", "").strip(" ,\t\r\n")
    return re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9]*://)", text) if text else []


class Defaults(NamedTuple):
    """What the environment says where an integration was given no argument."""

    experiment: str | None
    run_id: str | None
    run_name: str | None
    tags: tuple[str, ...]
    log_model: str | None
    rank: int  # of this process among those that train together; 0 where it is alone
    uri: str | None


def defaults() -> Defaults:
    """PODSTACK_EXPERIMENT, _RUN_ID, _RUN_NAME, _TAGS, _LOG_MODEL, _URI, and the rank."""
    named = {
        name: os.environ.get(f"PODSTACK_{name.upper()}") or None
        for name in ("experiment", "run_id", "run_name", "log_model", "uri")
    }
    tags = (tag.strip() for tag in os.environ.get("PODSTACK_TAGS", "").split(","))
    return Defaults(
        experiment=named["experiment"],
        run_id=named["run_id"],
        run_name=named["run_name"],
        tags=tuple(tag for tag in tags if tag),
        log_model=named["log_model"],
        rank=_rank(),
        uri=named["uri"],
    )


def _rank() -> int:
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"):
        text = os.environ.get(name, "")
        if text.isdecimal():
            return int(text)
    return 0


_HANDED_DOWN = "PODSTACK_HANDED_DOWN"  # "<process id>:<run id>,<run id>"


def hand_down(run_id: str) -> None:
    """Let the processes that this one starts mean the same run, until `take_back`.

    For launchers that run the user's script again in each process, constructors included.
    """
    _hand_down([*_ids_from(os.getpid()), run_id])


def take_back(run_id: str) -> None:
    """Undo `hand_down`; one that was not handed down is fine."""
    _hand_down([kept for kept in _ids_from(os.getpid()) if kept != run_id])


def handed_down() -> list[str]:
    """The runs that the process which started this one handed down, in its order."""
    return _ids_from(os.getppid())


def _ids_from(process: int) -> list[str]:
    giver, _, ids = os.environ.get(_HANDED_DOWN, "").partition(":")
    return ids.split(",") if ids and giver == str(process) else []


def _hand_down(run_ids: list[str]) -> None:
    if run_ids:
        os.environ[_HANDED_DOWN] = f"{os.getpid()}:{','.join(run_ids)}"
    elif _ids_from(os.getpid()):
        del os.environ[_HANDED_DOWN]


def capture(wanted: bool | str | Iterable[str] | None) -> frozenset[str]:
    """The parts of its surroundings that a run records: as wanted, else by PODSTACK_CAPTURE.

    Args:
        wanted: True or False for all or nothing, the parts as names or as a comma-separated text,
            or None to ask the environment.

    Raises:
        UsageError: a part is none of `CAPTURES`.
    """
    if wanted is None:
        wanted = os.environ.get("PODSTACK_CAPTURE", "1")
    if isinstance(wanted, str):
        wanted = _WORDS.get(wanted.strip().lower(), wanted.split(","))
    if not wanted:
        return frozenset()
    parts = CAPTURES if wanted is True else wanted
    if not isinstance(parts, Iterable):
        raise _no_capture(wanted)
    named = [part.strip() if isinstance(part, str) else part for part in parts]
    wrong = [part for part in named if part not in (*CAPTURES, "")]
    if wrong:
        raise _no_capture(*wrong)
    return frozenset(named) - {""}


_WORDS = {"1": True, "all": True, "true": True, "0": False, "none": False, "false": False}


def _no_capture(*wrong: object) -> UsageError:
    return UsageError(
        f"capture is True, False, or some of {', '.join(CAPTURES)}; "
        f"{', '.join(map(short, wrong))} is none of these. "
        "Write capture=('code', 'packages') or PODSTACK_CAPTURE=code,packages."
    )


def job() -> dict[str, str]:
    """The few variables that say where a run was placed and what changes its results."""
    return {name: os.environ[name] for name in _JOB if name in os.environ}


def variable(name: str) -> str:
    """A variable that a sweep's command asks for by its name; empty where it is not set."""
    return os.environ.get(name, "")


def for_child(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that this one starts, with some variables set."""
    return {**os.environ, **changes}


class GivenTrial(NamedTuple):
    """The trial of a sweep that an agent started this process for."""

    uri: str
    project: str
    experiment: str
    run: str
    sweep: str
    number: int
    params: Mapping[str, Any]  # nested


def given_trial() -> GivenTrial | None:
    """What the variables say that an agent sets; None where it did not."""
    names = ("URI", "PROJECT", "EXPERIMENT", "RUN_ID", "SWEEP_ID", "SWEEP_TRIAL")
    found = {name: os.environ.get(f"PODSTACK_{name}", "") for name in names}
    if not all(found.values()) or not found["SWEEP_TRIAL"].isdecimal():
        return None
    import json

    try:
        params = json.loads(os.environ.get("PODSTACK_SWEEP_PARAMS") or "{}")
    except ValueError:
        params = {}
    return GivenTrial(
        uri=found["URI"],
        project=found["PROJECT"],
        experiment=found["EXPERIMENT"],
        run=found["RUN_ID"],
        sweep=found["SWEEP_ID"],
        number=int(found["SWEEP_TRIAL"]),
        params=params if isinstance(params, dict) else {},
    )


def notebook() -> str | None:
    """The notebook of this kernel, as Jupyter names it to its kernels."""
    return os.environ.get("JPY_SESSION_NAME") or None


def git_environment() -> dict[str, str]:
    """An environment in which git asks nobody, fetches nothing and writes nothing."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name == "GIT_CEILING_DIRECTORIES"
    }
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",  # of a partial clone; git 2.45
        "GIT_ALLOW_PROTOCOL": "none",  # the same for older ones
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }
