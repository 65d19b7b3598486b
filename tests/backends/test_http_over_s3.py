"""The contract through a podstack server whose own store is a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from podstack.backend import Backend, open_backend
from podstack.testing.backend_suite import BackendSuite, Peek
from podstack.testing.podstack_server import RunningServer
from podstack.testing.prefixed import PrefixedBackend
from podstack.testing.s3_servers import S3Server, credentials

_numbers = count()


@pytest.fixture(scope="module")
def bucket(moto: S3Server) -> str:
    return moto.new_bucket()


@pytest.fixture(scope="module")
def server(
    moto: S3Server, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    with RunningServer(
        moto.url(bucket, "team"),
        environment=credentials(),
        log=tmp_path_factory.mktemp("over-s3") / Path("log"),
    ) as running:
        yield running


@pytest.fixture
def project() -> str:
    return f"suite-{next(_numbers)}"


@pytest.mark.slow  # 10 ms a request, in Python
class TestHttpOverS3(BackendSuite):
    @pytest.fixture
    def backend(self, server: RunningServer, project: str) -> Iterator[Backend]:
        backend = open_backend(server.url)
        yield PrefixedBackend(backend, f"projects/{project}/")
        backend.close()

    @pytest.fixture
    def peek(self, moto: S3Server, bucket: str, project: str) -> Peek:
        return lambda key: moto.stored(bucket, f"team/projects/{project}/{key}")
