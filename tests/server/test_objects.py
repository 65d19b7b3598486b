"""The object routes: what they store, give, list and refuse. Through a real server."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import socket
import threading
from typing import Any
from urllib.parse import quote

import pytest

from podstack.packed import Packing, packed
from podstack.testing.stage import DEADLINE

LOG = "runs/r1/metrics/w1/000000.jsonl"


@pytest.fixture
def log(request: pytest.FixtureRequest) -> str:
    """The key of a log that no other test writes."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    return f"runs/{name}/metrics/w/000000.jsonl"


def test_what_was_put_is_read_and_listed_with_the_same_tag(team: Any) -> None:
    stored = team.put("live/r.w.json", b'{"t":1}')
    read = team.get("live/r.w.json")
    page = team.ask("GET", "/api/v1/projects/alpha/objects?prefix=live/r.w")

    assert stored.status == 200
    assert stored.json["key"] == "live/r.w.json"
    assert stored.json["size"] == 7
    assert (read.status, read.body) == (200, b'{"t":1}')
    assert read.headers["etag"] == f'"{stored.json["tag"]}"'
    assert page.json == {"objects": [stored.json], "next": None}
    assert team.blob("live/r.w.json").read_bytes() == b'{"t":1}'


def test_a_chunked_body_is_stored_as_it_was_sent(team: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", team.server.port, timeout=DEADLINE)
    headers = {"Authorization": f"Bearer {team.editor}", "Transfer-Encoding": "chunked"}
    pieces = iter([b"one", b"two" * 100_000, b"", b"three"])
    connection.request("PUT", team.object("cache/chunked"), pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    answer.read()
    connection.close()

    assert answer.status == 200
    assert team.blob("cache/chunked").read_bytes() == b"one" + b"two" * 100_000 + b"three"


def test_an_object_larger_than_memory_should_hold_goes_both_ways(team: Any) -> None:
    content = hashlib.shake_256(b"seed").digest(21_000_003)
    stored = team.put("cache/large", content)
    read = team.get("cache/large")

    assert stored.json["size"] == len(content)
    assert read.body == content


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=2-4", 206, b"234"),
        ("bytes=5-", 206, b"56789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=4-2", 200, b"0123456789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
    ],
)
def test_64_one_range_is_given_and_what_is_none_gives_all(
    team: Any, wanted: str, status: int, body: bytes
) -> None:
    team.put("cache/digits", b"0123456789")
    answer = team.get("cache/digits", Range=wanted)

    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=999999999999999999-", "bytes=-0"])
def test_64_a_range_behind_the_end_is_416(team: Any, wanted: str) -> None:
    team.put("cache/digits", b"0123456789")
    answer = team.get("cache/digits", Range=wanted)

    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */10"


def test_64_twenty_thousand_ranges_cost_nothing(team: Any) -> None:
    team.put("cache/digits", b"0123456789")
    answer = team.get("cache/digits", Range="bytes=" + ",".join(["0-1"] * 10_000))

    assert answer.status in (0, 200, 400)


def test_a_known_tag_is_answered_with_304_and_no_body(team: Any) -> None:
    tag = team.put("cache/known", b"x").json["tag"]
    same = team.get("cache/known", If_None_Match=f'"other", "{tag}"')
    changed = team.get("cache/known", If_None_Match='"other"')

    assert (same.status, same.body) == (304, b"")
    assert (changed.status, changed.body) == (200, b"x")


def test_head_tells_size_and_tag_and_sends_nothing(team: Any) -> None:
    tag = team.put("cache/head", b"12345").json["tag"]
    answer = team.ask("HEAD", team.object("cache/head"))

    assert answer.status == 200
    assert answer.headers["content-length"] == "5"
    assert answer.headers["etag"] == f'"{tag}"'
    assert answer.body == b""


def test_an_empty_object_is_an_object(team: Any) -> None:
    stored = team.put("cache/empty", b"", Content_Length="0")
    read = team.get("cache/empty")

    assert stored.json["size"] == 0
    assert (read.status, read.body) == (200, b"")


def test_what_is_not_there_is_404(team: Any) -> None:
    assert team.get("cache/nothing").status == 404
    assert team.ask("HEAD", team.object("cache/nothing")).status == 404


def test_deleting_what_is_not_there_is_fine(team: Any) -> None:
    answer = team.ask("DELETE", team.object("live/none.json"))

    assert (answer.status, answer.body) == (204, b"")


def test_an_editor_deletes_hints_and_an_admin_anything(team: Any) -> None:
    team.put("live/gone.w.json", b"{}")
    team.put("cache/gone", b"{}")

    assert team.ask("DELETE", team.object("live/gone.w.json")).status == 204
    assert team.ask("DELETE", team.object("cache/gone")).status == 403
    assert team.ask("DELETE", team.object("cache/gone"), team.admin).status == 204
    assert not team.blob("live/gone.w.json").exists()
    assert not team.blob("cache/gone").exists()


def test_a_listing_is_paged_in_order_and_each_key_comes_once(team: Any) -> None:
    keys = [f"cache/page/{number:03d}" for number in range(25)]
    for key in keys:
        team.put(key, b"x")
    found, after = [], ""
    while True:
        query = f"prefix=cache/page/&limit=7&start_after={quote(after)}"
        page = team.ask("GET", f"/api/v1/projects/alpha/objects?{query}").json
        found += [entry["key"] for entry in page["objects"]]
        after = page["next"]
        if after is None:
            break

    assert found == keys


def test_folders_are_paged_too(team: Any) -> None:
    for name in ("a", "b", "c"):
        team.put(f"cache/folders/{name}/x", b"x")
    where = "/api/v1/projects/alpha/folders?prefix=cache/folders/"
    first = team.ask("GET", f"{where}&limit=2").json
    second = team.ask("GET", f"{where}&limit=2&start_after={first['next']}").json

    assert first == {"folders": ["a", "b"], "next": "b"}
    assert second == {"folders": ["c"], "next": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1e3"])
def test_57_odd_limits_are_refused(team: Any, query: str) -> None:
    answer = team.ask("GET", f"/api/v1/projects/alpha/objects?{query}")

    assert answer.status == 422
    assert set(answer.json) == {"error"}


# Logs only grow ------------------------------------------------------------------------


def test_a_plain_log_grows(team: Any, log: str) -> None:
    assert team.put(log, b"a\n").status == 200
    assert team.put(log, b"a\nb\n").status == 200
    assert team.put(log, b"a\nb\n").status == 200  # the same again: a lost answer


@pytest.mark.parametrize("new", [b"a\n", b"", b"x\nb\nc\n", b"a\nB\n"])
def test_a_plain_log_that_lacks_what_was_there_is_refused(team: Any, log: str, new: bytes) -> None:
    team.put(log, b"a\nb\n")
    answer = team.put(log, new, Content_Length=str(len(new)))

    assert (answer.status, answer.code) == (409, "shorter")
    assert team.blob(log).read_bytes() == b"a\nb\n"


def test_a_packed_log_grows_however_it_is_compressed(team: Any, log: str) -> None:
    growing = Packing()
    growing.feed(b"a\n" * 1000)
    assert team.put(f"{log}.gz", growing.whole()).status == 200
    growing.feed(b"b\n" * 1000)
    assert team.put(f"{log}.gz", growing.whole()).status == 200
    assert team.put(f"{log}.gz", gzip.compress(b"a\n" * 1000 + b"b\n" * 1001)).status == 200


@pytest.mark.parametrize("new", [b"a\n", b"", b"x\nb\nc\n", b"a\nB\n"])
def test_a_packed_log_that_lacks_what_was_there_is_refused(team: Any, log: str, new: bytes) -> None:
    team.put(f"{log}.gz", packed(b"a\nb\n"))
    answer = team.put(f"{log}.gz", packed(new))

    assert (answer.status, answer.code) == (409, "shorter")
    assert team.blob(f"{log}.gz").read_bytes() == packed(b"a\nb\n")


@pytest.mark.parametrize(
    "odd",
    [
        b"no gzip",
        packed(b"a\n")[:-1],
        packed(b"a\n") + b"x",
        packed(b"a\n") * 2,
        packed(b"a\n")[:-8] + bytes(8),
        b"\x1f\x8b",
    ],
    ids=["text", "cut", "followed", "two", "no checksum", "begun"],
)
def test_a_packed_log_is_one_whole_gzip_member(team: Any, log: str, odd: bytes) -> None:
    answer = team.put(f"{log}.gz", odd)

    assert (answer.status, answer.code) == (422, "gzip")
    assert not team.blob(f"{log}.gz").exists()


def test_a_damaged_log_is_replaced_by_a_whole_one(team: Any, log: str) -> None:
    team.put(f"{log}.gz", packed(b"a\n" * 100))
    team.blob(f"{log}.gz").write_bytes(packed(b"a\n" * 100)[:-3])

    assert team.put(f"{log}.gz", packed(b"a\n" * 100)).status == 200


def test_62_a_log_that_unpacks_to_more_than_a_log_may_have_is_refused(team: Any, log: str) -> None:
    bomb = gzip.compress(bytes(300 << 20), compresslevel=1)
    answer = team.put(f"{log}.gz", bomb)

    assert len(bomb) < 3 << 20
    assert (answer.status, answer.code) == (413, "too_large")
    assert not team.blob(f"{log}.gz").exists()


def test_what_is_no_log_may_be_replaced_by_anything(team: Any) -> None:
    assert team.put("runs/r/artifacts/x.jsonl", b"long").status == 200
    assert team.put("runs/r/artifacts/x.jsonl", b"b").status == 200


# Content is what its name says ---------------------------------------------------------


def test_a_hashed_file_is_what_its_folder_says(team: Any) -> None:
    digest = hashlib.sha256(b"model").hexdigest()
    good = team.put(f"runs/r/artifacts/{digest[:12]}/models/best.pt", b"model")
    bad = team.put(f"runs/r/artifacts/{digest[:12]}/models/other.pt", b"Model")

    assert good.status == 200
    assert (bad.status, bad.code) == (422, "sha256")
    assert not team.blob(f"runs/r/artifacts/{digest[:12]}/models/other.pt").exists()


@pytest.mark.parametrize("told", ["0" * 64, "xyz", "", hashlib.sha256(b"x").hexdigest()[:-1]])
def test_a_body_that_is_not_what_its_header_says_is_refused(team: Any, told: str) -> None:
    answer = team.put("cache/told", b"x", X_Podstack_SHA256=told)

    assert (answer.status, answer.code) == (422, "sha256")
    assert not team.blob("cache/told").exists()


def test_a_body_that_is_what_its_header_says_is_stored(team: Any) -> None:
    digest = hashlib.sha256(b"x").hexdigest().upper()

    assert team.put("cache/right", b"x", X_Podstack_SHA256=digest).status == 200


def test_an_upload_that_breaks_off_leaves_nothing(team: Any) -> None:
    head = (
        f"PUT {team.object('cache/broken')} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {team.editor}\r\nContent-Length: 9000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", team.server.port), timeout=DEADLINE) as connection:
        connection.sendall(head.encode() + bytes(4_000_000))
    team.put("cache/after", b"x")

    assert team.get("cache/broken").status == 404


def test_unknown_objects_of_later_versions_are_kept(team: Any) -> None:
    assert team.put("sweeps/s/future.bin", b"\0\1").status == 200
    assert team.get("sweeps/s/future.bin").body == b"\0\1"


def test_an_object_that_changes_while_it_is_sent_is_never_sent_as_a_mix(team: Any) -> None:
    old, new = b"o" * (40 << 20), b"n" * (40 << 20)
    team.put("cache/replaced", old)
    head = f"GET {team.object('cache/replaced')} HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Authorization: Bearer {team.editor}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", team.server.port), timeout=DEADLINE) as connection:
        connection.sendall(head.encode())
        received = bytearray(connection.recv(1000))  # it has begun, and waits for us to read
        team.put("cache/replaced", new)
        try:
            while piece := connection.recv(1 << 20):
                received += piece
        except ConnectionError:
            pass
    body = bytes(received).partition(b"\r\n\r\n")[2]

    assert len(body) < len(old)


# Many at once --------------------------------------------------------------------------


def test_87_two_puts_of_one_key_leave_one_of_them_whole(team: Any) -> None:
    bodies = [bytes([letter]) * 300_000 for letter in b"abcdefghijkl"]
    answers: list[int] = []

    def write(body: bytes) -> None:
        answers.append(team.put("cache/raced", body).status)

    threads = [threading.Thread(target=write, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [200] * 12
    assert team.get("cache/raced").body in bodies


def test_87_twelve_writers_of_their_own_logs_lose_nothing(team: Any) -> None:
    def write(number: int) -> None:
        text = b""
        for line in range(20):
            text += b"%d\n" % line
            assert team.put(f"runs/many/meta/w{number:02d}.jsonl", text).status == 200

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = team.ask("GET", "/api/v1/projects/alpha/objects?prefix=runs/many/").json

    assert [entry["size"] for entry in page["objects"]] == [50] * 12


def test_87_deleting_while_reading_gives_all_or_nothing(team: Any) -> None:
    content = b"x" * 100_000
    seen: list[tuple[int, int]] = []
    team.put("cache/flickers", content)

    def read() -> None:
        for _ in range(30):
            answer = team.get("cache/flickers")
            seen.append((answer.status, len(answer.body)))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(15):
        team.ask("DELETE", team.object("cache/flickers"), team.admin)
        team.put("cache/flickers", content)
    reader.join()

    assert {status for status, _ in seen} <= {200, 404}
    assert all(size == len(content) for status, size in seen if status == 200)
