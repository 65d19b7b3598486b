"""What a server does before its first page, and that nothing is forgotten after it."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
import threading

import pytest

import podstack.server
from podstack.server.access import Routes
from podstack.server.app import FIRST, create_app
from podstack.server.gate import Gate, Rest
from podstack.server.parts import PARTS
from podstack.server.settings import ServerSettings
from podstack.testing.asked_directly import asked_directly
from podstack.testing.routes import all_routes
from podstack.testing.stage import DEADLINE

_LATER = {
    "numpy", "markdown_it", "nh3", "smtplib", "podstack.sweeps.register", "podstack.columns",
    "podstack.alerts", "podstack.compare", "podstack.query", "podstack.server.parts",
    "podstack.expressions", "podstack.tables",
}  # fmt: skip


def loaded(program: str) -> set[str]:
    """The modules that a new process has loaded after a program."""
    code = f"import json, sys\n{program}\nprint(json.dumps(sorted(sys.modules)))"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    found: list[str] = json.loads(said.stdout.splitlines()[-1])
    return set(found)


def test_the_first_page_waits_for_no_module_that_only_others_need() -> None:
    assert loaded("import podstack.server.app") & _LATER == set()


@pytest.mark.parametrize("command", ["ui", "server"])
def test_the_command_that_serves_imports_no_other_command(command: str) -> None:
    modules = loaded(
        f"sys.argv = ['podstack', '{command}', '--help']\n"
        "from podstack.cli import main\nassert main() == 0"
    )

    commands = {name for name in modules if name.startswith("podstack.cli.")}
    assert "podstack.cli.serving" in commands
    assert commands & {"podstack.cli.listing", "podstack.cli.sweeping", "podstack.cli.app"} == set()


def test_every_module_with_routes_is_served() -> None:
    declared: dict[int, str] = {}
    for found in pkgutil.walk_packages(podstack.server.__path__, "podstack.server."):
        module = importlib.import_module(found.name)
        declared |= {id(v): found.name for v in vars(module).values() if isinstance(v, Routes)}
    served = {id(part) for part in (*FIRST, *PARTS)}

    assert [name for part, name in declared.items() if part not in served] == []
    assert len(served) == len((*FIRST, *PARTS))


def test_no_route_is_declared_twice() -> None:
    named = [(route.method, route.path) for route in all_routes()]

    assert len(set(named)) == len(named)


def answered(gate: Gate, path: str, method: str = "GET") -> int:
    return asked_directly(gate, path, method).status


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/api/v1/projects/default/runs", "GET", 200),
        ("/projects/default/alerts", "GET", 200),
        ("/api/v1/projects/default/runs", "DELETE", 405),
        ("/projects/default/experiments", "PUT", 405),
        ("/api/v1/nothing", "GET", 404),
    ],
)
def test_a_route_that_is_not_mounted_yet_is_mounted_for_who_asks(
    path: str, method: str, status: int
) -> None:
    gate = create_app(ServerSettings("memory://first", open=True, user="me"), at_once=False)
    before = len(gate.app.routes)
    assert answered(gate, "/projects/default/experiments") == 200
    assert len(gate.app.routes) == before

    assert answered(gate, path, method) == status
    assert len(gate.app.routes) == len(create_app(ServerSettings("memory://first")).app.routes)


def test_the_rest_is_mounted_once_however_many_ask() -> None:
    entered, mounted = threading.Barrier(4), []
    rest = Rest(lambda: mounted.append(threading.get_ident()))

    def ask() -> None:
        entered.wait(DEADLINE)
        rest.mount()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert len(mounted) == 1
