"""S3 servers that all tests of a session share; each test takes a bucket of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from podstack.testing.s3_servers import MotoServer, RcloneServer, S3Server, SeaweedServer


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with MotoServer() as server:
        yield server


@pytest.fixture(scope="session")
def rclone() -> Iterator[S3Server]:
    with RcloneServer() as server:
        yield server


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    with SeaweedServer() as server:
        yield server
