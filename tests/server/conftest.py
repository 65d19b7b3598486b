"""Two real servers for all tests: one open to this machine, one that asks for tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer, ask


@dataclass(frozen=True)
class Team:
    """A server with two projects, and a token for each role."""

    server: RunningServer
    viewer: str
    editor: str
    admin: str
    stranger: str  # an admin of the project beta
    root: str  # an admin of every project

    def ask(
        self,
        method: str,
        target: str,
        token: str | None = None,
        body: bytes = b"",
        **headers: str,
    ) -> Answer:
        """A request by the editor of alpha, unless another token is given."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        shown = self.editor if token is None else token
        return ask(self.server.port, method, target, token=shown, headers=named, body=body)

    def object(self, key: str) -> str:
        return f"/api/v1/projects/alpha/objects/{key}"

    def put(self, key: str, body: bytes, token: str | None = None, **headers: str) -> Answer:
        return self.ask("PUT", self.object(key), token, body, **headers)

    def get(self, key: str, token: str | None = None, **headers: str) -> Answer:
        return self.ask("GET", self.object(key), token, b"", **headers)

    def blob(self, key: str) -> Path:
        """Where an object of alpha lies."""
        return Path(self.server.store) / "projects/alpha" / key


@pytest.fixture(scope="session")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    with RunningServer(
        folder / "store", tokens=True, environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield Team(
            server,
            viewer=server.token("alpha", "viewer", user="vera"),
            editor=server.token("alpha", "editor", user="ed"),
            admin=server.token("alpha", "admin", user="ada"),
            stranger=server.token("beta", "admin", user="bob"),
            root=server.token("*", "admin", user="root"),
        )


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("open")
    with RunningServer(
        folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield server
