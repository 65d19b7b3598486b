"""Stores behind fsspec: the contract over a real SFTP server, options, credentials."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podstack.backend import Backend, open_backend
from podstack.errors import AccessDeniedError, BackendError, BackendUnavailable, UsageError
from podstack.testing.backend_suite import BackendSuite, Peek
from podstack.testing.s3_servers import free_port

asyncssh = pytest.importorskip("asyncssh")
pytest.importorskip("paramiko")

USER, PASSWORD = "user", "not-a-secret"


class SftpServer:
    """asyncssh over a folder, on a loop of its own thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._acceptor: Any = None
        self._connections: list[Any] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> SftpServer:
        self._thread.start()
        assert self._up.wait(240), "the SFTP server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(240)
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._loop.run_forever()
        self._loop.run_until_complete(self._leave())

    async def _leave(self) -> None:
        for connection in self._connections:
            connection.abort()
        self._acceptor.close()
        await self._acceptor.wait_closed()
        await asyncio.sleep(0.1)  # the connections' sockets close in the loop's next turns

    async def _listen(self) -> None:
        connections = self._connections

        class Login(asyncssh.SSHServer):  # type: ignore[misc]
            def connection_made(self, conn: Any) -> None:
                connections.append(conn)

            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                return (username, password) == (USER, PASSWORD)

        key = asyncssh.generate_private_key("ssh-ed25519")
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Login,
            server_host_keys=[key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.folder)),
        )
        self.port = self._acceptor.get_port()
        self._up.set()


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with SftpServer(tmp_path_factory.mktemp("sftp")) as server:
        yield server


OPTIONS: dict[str, Any] = {"password": PASSWORD, "look_for_keys": False, "allow_agent": False}


def url_of(server: SftpServer, folder: str) -> str:
    return f"sftp://{USER}@127.0.0.1:{server.port}/{folder}"


@pytest.mark.slow
class TestSftp(BackendSuite):
    known_gaps = {  # noqa: RUF012 - as the suite declares it
        "test_the_tag_changes_whenever_the_content_does": "SFTP tells times in whole seconds, so "
        "that two contents of one size within a second have one tag",
    }
    many = 150  # its listings have no pages, and each folder is a listing

    @pytest.fixture
    def backend(self, sftp: SftpServer, tmp_path: Path) -> Iterator[Backend]:
        url = url_of(sftp, f"{tmp_path.name}/store")
        backend = open_backend(url, {"filesystem_options": OPTIONS})
        yield backend
        backend.close()

    @pytest.fixture
    def peek(self, sftp: SftpServer, tmp_path: Path) -> Peek:
        def peek(key: str) -> bytes | None:
            path = sftp.folder / tmp_path.name / "store" / key
            return path.read_bytes() if path.is_file() else None

        return peek


def test_no_temporary_name_stays_and_none_is_listed(sftp: SftpServer, tmp_path: Path) -> None:
    top = sftp.folder / f"{tmp_path.name}-clean"
    backend = open_backend(url_of(sftp, top.name), {"filesystem_options": OPTIONS})
    backend.put("a/b", b"content")
    (top / "a" / ".podstack-0123456789abcdef.tmp").write_bytes(b"half")

    assert [info.key for info in backend.list()] == ["a/b"]
    assert sorted(path.name for path in (top / "a").iterdir()) == [
        ".podstack-0123456789abcdef.tmp",
        "b",
    ]
    backend.close()


def test_a_wrong_password_is_said_to_be_one(sftp: SftpServer) -> None:
    backend = open_backend(
        url_of(sftp, "x"), {"filesystem_options": {**OPTIONS, "password": "wrong"}}
    )

    with pytest.raises(AccessDeniedError, match="credentials") as caught:
        backend.get("a/b")
    assert "wrong" not in str(caught.value)


def test_a_server_that_is_down_is_worth_another_try() -> None:
    backend = open_backend(
        f"sftp://{USER}@127.0.0.1:{free_port()}/x", {"filesystem_options": OPTIONS}
    )

    with pytest.raises(BackendUnavailable):
        backend.put("a/b", b"x")


@pytest.mark.parametrize(
    "url",
    ["sftp://host/folder?key_filenam=x", "sftp://host/folder?tiemout=3", "sftp://host/x?a=1"],
)
def test_an_option_that_is_none_is_refused_in_the_url_too(url: str) -> None:
    with pytest.raises(UsageError, match="No option of sftp://"):
        open_backend(url)


def test_a_misspelt_filesystem_option_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'pasword'.*password"):
        open_backend("sftp://host/folder", {"filesystem_options": {"pasword": "x"}})


@pytest.mark.parametrize(
    "url", ["sftp://me:hunter2@host/x", "sftp://host/x?password=hunter2", "gs://b/x?token=hunter2"]
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="must not carry credentials") as caught:
        open_backend(url)
    assert "hunter2" not in str(caught.value)


def test_opening_asks_nobody() -> None:
    backend = open_backend("sftp://no.such.host.invalid/folder", {"filesystem_options": OPTIONS})

    with pytest.raises(BackendError):
        list(backend.list())
