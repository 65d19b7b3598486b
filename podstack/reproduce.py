"""The commands that bring a run's code, packages and call back: `run.reproduce()`.

They are printed, never run. What they are made of comes from a store that anybody may have
written to, so every value is quoted, none can become an option or another command, and what is
not what it should be is left out and said. What cannot be brought back exactly is said first.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podstack import clock, secrets
from podstack.console import readable_bytes
from podstack.environment import CHANGES, REQUIREMENTS, Environment
from podstack.names import printable
from podstack.parameters import MASK

if TYPE_CHECKING:
    from podstack.stored_run import StoredRun

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REMOTE = re.compile(
    r"(?:https?|ssh|git|git\+ssh)://[A-Za-z0-9\[][^\s\x00-\x1f]*"  # a URL
    r"|file:///[^\x00-\x1f]*"
    r"|/[^\x00-\x1f]*|[A-Za-z]:[\\/][^\x00-\x1f]*"  # a folder
    r"|(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9._-]*:(?!:|//)"  # host:path
    r"[A-Za-z0-9~/._][^\s\x00-\x1f]*"
)
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+_]*")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SEED = re.compile(r"(?:.*[^A-Za-z])?seed(?:s|[^A-Za-z].*)?", re.IGNORECASE)
_TELLING = (
    *("PYTHONHASHSEED", "OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"),
    *("NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "XLA_FLAGS"),
)
_NAMED = 5  # files or packages that a warning names


class Recipe(str):
    """Comments and commands for a shell, as one text; `warnings` says what they cannot restore."""

    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)


def recipe(run: StoredRun) -> Recipe:
    """How to run it again. Read before use: the commands are what the store says."""
    environment = run.environment
    warnings = [printable(line) for line in _warnings(environment, run.params)]
    title = f"Run {run.name} ({run.id}) of {clock.readable(run.created)}, {run.user}"
    lines = [*_comments([title, *_head(warnings)])]
    lines += _setting_up(run, environment)
    lines += _comments(_data(run))
    lines += _calling(environment, run.params)
    text = Recipe("\n".join(lines))
    text.warnings = tuple(warnings)
    return text


def _head(warnings: Sequence[str]) -> Iterator[str]:
    yield "Read these commands before you run them: they are what the store says."
    if warnings:
        yield "They do not bring everything back:"
        yield from (f"- {warning}" for warning in warnings)


def _comments(lines: Sequence[str] | Iterator[str]) -> list[str]:
    return [f"# {printable(line)}" for line in lines]


# What is done ------------------------------------------------------------------------------


def _setting_up(run: StoredRun, environment: Environment) -> Iterator[str]:
    folder = f"reproduce-{run.id}"
    yield f"mkdir {folder} && cd {folder}"
    if environment.diff_bytes or environment.packages:
        yield f"{_python()} -c {quoted(_saving(run))}"
    if environment.packages:
        version = re.match(r"\d+\.\d+", environment.python or "")
        yield f"python{version[0] if version else '3'} -m venv venv && . venv/bin/activate"
        yield f"python -m pip install -r {REQUIREMENTS}"
    source = _source(environment)
    if source is not None and _is_commit(environment):
        yield f"git clone --no-checkout -- {quoted(source)} code && cd code"
        yield f"git checkout --detach {environment.commit}"
        if environment.diff_bytes:
            yield f"git apply --whitespace=nowarn ../{CHANGES}"


def _calling(environment: Environment, params: Mapping[str, Any]) -> Iterator[str]:
    seeds = _seeds(params)
    if seeds:
        yield from _comments([f"seeds: {', '.join(f'{name} = {seeds[name]}' for name in seeds)}"])
    if environment.notebook is not None:
        yield from _comments([f"the notebook {environment.notebook}"])
        return
    arguments = _arguments(environment)
    if not arguments:
        return
    subfolder = _subfolder(environment)
    if subfolder:
        yield f"cd -- {quoted(subfolder)}"
    job = environment.job
    settings = [f"{name}={quoted(job[name])}" for name in _TELLING if name in job]
    yield " ".join([*settings, "python", *arguments])


def _data(run: StoredRun) -> Iterator[str]:
    for name, facts in run.datasets.items():
        digest = facts.get("sha256") or facts.get("sha256_of_ends")
        known = f", SHA-256 {digest}" if digest else ""
        yield f"dataset {name}: {secrets.without_user(str(facts.get('path')))}{known}"
    files = list(run.artifacts.values())
    if files:
        size = readable_bytes(sum(file.size for file in files))
        yield f"the {len(files)} files that it logged ({size}), if they are wanted:"
        yield f"{_python()} -c {quoted(_fetching(run))}"


def _python() -> str:
    """The Python that has podstack: by the short name where that is it."""
    found = shutil.which("python")
    is_it = found is not None and os.path.realpath(found) == os.path.realpath(sys.executable)
    is_it = is_it and os.path.dirname(found or "") == os.path.dirname(sys.executable)
    return "python" if is_it else quoted(sys.executable)


def _saving(run: StoredRun) -> str:
    return f"{_opening(run)}.environment.save()"


def _fetching(run: StoredRun) -> str:
    files = f"{_opening(run).removeprefix(_IMPORT)}.artifacts.values()"
    return f'{_IMPORT}[file.download("files") for file in {files}]'


_IMPORT = "from podstack import MLOpsClient; "


def _opening(run: StoredRun) -> str:
    settings = run._store.portable_settings
    project, mode, run_id = map(json.dumps, (settings.project, settings.mode, run.id))
    options = f", project={project}" + ("" if settings.mode == "online" else f", mode={mode}")
    uri = json.dumps(secrets.without_user(settings.uri))
    return f"{_IMPORT}MLOpsClient({uri}{options}).get_run({run_id})"


def _is_commit(environment: Environment) -> bool:
    return _COMMIT.fullmatch(environment.commit or "") is not None


def _source(environment: Environment) -> str | None:
    """Where to clone from: the remote, else the repository's own folder on its machine."""
    places = (environment.remote, environment.repository)
    return next((place for place in places if place and _REMOTE.fullmatch(place)), None)


def _inside(path: str | None, folder: str | None) -> str | None:
    """`path` relative to `folder`; None where it is not below it."""
    if path is None or folder is None:
        return None
    if path == folder:
        return ""
    rest = path.removeprefix(folder.rstrip("/") + "/")
    return None if rest == path or ".." in rest.split("/") else rest


def _subfolder(environment: Environment) -> str | None:
    return _inside(environment.folder, environment.repository)


def _arguments(environment: Environment) -> list[str]:
    """The command after its interpreter, quoted, with the script named by its place in the code."""
    return [
        _installed_program(argument, environment) or quoted(_placed(argument, environment))
        for argument in environment.arguments[1:]
    ]


def _installed_program(argument: str, environment: Environment) -> str | None:
    """A program of the old virtual environment, such as torchrun, as that of the new one."""
    folder, _, name = argument.rpartition("/")
    is_beside = bool(folder) and folder == os.path.dirname(environment._text("executable") or "")
    return f'"$VIRTUAL_ENV"/bin/{name}' if is_beside and _PROGRAM.fullmatch(name) else None


def _placed(argument: str, environment: Environment) -> str:
    script = environment.script
    own = _inside(script, environment.repository)
    folder = environment.folder or ""
    if own is None or os.path.normpath(os.path.join(folder, argument)) != script:
        return argument
    return os.path.relpath(own, _subfolder(environment) or ".")


def quoted(text: str) -> str:
    """`text` as one word for a shell; what a terminal would obey is written as escapes."""
    if text.isprintable():
        return shlex.quote(text)
    letters = (
        letter if letter.isprintable() and letter not in "\\'" else _escaped(letter)
        for letter in text
    )
    return f"$'{''.join(letters)}'"


def _escaped(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def _seeds(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters whose last part speaks of a seed, and that hold one."""
    return {
        name: value
        for name, value in params.items()
        if _SEED.fullmatch(name.rpartition("/")[2]) and type(value) is int
    }


# What is lost ------------------------------------------------------------------------------


def _warnings(environment: Environment, params: Mapping[str, Any]) -> Iterator[str]:
    yield from _about_code(environment)
    yield from _about_changes(environment)
    yield from _about_packages(environment)
    yield from _about_call(environment)
    if not _seeds(params):
        yield "no parameter is called a seed: random numbers will differ"


def _about_code(environment: Environment) -> Iterator[str]:
    if environment.commit is None:
        where = environment.script or environment.folder
        yield f"no commit is known of its code{f', which was {where}' if where else ''}"
        return
    if not _is_commit(environment):
        yield f"what stands as the commit is none: {environment.commit}"
    remote, source = environment.remote, _source(environment)
    if remote and remote != source:
        yield f"its remote is no address that is safe to clone: {remote}"
    if source is None or source.startswith("/"):
        where = (
            f" in {environment.repository} on {environment.host}" if environment.repository else ""
        )
        yield f"no remote elsewhere is known: the repository was{where}"
    if environment.unpushed:
        count = environment.unpushed
        yield f"{count} of its commits were on no remote, which may lack {environment.commit}"
    if environment.get("submodules"):
        yield "the code has submodules, of which nothing is recorded: git submodule update --init"


def _about_changes(environment: Environment) -> Iterator[str]:
    changes = environment.changes
    if environment.commit is not None and environment.dirty is None:
        yield "git was too slow to say what was changed"
    if environment.left_out:
        yield f"too large to be kept were the changes of {_few(environment.left_out)}"
    if changes.get("whole") is False:
        yield "there may be more changes than are kept"
    if changes.get("masked"):
        yield f"the changes held secrets, now {MASK}: they may not apply, or miss them"
    if environment.untracked:
        yield f"files that git did not know are not kept: {_few(environment.untracked)}"


def _about_packages(environment: Environment) -> Iterator[str]:
    packages, sources = environment.packages, environment.sources
    if not packages:
        yield "its packages are not recorded"
    editable = [name for name in packages if sources.get(name, {}).get("editable")]
    if editable:
        yield f"installed from a folder, so of unknown content: {_few(editable)}"
    local = [f"{name} {version}" for name, version in packages.items() if "+" in version]
    if local:
        yield f"built for one kind of machine, and perhaps on another index: {_few(local)}"
    if "CONDA_DEFAULT_ENV" in environment.job:
        yield "it ran in a conda environment, of which only the Python packages are kept"


def _about_call(environment: Environment) -> Iterator[str]:
    if environment.notebook is None and not environment.arguments:
        yield "its command is not recorded"
    if any(MASK in argument for argument in environment.arguments):
        yield f"secrets in the command are masked: replace {MASK}"
    folder = environment.folder
    if environment.repository and folder and _subfolder(environment) is None:
        yield f"it ran in {folder}, outside of its repository: relative paths began there"
    if _is_elsewhere(environment):
        yield f"its script was not part of the repository: {environment.script}"
    size = environment.job.get("WORLD_SIZE", "1")
    if size != "1":
        yield f"it was one of {size} processes that a launcher such as torchrun started"


def _is_elsewhere(environment: Environment) -> bool:
    script, executable = environment.script or "", environment._text("executable") or ""
    is_program = os.path.dirname(script) == os.path.dirname(executable)
    outside = _inside(script, environment.repository) is None
    return bool(environment.repository and script) and outside and not is_program


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


# Packages ----------------------------------------------------------------------------------


def requirements(packages: Mapping[str, str], sources: Mapping[str, Mapping[str, Any]]) -> str:
    """A requirements file with every version pinned; empty where no package is known."""
    lines = [
        _requirement(name, version, sources.get(name, {}))
        for name, version in sorted(packages.items())
        if name != "pip"
    ]
    return "".join(f"{line}\n" for line in lines)


def _requirement(name: str, version: str, source: Mapping[str, Any]) -> str:
    plain = _PACKAGE.fullmatch(name) and _VERSION.fullmatch(version)
    if not plain:
        return f"# {printable(f'{name} {version}')} is no package and version"
    url, commit = str(source.get("url", "")), str(source.get("commit", ""))
    if source.get("editable"):
        return f"# {name} {version} was installed from the folder {printable(url)}"
    if source.get("vcs") == "git" and _COMMIT.fullmatch(commit) and re.fullmatch(_GIT_URL, url):
        return f"{name} @ git+{url}@{commit}"
    return f"{name}=={version}"


_GIT_URL = r"(?:https?|ssh)://[A-Za-z0-9][^\s\x00-\x1f;#]*"
