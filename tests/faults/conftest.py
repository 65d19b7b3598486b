from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from podstack.testing.remote import HTTP, S3, Remote, http_store, s3_store
from podstack.testing.s3_servers import RcloneServer
from podstack.testing.stage import Stage

PATIENT = {"PODSTACK_FINISH_TIMEOUT": "200"}  # the end of a script on a machine that is busy


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def rclone() -> Iterator[RcloneServer]:
    with RcloneServer() as server:
        assert isinstance(server, RcloneServer)
        yield server


@pytest.fixture
def over_http(tmp_path: Path) -> Iterator[Remote]:
    with http_store(tmp_path / "served") as remote:
        yield remote


@pytest.fixture(params=[HTTP, S3])
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    """A store elsewhere, of both kinds, behind a proxy."""
    if request.param == HTTP:
        yield request.getfixturevalue("over_http")
        return
    with s3_store(request.getfixturevalue("rclone")) as remote:
        yield remote


@pytest.fixture
def far(tmp_path: Path, remote: Remote) -> Iterator[Stage]:
    """Scripts that log to `remote`."""
    stage = Stage(
        tmp_path, store=remote.folder, uri=remote.url, environment={**remote.environment, **PATIENT}
    )
    yield stage
    stage.close()


@pytest.fixture
def far_http(tmp_path: Path, over_http: Remote) -> Iterator[Stage]:
    """The same, where the store is behind a podstack server."""
    stage = Stage(tmp_path, store=over_http.folder, uri=over_http.url, environment=PATIENT)
    yield stage
    stage.close()
