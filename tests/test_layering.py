"""Who may know whom. Read from the source by `ast`, so that nothing has to be imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

# A module imports from its own floor or from below. A package stands on one floor as a whole.
FLOORS = {
    # words, time, the process we are in
    0: "mounts locks errors names clock config retry forks console processes programs addresses",
    # formats and protocols
    1: "backend keys oplog points scalars parameters series summaries expressions disabled"
    " secrets facts"
    " directions frames coverage compacted parquet transcript packed overlay patience witnesses"
    " curves",
    # logs going out, logs coming in
    2: "keeper log journal spool shipper reader point_logs parts liveness metrics",
    # one capability each
    3: "store delivery artifacts intake datasets endings display index query compare sync compact"
    " export differences transfer hinting spools tally pending remote_metrics"
    " overlaid watching comparison_view buckets plotted curve_pictures figure"
    " columns tables experiment_table measured merging verify checks alerts"
    " environment output system capture gathering surroundings git reproduce",
    # what a user holds in the hand
    4: "stored_run position experiment edits views run starting client sweep_calls sweeps"
    " extending __init__",
    # requests, pages, commands, and the helpers for tests
    5: "server cli testing __main__",
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names.split()}


class Import(NamedTuple):
    """One module that a file imports; `lazy` where that happens inside a function."""

    module: str
    lazy: bool


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a module of ours; `backends/` and `integrations/` lie in `podstack`."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] != "podstack":
        parts.insert(0, "podstack")
    return ".".join(parts).removesuffix(".__init__")


CORE = files("podstack")
PLUGINS = files("backends", "integrations")
RUNTIME = [path for path in CORE if ROOT / "podstack/testing" not in path.parents]
MODULES = {name_of(path): path for path in [*CORE, *PLUGINS]}


@cache
def tree_of(path: Path) -> ast.Module:
    """A file as it is written; parsed once for all that is asked of it."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(path: Path, *, types_too: bool = False) -> tuple[Import, ...]:
    """The modules a file imports at run time; those for type checkers too, if asked."""
    is_package = path.name == "__init__.py"
    return tuple(_imports(tree_of(path), name_of(path), is_package, types_too, lazy=False))


def _imports(
    node: ast.AST, here: str, package: bool, types_too: bool, *, lazy: bool
) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, lazy) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (Import(name, lazy) for name in _sources(node, here, package))
    elif isinstance(node, ast.If) and _asks_for_types(node.test) and not types_too:
        for statement in node.orelse:
            yield from _imports(statement, here, package, types_too, lazy=lazy)
    else:
        lazy = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.expr):  # no expression holds an import
                yield from _imports(child, here, package, types_too, lazy=lazy)


def _sources(node: ast.ImportFrom, here: str, package: bool) -> Iterator[str]:
    """`from podstack import keys` is the module podstack.keys, `… import Run` is podstack."""
    base = node.module or ""
    if node.level:
        parts = here.split(".")
        kept = len(parts) - node.level + (1 if package else 0)
        base = ".".join([*parts[:kept], *([base] if base else [])])
    for alias in node.names:
        whole = f"{base}.{alias.name}"
        yield whole if whole in MODULES or whole in _PLUGIN_PACKAGES else base


_PLUGIN_PACKAGES = ("podstack.backends", "podstack.integrations")


def _asks_for_types(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "podstack"


def top_of(module: str) -> str:
    """The name that has a floor: `podstack.server.pages` stands on that of `server`."""
    return [*module.split("."), "__init__"][1]


def floor_of(module: str) -> int:
    return FLOOR[top_of(module)]


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_plugin(module: str) -> bool:
    return module.startswith(_PLUGIN_PACKAGES)


def test_every_module_has_one_floor() -> None:
    names = " ".join(FLOORS.values()).split()
    modules = {top_of(name_of(path)) for path in CORE}

    assert sorted(set(names)) == sorted(names)
    assert sorted(modules - set(names)) == []


@pytest.mark.parametrize("path", CORE, ids=ids)
def test_imports_go_to_the_same_floor_or_down(path: Path) -> None:
    here = name_of(path)
    known = [entry.module for entry in imports(path) if is_ours(entry.module)]
    upward = [name for name in known if not is_plugin(name) and floor_of(name) > floor_of(here)]

    assert upward == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Counted are imports that run when the module is imported."""
    graph = {
        name: {
            entry.module
            for entry in imports(path)
            if is_ours(entry.module) and not entry.lazy and entry.module != name
        }
        for name, path in MODULES.items()
    }

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"{' → '.join(error.args[1])}")


@pytest.mark.parametrize("path", CORE, ids=ids)
def test_core_never_names_a_plugin(path: Path) -> None:
    """Neither in an import, nor in a text that could be given to one."""
    tree = tree_of(path)
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    module = re.compile(r"podstack\.(backends|integrations)\.\w+(:\w+)?")

    assert [e.module for e in imports(path, types_too=True) if is_plugin(e.module)] == []
    assert [text for text in texts if module.fullmatch(text)] == []


@pytest.mark.parametrize("path", RUNTIME, ids=ids)
def test_nothing_that_runs_needs_the_helpers_for_tests(path: Path) -> None:
    known = [e.module for e in imports(path, types_too=True)]

    assert [name for name in known if name.startswith("podstack.testing") or name == "pytest"] == []


@pytest.mark.parametrize("path", files("backends"), ids=ids)
def test_a_backend_knows_the_seam_and_nothing_else_of_the_core(path: Path) -> None:
    allowed = {"podstack.backend", "podstack.errors", "podstack.retry"}
    known = {e.module for e in imports(path, types_too=True) if is_ours(e.module)}

    assert (
        sorted(name for name in known - allowed if not name.startswith("podstack.backends.")) == []
    )


@pytest.mark.parametrize("path", files("integrations"), ids=ids)
def test_an_integration_uses_public_names(path: Path) -> None:
    allowed = {"podstack", "podstack.errors", "podstack.extending"}
    known = {e.module for e in imports(path, types_too=True) if is_ours(e.module)}

    assert (
        sorted(name for name in known - allowed if not name.startswith("podstack.integrations."))
        == []
    )


@pytest.mark.parametrize("folder", ["podstack", "backends", "integrations", "tests", "examples"])
def test_the_mapped_folders_are_never_imported_by_their_own_names(folder: str) -> None:
    """From the root of a checkout `import backends.local` works and gives a second class."""
    wrong = [
        f"{ids(path)}: {entry.module}"
        for path in files(folder)
        for entry in imports(path, types_too=True)
        if entry.module.partition(".")[0] in ("backends", "integrations")
    ]

    assert wrong == []


@pytest.mark.parametrize(
    "path", [path for path in [*RUNTIME, *PLUGINS] if path != ROOT / "podstack/config.py"], ids=ids
)
def test_the_environment_is_read_in_config_only(path: Path) -> None:
    """The helpers for tests may hand it on to the processes that they start."""
    tree = tree_of(path)
    environment = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    named = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in environment)
        or (isinstance(node, ast.ImportFrom) and environment & {a.name for a in node.names})
    ]

    assert named == []


def test_the_mapped_folders_are_flat() -> None:
    """A subfolder would be missing from the wheel, which lists every package by name."""
    deep = [path for path in PLUGINS if len(path.relative_to(ROOT).parts) != 2]

    assert deep == []
    assert PLUGINS
