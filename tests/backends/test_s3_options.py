"""S3: what a URL and an argument may say, what is refused, and how errors come out."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fsspec.asyn import get_loop

from podstack import MLOpsClient
from podstack.backend import Backend, open_backend
from podstack.backends.s3 import S3Backend
from podstack.errors import (
    AccessDeniedError,
    BackendError,
    BackendUnavailable,
    BlobMissing,
    UsageError,
)
from podstack.testing.s3_servers import KEY, S3Server, s3_environment


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with s3_environment(monkeypatch):
        yield


# Options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", "names no bucket"),
        ("s3://b", "names no bucket"),
        ("s3://bucket/a/../b", "empty parts"),
        ("s3://bucket?endpont=http://x", "nearest .*endpoint"),
        ("s3://bucket?endpoint=localhost:9000", "must be like http://"),
        ("s3://bucket?endpoint=http://me:pw@host", "must not carry credentials"),
        ("s3://bucket?sse=rot13", "AES256"),
        ("s3://bucket?sse_kms_key_id=1", "needs sse='aws:kms'"),
        ("s3://bucket?addressing=psth", "'path'"),
        ("s3://bucket?anonymous=maybe", "true or false"),
    ],
)
def test_a_url_that_says_nonsense_is_refused_with_the_fix(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_backend(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:hunter2@bucket/x",
        "s3://bucket?secret=hunter2",
        "s3://bucket?secret=hunter2&secret=hunter2",
        "s3://bucket?region=x&session_token=hunter2",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="must not carry credentials") as caught:
        open_backend(url)
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_argument_is_refused() -> None:
    with pytest.raises(UsageError, match="endpont"):
        open_backend("s3://bucket", {"endpont": "http://x"})


def test_half_of_a_pair_of_credentials_is_refused() -> None:
    with pytest.raises(UsageError, match="together"):
        open_backend("s3://bucket", {"key": "x"})


def test_endpoint_region_and_profile_come_from_where_aws_tools_take_them(
    moto: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(
        f"[profile team]\nregion = us-east-1\naws_access_key_id = {KEY}\n"
        f"aws_secret_access_key = x\nendpoint_url = {moto.endpoint}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    bucket = moto.new_bucket()

    by_profile = open_backend(f"s3://{bucket}?profile=team")
    by_profile.put("a", b"x")
    monkeypatch.setenv("AWS_PROFILE", "team")
    by_environment = open_backend(f"s3://{bucket}")

    assert by_environment.get("a") == b"x"


def test_the_store_is_asked_to_encrypt_small_and_large_blobs(
    moto: S3Server, tmp_path: Path
) -> None:
    bucket = moto.new_bucket()
    large = tmp_path / "large"
    large.write_bytes(b"x" * (17 << 20))
    backend = open_backend(moto.url(bucket) + "&sse=aws:kms&sse_kms_key_id=the-key")
    backend.put("small", b"x")
    backend.put("large", large)

    for key in ("small", "large"):
        told = moto.client().head_object(Bucket=bucket, Key=key)
        assert told["ServerSideEncryption"] == "aws:kms"
        assert "the-key" in told["SSEKMSKeyId"]


# Errors ----------------------------------------------------------------------------------------


def test_a_missing_bucket_says_how_to_make_it(moto: S3Server) -> None:
    backend = open_backend(moto.url("no-such-bucket"))

    for ask in (
        lambda: backend.put("a", b"x"),
        lambda: backend.get("a"),
        lambda: list(backend.list()),
        lambda: list(backend.list_dirs()),
    ):
        with pytest.raises(BackendError, match="aws s3 mb s3://no-such-bucket") as caught:
            ask()
        assert not isinstance(caught.value, BlobMissing)


def test_a_wrong_key_is_denied_and_never_shown(rclone: S3Server) -> None:
    options = {"key": "unknown", "secret": "hunter2"}
    backend = open_backend(rclone.url("bucket"), options)

    with pytest.raises(AccessDeniedError, match="AWS_ACCESS_KEY_ID") as caught:
        backend.put("a", b"x")
    assert "hunter2" not in str(caught.value) + backend.url


def test_no_credentials_at_all_say_where_they_come_from(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(AccessDeniedError, match="AWS_PROFILE"):
        open_backend(moto.url("bucket")).get("a")
    with pytest.raises(AccessDeniedError, match="nobody"):
        open_backend(moto.url("bucket") + "&profile=nobody").get("a")


def test_a_port_where_nobody_listens_is_said_soon() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # so that nobody else does, and listens
        backend = open_backend(f"s3://bucket?endpoint=http://127.0.0.1:{unused.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(BackendUnavailable, match="Check the endpoint"):
            backend.put("a", b"x")
    assert time.monotonic() - start < 240


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda backend: backend.get("a"), id="get"),
        pytest.param(lambda backend: backend.put("a", b"x"), id="put"),
        pytest.param(lambda backend: backend.put("a", b"x" * 100_000), id="put of 100 kB"),
        pytest.param(lambda backend: list(backend.list("a")), id="list"),
    ],
)
def test_a_server_that_never_answers_is_left_after_a_while(
    ask: Callable[[Backend], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstack.backends.s3_session.READ_TIMEOUT", 1)
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        backend = open_backend(f"s3://bucket?endpoint=http://127.0.0.1:{hole.getsockname()[1]}")

        with pytest.raises(BackendUnavailable):
            ask(backend)


class Answers:
    """An HTTP server that gives each request the next of `answers`, and counts them."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"s3://bucket?endpoint=http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Answers:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.clear()
        socket.create_connection(self.socket.getsockname(), 240).close()
        self.thread.join(240)
        self.socket.close()

    def _serve(self) -> None:
        while self.answers:
            connection, _ = self.socket.accept()
            with connection:
                said = connection.recv(65_536)
                if said and self.answers:
                    self.asked.append(said.split(b"\r\n")[0].decode())
                    connection.sendall(self.answers.pop(0))


def answer(status: str, code: str, *headers: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>said so</Message></Error>"
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join([*lines, "", body])).encode()


BLOB = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"


def test_a_reader_survives_one_503() -> None:
    with Answers(answer("503 Slow Down", "SlowDown"), BLOB) as server:
        assert open_backend(server.url).get("a") == b"x"

    assert len(server.asked) == 2


def test_a_store_that_stays_busy_says_for_how_long() -> None:
    busy = answer("503 Slow Down", "SlowDown", "Retry-After: 7")
    with Answers(busy, busy, busy) as server, pytest.raises(BackendUnavailable) as caught:
        open_backend(server.url).put("a", b"x")

    assert caught.value.retry_after == 7.0
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("403 Forbidden", "AccessDenied", AccessDeniedError),
        ("403 Forbidden", "SignatureDoesNotMatch", AccessDeniedError),
        ("400 Bad Request", "ExpiredToken", AccessDeniedError),
        ("401 Unauthorized", "Unauthorized", AccessDeniedError),
        ("404 Not Found", "NoSuchKey", BlobMissing),
        ("400 Bad Request", "RequestTimeout", BackendUnavailable),
        ("501 Not Implemented", "NotImplemented", BackendError),
        ("400 Bad Request", "InvalidArgument", BackendError),
    ],
)
def test_what_the_store_says_becomes_one_of_our_errors(
    status: str, code: str, kind: type[BackendError]
) -> None:
    with Answers(answer(status, code)) as server, pytest.raises(BackendError) as caught:
        open_backend(server.url).get("a")

    assert type(caught.value) is kind
    assert len(server.asked) == 1
    assert (caught.value.key, caught.value.url) == ("a", server.url)


# Requests --------------------------------------------------------------------------------------


def test_each_operation_is_one_request() -> None:
    empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    page = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    listing = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
        len(page),
        page,
    )
    with Answers(empty, BLOB, BLOB, BLOB, listing, listing, empty) as server:
        backend = open_backend(server.url)
        backend.put("a/b", b"x")
        backend.get("a/b")
        backend.get("a/b", 0, 5)
        backend.get("a/b", -1)
        assert list(backend.list("a/", start_after="a/b")) == []
        assert list(backend.list_dirs("a/")) == []
        backend.delete("a/b")

    methods = [line.split()[0] for line in server.asked]
    assert methods == ["PUT", "GET", "GET", "GET", "GET", "GET", "DELETE"]
    assert "start-after=a%2Fb" in server.asked[4]
    assert "delimiter=%2F" in server.asked[5]


# Large files, forks, and a whole run -----------------------------------------------------------


def test_a_large_file_goes_up_in_parts(moto: S3Server, tmp_path: Path) -> None:
    bucket = moto.new_bucket()
    large = tmp_path / "large"
    content = os.urandom(1 << 20) * 20 + b"end"
    large.write_bytes(content)
    backend = open_backend(moto.url(bucket))

    backend.put("a/large", large)

    assert backend.get("a/large") == content
    assert moto.client().head_object(Bucket=bucket, Key="a/large")["ETag"].endswith('-3"')


def test_a_failed_upload_leaves_no_parts(moto: S3Server) -> None:
    """The third part is cut short, as by somebody who truncates the file meanwhile."""
    bucket = moto.new_bucket()
    backend = S3Backend(moto.url(bucket))
    begun = []

    def read(start: int, stop: int) -> bytes:
        if start >= 16 << 20:
            begun.extend(moto.client().list_multipart_uploads(Bucket=bucket)["Uploads"])
            raise OSError("cut short")
        return b"x" * (stop - start)

    with pytest.raises(OSError, match="cut short"):
        backend._put_parts("a/large", 20 << 20, read)

    assert len(begun) == 1
    assert moto.client().list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    assert list(backend.list()) == []


_FORK = """
import os, sys
from podstack.backend import Backend, open_backend
backend = open_backend(sys.argv[1])
backend.put("parent", b"x")
child = os.fork()
if child == 0:
    backend.put("child", backend.get("parent"))
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(backend.get("child"), [info.key for info in backend.list()])
"""


def in_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_forked_child_has_connections_of_its_own(moto: S3Server) -> None:
    done = in_process(_FORK, moto.url(moto.new_bucket()))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "b'x' ['child', 'parent']"


def test_a_backend_freed_on_the_loops_own_thread_does_not_wait_for_that_thread(
    rclone: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its garbage is collected wherever it is found, and every request needs the loop."""
    monkeypatch.setattr("podstack.backends.s3_session._CLOSING", 90.0)
    backend = S3Backend(rclone.url(rclone.new_bucket()))
    backend.put("a", b"x")

    async def free() -> str:
        backend.close()
        return "freed"

    assert asyncio.run_coroutine_threadsafe(free(), get_loop()).result(45) == "freed"


_MEMORY = """
import resource, sys
from pathlib import Path
from podstack.backend import Backend, open_backend
backend = open_backend(sys.argv[1])
backend.put("first", b"x")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
backend.put("large", Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(rclone: S3Server, tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate(300_000_000)

    done = in_process(_MEMORY, rclone.url(rclone.new_bucket()), str(tmp_path / "large"))

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150_000  # kB


_READ = """
import sys
from podstack import MLOpsClient
(run,) = MLOpsClient(sys.argv[1]).list_runs()
print(run.status)
"""


def test_a_run_recorded_in_a_bucket_is_read_by_another_process(rclone: S3Server) -> None:
    url = rclone.url(rclone.new_bucket(), "team")
    with MLOpsClient(url).start_run() as run:
        for step in range(3):
            run.log_metrics({"loss": 1.0 / (step + 1)}, step=step)

    done = in_process(_READ, url)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("completed")


# Obstore ---------------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Obstore is used from the first request on, and not only by those who ask often."""
    pytest.importorskip("obstore")
    monkeypatch.setattr("podstack.backends.s3._USUAL", 0)


def test_obstore_answers_what_botocore_does(
    rclone: S3Server, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = S3Backend(rclone.url(rclone.new_bucket(), "team"))
    for key in ("a/b/c", "a/b-c", "a/d", "b/e"):
        fast.put(key, key.encode())
    list(fast.list())  # now it knows how the server sorts

    got = [
        fast.get("a/b/c"),
        *fast.list("a/"),
        *fast.list(start_after="a/b/c"),
        *fast.list_dirs("a/"),
    ]

    assert fast._fast is not None
    monkeypatch.setattr("podstack.backends.s3._USUAL", 1000)
    usual = S3Backend(fast.url)
    again = [usual.get("a/b/c"), *usual.list("a/"), *usual.list(start_after="a/b/c")]
    assert got == [*again, *usual.list_dirs("a/")]


def test_what_obstore_fails_at_is_asked_the_usual_way(rclone: S3Server, at_once: None) -> None:
    backend = S3Backend(rclone.url(rclone.new_bucket(), "team"))

    with pytest.raises(BlobMissing, match=r"no a/b in s3://"):
        backend.get("a/b")


def test_a_few_requests_do_not_load_obstore(rclone: S3Server) -> None:
    done = in_process(_FORK + "print('obstore' in sys.modules)", rclone.url(rclone.new_bucket()))

    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_a_child_leaves_obstore_to_its_parent(rclone: S3Server) -> None:
    pytest.importorskip("obstore")
    often = _FORK.replace("child = os.fork()", "[backend.get('parent') for _ in range(20)]\n"
        "assert 'obstore' in sys.modules\nchild = os.fork()")  # fmt: skip

    done = in_process(often, rclone.url(rclone.new_bucket()))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "b'x' ['child', 'parent']"
