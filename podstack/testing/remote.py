"""A store elsewhere, a proxy before it, and the folder in which its server keeps it.

What is in the folder is judged around everything that is under test.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from podstack import config
from podstack.testing.fault_proxy import FaultProxy
from podstack.testing.podstack_server import RunningServer
from podstack.testing.s3_servers import RcloneServer, S3Server, credentials
from podstack.testing.stage import DEADLINE

HTTP, S3 = "http", "s3"


@dataclass(frozen=True)
class Remote:
    """url: what a client opens, through the proxy. folder: what the server keeps."""

    url: str
    folder: Path
    proxy: FaultProxy
    server: RunningServer | S3Server
    environment: Mapping[str, str] = field(default_factory=dict)

    def sync(self) -> subprocess.CompletedProcess[str]:
        """`podstack sync`, in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "podstack", "sync"],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            env={**os.environ, **self.environment},
            check=False,
        )

    def objects(self) -> dict[str, bytes]:
        """Plain contents of every log of every run: what was packed is unpacked."""
        found = {}
        for path in sorted(self.folder.glob("projects/*/runs/**/*")):
            if path.is_file():
                data = path.read_bytes()
                key = path.relative_to(self.folder).as_posix()
                packed = key.endswith(".gz")
                found[key.removesuffix(".gz")] = gzip.decompress(data) if packed else data
        return found


def waiting() -> list[Path]:
    """The files of runs that wait on this machine."""
    runs = config.spool_folder().glob("*/*/projects/*/runs/**/*")
    return sorted(path for path in runs if path.is_file())


@contextmanager
def http_store(folder: Path, *, tokens: bool = False) -> Iterator[Remote]:
    """A podstack server over a folder."""
    with RunningServer(folder, tokens=tokens) as server, FaultProxy(server.port) as proxy:
        environment = {"PODSTACK_API_TOKEN": server.admin} if tokens else {}
        yield Remote(proxy.url, folder, proxy, server, environment)


@contextmanager
def s3_store(server: RcloneServer) -> Iterator[Remote]:
    """A bucket of a running rclone, which keeps one object in one file."""
    bucket = server.new_bucket()
    with FaultProxy(int(server.endpoint.rpartition(":")[2])) as proxy:
        folder = server.folder / "data" / bucket / "team"
        url = f"s3://{bucket}/team?endpoint={proxy.url}"
        yield Remote(url, folder, proxy, server, credentials())
