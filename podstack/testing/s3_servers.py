"""S3 servers for tests, each a process of its own on a free port of this machine.

`MotoServer` honours what S3 promises, `RcloneServer` ignores every condition, `SeaweedServer` is
one that people run. They keep nothing but a folder under the temporary one, need no rights, and
end with their `with` block:

    with RcloneServer() as server, s3_environment(monkeypatch):
        store = open_backend(server.url(server.new_bucket(), "team"))
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

KEY = "podstack-test"
SECRET = "podstack-test-secret"
REGION = "us-east-1"
_PATIENCE = 240.0  # seconds until a server answers, or did not start
_BUCKETS = count()


class S3Server:
    """A server that is up between `__enter__` and `__exit__`."""

    endpoint = ""
    _client: Any = None

    def __enter__(self) -> S3Server:
        self.folder = Path(tempfile.mkdtemp(prefix="podstack-s3-"))
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                self._command(port), stdout=log, stderr=log, cwd=self.folder
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(_PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_bucket(self) -> str:
        """The name of a bucket that nobody else uses."""
        name = f"bucket-{os.getpid()}-{next(_BUCKETS)}"
        self.client().create_bucket(Bucket=name)
        return name

    def url(self, bucket: str, prefix: str = "") -> str:
        path = f"{bucket}/{prefix}".rstrip("/")
        return f"s3://{path}?endpoint={self.endpoint}"

    def client(self) -> Any:
        """botocore's own client, to look around what is under test."""
        if self._client is None:
            self._client = self._made_client()
        return self._client

    def _made_client(self) -> Any:
        from botocore.config import Config
        from botocore.session import Session

        return Session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=60),
        )

    def stored(self, bucket: str, key: str) -> bytes | None:
        """The bytes under a key, asked for around podstack."""
        client = self.client()
        try:
            body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return body

    def _command(self, port: int) -> list[str]:
        raise NotImplementedError

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.client().list_buckets()
            except Exception as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    said = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{type(self).__name__} did not start: {said}") from error
                time.sleep(0.1)
            else:
                return


class MotoServer(S3Server):
    """moto: keeps conditions, ranges, multipart uploads and errors as AWS does. In memory."""

    def _command(self, port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


class RcloneServer(S3Server):
    """rclone over a folder: ignores every condition without a word."""

    def _command(self, port: int) -> list[str]:
        (self.folder / "data").mkdir()
        serve = [program("rclone"), "serve", "s3", "data", "--addr", f"127.0.0.1:{port}"]
        # Nothing cached: a listing shows what was put a moment ago, whoever put it.
        return [*serve, "--auth-key", f"{KEY},{SECRET}", "--config", "rclone.conf"]


class SeaweedServer(S3Server):
    """SeaweedFS: master, volumes, filer and S3 in one process. Starts in 6 s or so."""

    def _command(self, port: int) -> list[str]:
        (self.folder / "data").mkdir()
        # Each bucket takes volumes of its own, seven at once by default: the seventh bucket of
        # 50 volumes could not be written to.
        (self.folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")
        ports = {name: paired_port() for name in ("master", "volume", "filer")}
        return [
            program("weed"),
            "server",
            "-dir=data",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-volume.max=500",
            "-master.volumeSizeLimitMB=100",
            *(f"-{name}.port={value}" for name, value in ports.items()),
            "-s3",
            f"-s3.port={port}",
            f"-s3.port.grpc={free_port()}",
            "-s3.port.lance=0",
            "-s3.port.iceberg=0",
        ]


@contextmanager
def s3_environment(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """The servers' credentials, and nothing of whoever runs the tests."""
    with patch.context() as inner:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            inner.delenv(name)
        for name, value in credentials().items():
            inner.setenv(name, value)
        yield


def credentials() -> dict[str, str]:
    """Environment variables that every server here accepts."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def program(name: str) -> str:
    """A program that a package installed next to Python, or on PATH."""
    places = [str(Path(entry).parents[2] / "bin") for entry in sys.path if "site-packages" in entry]
    path = os.pathsep.join([str(Path(sys.executable).parent), *places, os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install 'podstack[test]'")
    return found


def free_port() -> int:
    """A free port below those that the system gives to connections, as other tests make many.

    One of theirs could be taken again between this look and the start of a server.
    """
    return _free(range(10_000, 32_000))


def paired_port() -> int:
    """A port whose gRPC twin, 10,000 above, is free as well."""
    return _free(range(10_000, 22_000), 10_000)


def _free(ports: range, *above: int) -> int:
    for _ in range(1000):
        port = random.SystemRandom().choice(ports)  # no test may seed it
        if all(_is_free(port + more) for more in (0, *above)):
            return port
    raise RuntimeError(f"No port of {ports} is free.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
