"""The attack list, by its numbers: what a hostile client sends, and that nothing comes of it."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack.server.access import PUBLIC
from podstack.testing.raw_http import Answer, ask, parse, send
from podstack.testing.routes import all_routes, filled
from podstack.testing.stage import DEADLINE

ROUTES = all_routes()
GUARDED = [route for route in ROUTES if route.level != PUBLIC]
CLOSE = b"\r\nConnection: close\r\n\r\n"
CANARY = b"canary-outside-the-store"
LEAKS = (b"Traceback", b"site-packages", b"/home", b"/tmp", b".py", b"uvicorn", b"fastapi")

CLIMBS = [
    "../" * 8 + "{outside}",
    "..%2f" * 8 + "{outside}",
    "..%2F" * 8 + "{outside}",
    "..%5c" * 8 + "{outside}",
    "..\\" * 8 + "{outside}",
    "%2e%2e/" * 8 + "{outside}",
    "%2e%2e%2f" * 8 + "{outside}",
    ".%2e/" * 8 + "{outside}",
    "..;/" * 8 + "{outside}",
    "..%3b/" * 8 + "{outside}",
    "x;y=1/" * 2 + "{outside}",
    "%252e%252e%252f" * 8 + "{outside}",
    "%25252e%25252e%25252f" * 8 + "{outside}",
    "....//" * 8 + "{outside}",
    "/{outside}",
    "//{outside}",
    "%2f{outside}",
    "%c0%ae%c0%ae/" * 8 + "{outside}",
    "%e0%80%ae%e0%80%ae/" * 8 + "{outside}",
    "%u002e%u002e/" * 8 + "{outside}",
    "%ef%bc%8e%ef%bc%8e/" * 8 + "{outside}",
    "%e2%80%a5/" * 8 + "{outside}",
    "..%ef%bc%8f" * 8 + "{outside}",
    "file:///{outside}",
    "local://{outside}",
    "simplecache::file://{outside}",
    "zip://x::file://{outside}",
    "x%00.png",
    "x%0d%0aSet-Cookie:a=b",
    "x%09y",
    "x/.",
    "x/..",
    "./x",
    "C:/windows",
    "C:%5cwindows",
    "%5c%5chost%5cshare",
    "~/x",
    "$HOME/x",
    "*",
    "?x",
    "x/",
    "",
    "%",
    "%zz",
    "..%00/",
    ".podstack-0123.tmp",
    "a" * 256,
    "/".join(["a" * 200] * 6),
]


@pytest.fixture
def outside(team: Any) -> Path:
    """A file beside the store, in a folder whose name begins like the store's."""
    folder = Path(f"{team.server.store}-sibling")
    folder.mkdir(exist_ok=True)
    path = folder / "canary"
    path.write_bytes(CANARY)
    return path


def tree(team: Any) -> set[str]:
    """Every file around the store, and in it but outside of alpha."""
    top = Path(team.server.store).parent
    found = {str(path.relative_to(top)) for path in top.rglob("*")}
    own = ("store/projects/alpha", "cache")
    return {path for path in found if not path.startswith(own) and path != "store/projects"}


@pytest.mark.parametrize("climb", CLIMBS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_1_to_10_no_key_leaves_its_project(
    team: Any, outside: Path, method: str, climb: str
) -> None:
    key = climb.replace("{outside}", str(outside).lstrip("/"))
    before = tree(team)
    answer = team.ask(method, team.object(key), team.admin, b"hostile" if method == "PUT" else b"")

    assert answer.status in (0, 200, 204, 400, 404, 405), answer.raw
    assert CANARY not in answer.raw
    assert outside.read_bytes() == CANARY
    assert tree(team) == before
    assert answer.raw.lower().count(b"set-cookie") == 0


@pytest.mark.parametrize("climb", [c for c in CLIMBS if c.startswith(("..", "%2e", ".%2e"))])
def test_1_3_what_climbs_is_refused(team: Any, climb: str) -> None:
    literal = ("..;", "..%3b", "..%ef")
    answer = team.get(climb.replace("{outside}", "etc/passwd"))

    assert answer.is_refused
    if not climb.startswith(literal):
        assert answer.status in (0, 400)


@pytest.mark.parametrize("prefix", CLIMBS)
def test_1_listings_do_not_climb_either(team: Any, outside: Path, prefix: str) -> None:
    asked = prefix.replace("{outside}", str(outside).lstrip("/")).replace("?", "%3f")
    for kind in ("objects", "folders"):
        answer = team.ask("GET", f"/api/v1/projects/alpha/{kind}?prefix={asked}")
        assert answer.status in (0, 200, 400), answer.raw
        assert b"canary" not in answer.body
        assert b"podstack.json" not in answer.body


@pytest.mark.parametrize(
    "odd",
    [
        "..",
        ".",
        "%2e%2e",
        "",
        "-x",
        "_x",
        "X",
        "a" * 65,
        "a..b",
        "a%20b",
        "a%00",
        "%ff",
        "ü",
        "*",
        "$x",
        "a;b",
        "a:b",
        "a?b",
        "a%2fb",
        "a%5cb",
        "'",
        '"',
        "<x>",
        "{}",
        "__class__",
        "null",
    ],
)
def test_11_odd_projects_are_nobodys(team: Any, odd: str) -> None:
    path = f"/api/v1/projects/{odd}/objects".encode()
    for token in (team.root, team.editor):
        answer = ask(team.server.port, "GET", path.decode("latin-1"), token=token)
        if odd == "null" and token == team.root:
            assert answer.json == {"objects": [], "next": None}
        else:
            assert answer.status in (0, 400, 404), answer.raw


@pytest.mark.parametrize(
    "mangled",
    [
        "//{}",
        "/x/..{}",
        "{}/",
        "{};x",
        "{}%2f",
        "/.{}",
        "{}/.",
        "/%2e%2e{}",
        "{}%00",
        "/healthz/..{}",
        "http://127.0.0.1{}",
        "http://evil{}",
        "{}%20",
        "{}#x",
        "/healthz{}",
    ],
)
def test_16_mangled_paths_need_a_token_as_well(team: Any, mangled: str) -> None:
    for _, path, _ in GUARDED:
        answer = ask(team.server.port, "GET", mangled.format(filled(path)))
        assert answer.is_refused, answer.raw
    assert ask(team.server.port, "GET", "/API/V1/STORE").is_refused


EVIL_HOSTS = [
    "evil",
    "127.0.0.1.evil",
    "evil.127.0.0.1",
    "a@127.0.0.1",
    "127.0.0.1@evil",
    "127.0.0.1:x",
    "127.0.0.1:0",
    "127.0.0.1:99999",
    "127.0.0.1:80:80",
    "localhost.evil",
    "127.1",
    "2130706433",
    "0.0.0.0",
    "[::1",
    "[::2]",
    "",
    " ",
    "127.0.0.1, evil",
    "127.0.0.1/evil",
]


@pytest.mark.parametrize("host", EVIL_HOSTS)
def test_30_no_route_answers_to_another_name(team: Any, open_server: Any, host: str) -> None:
    for method, path, _ in ROUTES:
        for server, token in ((team.server, team.root), (open_server, "")):
            answer = ask(server.port, method, filled(path), token=token, headers={"Host": host})
            assert answer.status in (0, 400, 421), (path, answer.raw)


@pytest.mark.parametrize("request_", [b"GET {} HTTP/1.1", b"GET {} HTTP/1.0"])
def test_30_a_request_without_a_host_is_refused(open_server: Any, request_: bytes) -> None:
    for _, path, _ in ROUTES:
        answer = send(open_server.port, request_.replace(b"{}", filled(path).encode()) + CLOSE)
        assert answer.status in (0, 400, 421), path


def test_30_two_hosts_are_none(open_server: Any) -> None:
    for hosts in (b"Host: 127.0.0.1\r\nHost: evil", b"Host: evil\r\nHost: 127.0.0.1"):
        answer = send(open_server.port, b"GET /healthz HTTP/1.1\r\n" + hosts + CLOSE)
        assert answer.status in (0, 400, 421)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:80", "localhost."]
)
def test_30_its_own_names_are_answered_with_any_port(open_server: Any, host: str) -> None:
    assert ask(open_server.port, "GET", "/healthz", headers={"Host": host}).status == 200


def test_31_forwarded_names_have_no_effect(open_server: Any) -> None:
    port = open_server.port
    forwarded = {"X-Forwarded-Host": "127.0.0.1", "Forwarded": "host=127.0.0.1"}
    evil = {"Host": "evil", **forwarded}

    assert ask(port, "GET", "/healthz", headers=evil).status == 421
    fine = {"X-Forwarded-Host": "evil", "Forwarded": "host=evil;for=evil"}
    assert ask(port, "GET", "/healthz", headers=fine).status == 200


EVIL_ORIGINS = [
    "https://evil.example",
    "null",
    "http://127.0.0.1:1",
    "http://localhost.evil",
    "http://127.0.0.1.evil",
    "file://",
    "chrome-extension://x",
    "http://",
    "",
    "http://127.0.0.1:{port}/x",
    "http://a@127.0.0.1:{port}",
    "http://127.0.0.1:x",
]


@pytest.mark.parametrize("origin", EVIL_ORIGINS)
def test_32_33_35_another_site_neither_reads_nor_writes(
    team: Any, open_server: Any, origin: str
) -> None:
    for server, token in ((team.server, team.root), (open_server, "")):
        shown = {"Origin": origin.format(port=server.port)}
        for method, path, _ in ROUTES:
            answer = ask(server.port, method, filled(path), token=token, headers=shown)
            assert not [name for name in answer.headers if name.startswith("access-control")]
            if method not in ("GET", "HEAD"):
                assert answer.status == 403, (method, path, answer.raw)


def test_33_the_servers_own_pages_may_write(open_server: Any) -> None:
    where = "/api/v1/projects/default/objects/cache/own"
    for host in (f"127.0.0.1:{open_server.port}", f"localhost:{open_server.port}"):
        own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert ask(open_server.port, "PUT", where, headers=own, body=b"x").status == 200


def test_34_a_preflight_is_told_nothing(open_server: Any) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    for _, path, _ in ROUTES:
        answer = ask(open_server.port, "OPTIONS", filled(path), headers=asked)
        assert answer.status == 405
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/json; charset=utf-7",
        "application/jsonp",
        "text/json",
    ],
)
def test_36_json_must_be_called_json(team: Any, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = ask(
        team.server.port, "POST", "/api/v1/session", headers=headers, body=b'{"token":"x"}'
    )

    assert answer.status == 415


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
def test_37_what_a_browser_calls_cross_site_is_refused(open_server: Any, site: str) -> None:
    where = "/api/v1/projects/default/objects/cache/cross"
    answer = ask(open_server.port, "PUT", where, headers={"Sec-Fetch-Site": site}, body=b"x")

    assert answer.status == 403


def test_38_a_method_in_a_header_or_query_has_no_effect(team: Any) -> None:
    team.put("live/kept.w.json", b"{}")
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        team.get("live/kept.w.json?_method=DELETE", team.admin, **{header: "DELETE"})
        team.ask("HEAD", team.object("live/kept.w.json"), team.admin, **{header: "DELETE"})

    assert team.get("live/kept.w.json").status == 200


@pytest.mark.parametrize(
    "where", ["//evil.example", "/\\evil", "/healthz?next=https://evil", "/%5cevil"]
)
def test_39_nothing_redirects(open_server: Any, where: str) -> None:
    answer = ask(open_server.port, "GET", where)

    assert not 300 <= answer.status < 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/<script>alert(1)</script>",
        "/<img%20src=x>",
        "/api/v1/projects/<b>/objects",
        "/api/v1/projects/alpha/objects?limit=<script>",
        "/healthz/<script>",
    ],
)
def test_42_nothing_of_a_request_is_shown_in_html(team: Any, path: str) -> None:
    answer = team.ask("GET", path)

    assert b"<script>" not in answer.body
    assert b"<b>" not in answer.body
    assert answer.status == 0 or answer.headers["content-type"] in (
        "application/json",
        "text/plain; charset=utf-8",
    )


@pytest.mark.parametrize(
    "name",
    [
        "x.html",
        "x.xhtml",
        "x.svg",
        "x.xml",
        "x.js",
        "x.mjs",
        "x.pdf",
        "x.swf",
        "x.mht",
        "x.ipynb",
        "x",
        "x.png",
    ],
)
def test_47_49_whatever_is_stored_comes_as_a_download(team: Any, name: str) -> None:
    team.put(f"cache/hostile/{name}", b"<script>alert(1)</script>")
    answer = team.get(f"cache/hostile/{name}", Service_Worker="script")

    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('a"b', "a%22b"),
        ("a;b=c", "a%3Bb%3Dc"),
        ("ü.txt", "%C3%BC.txt"),
        ("exe.‮txt", "exe.%E2%80%AEtxt"),
        ("%0d%0aX: y", "%250d%250aX%3A%20y"),
        ("a'b", "a%27b"),
    ],
)
def test_50_a_file_name_is_one_parameter(team: Any, name: str, shown: str) -> None:
    from urllib.parse import quote

    where = f"cache/names/{quote(name, safe='')}"
    assert team.put(where, b"x").status == 200
    answer = team.get(where)

    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{shown}"


DEEP = b"[" * 100_000 + b"]" * 100_000
ODD_JSON = [
    DEEP,
    b'{"token":' + b"9" * 1_000_000 + b"}",
    b'{"token":NaN}',
    b'{"token":Infinity}',
    b'{"token":"\\ud800"}',
    '{"token":"x"}'.encode("utf-16"),
    b"null",
    b"[]",
    b'"x"',
    b"{}x",
    b'{"token":null}',
    b"",
    b"\xff",
    b'{"token":"x",}',
]


@pytest.mark.parametrize("body", ODD_JSON, ids=range(len(ODD_JSON)))
def test_60_odd_json_is_refused_at_once(team: Any, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    answer = ask(team.server.port, "POST", "/api/v1/session", headers=headers, body=body)

    assert answer.status in (400, 413, 422)


def test_61_a_json_body_over_its_limit_is_refused(team: Any) -> None:
    headers = {"Content-Type": "application/json"}
    body = b'{"token":"' + b"x" * (1 << 20) + b'"}'
    answer = ask(team.server.port, "POST", "/api/v1/session", headers=headers, body=body)

    assert answer.status == 413


def test_61_an_upload_without_a_token_is_refused_before_its_body(team: Any) -> None:
    head = f"PUT {team.object('cache/x')} HTTP/1.1\r\nHost: localhost\r\n"
    for length in ("Content-Length: 40000000000", "Transfer-Encoding: chunked"):
        answer = send(team.server.port, f"{head}{length}\r\n\r\n".encode())
        assert answer.status == 401


def test_61_an_upload_that_is_too_large_is_refused_before_its_body(team: Any) -> None:
    head = (
        f"PUT {team.object('cache/x')} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {team.editor}\r\n"
    )
    for length in (10**11, 10**18, 2**64 - 1):
        request = f"{head}Content-Length: {length}".encode() + CLOSE
        assert send(team.server.port, request).status in (400, 413)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "gzip, gzip", "deflate", "x"])
def test_62_a_packed_body_is_not_unpacked(team: Any, coding: str) -> None:
    assert team.put("cache/coded", b"x", Content_Encoding=coding).status == 415


def _is_alive(port: int) -> bool:
    """Whether a ping is answered."""
    return ask(port, "GET", "/healthz").status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz?" + b"a=1&" * 50_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\na: " + b"b" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz?" + b"a=1&" * 100 + b" HTTP/1.1\r\nHost: localhost" + CLOSE,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 101 + b"\r\n",
    ],
    ids=["parameters", "headers", "header", "path", "100 parameters", "101 headers"],
)
def test_63_what_is_too_long_is_refused(open_server: Any, request_: bytes) -> None:
    answer = send(open_server.port, request_)

    assert answer.is_refused
    assert _is_alive(open_server.port)


def _is_open(connection: socket.socket) -> bool:
    """Whether the server has not cut it off."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def _answers_while_many_are_slow(team: Any) -> bool:
    """Whether others were answered before the slow ones were cut off, after 20 s and more."""
    port = team.server.port
    held = []
    try:
        for number in range(200):
            connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: local" + b"h" * (number % 3))
            held.append(connection)
        for _ in range(40):  # they ask for 8 MiB and do not read
            connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
            head = f"GET {team.object('cache/slow')} HTTP/1.1\r\nHost: localhost\r\n"
            connection.sendall(f"{head}Authorization: Bearer {team.viewer}\r\n\r\n".encode())
            held.append(connection)
        assert _is_alive(port)
        assert team.put("cache/meanwhile", b"x").status == 200
        return all(map(_is_open, held))
    finally:
        for connection in held:
            connection.close()


def test_65_slow_clients_do_not_stop_the_others(team: Any) -> None:
    """Where the whole machine stood still for so long that they were cut off, it is done again."""
    team.put("cache/slow", bytes(8 << 20))
    deadline = time.monotonic() + DEADLINE
    while not _answers_while_many_are_slow(team):
        assert time.monotonic() < deadline

    assert _is_alive(team.server.port)


SMUGGLED = b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n"
LENGTHS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: +5",
    b"Content-Length: 1_0",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999999999",
    b"Content-Length: 0x5",
    b"Content-Length: 5, 6",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, xchunked",
]


@pytest.mark.parametrize("lengths", LENGTHS, ids=range(len(LENGTHS)))
def test_79_no_second_request_hides_in_a_body(team: Any, lengths: bytes) -> None:
    token = f"Authorization: Bearer {team.editor}\r\n".encode()
    head = f"PUT {team.object('cache/smuggled')} HTTP/1.1\r\nHost: localhost\r\n".encode()
    answer = send(team.server.port, head + token + lengths + b"\r\n\r\n0\r\n\r\n" + SMUGGLED)

    assert answer.is_refused, answer.raw
    assert answer.raw.count(b"HTTP/1.1 ") <= 1


def test_79_a_bad_chunk_is_refused(team: Any) -> None:
    token = f"Authorization: Bearer {team.editor}\r\n".encode()
    head = f"PUT {team.object('cache/chunk')} HTTP/1.1\r\nHost: localhost\r\n".encode()
    for chunk in (b"zz\r\nx\r\n", b"-1\r\nx\r\n", b"fffffffffffffffff\r\nx", b"1\nx\n0\n\n"):
        request = head + token + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + SMUGGLED
        answer = send(team.server.port, request)
        assert answer.is_refused, answer.raw
    assert team.get("cache/chunk").status == 404


ODD_WIRE = [
    b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: \0\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: x\ry\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA B: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nnocolon\r\n\r\n",
    b"GET /healthz\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\n\r\n",
    bytes.fromhex("16030100c8010000c40303"),
    bytes(range(128, 256)) * 4 + b"\r\n\r\n",
    b"GET http://evil/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT evil:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET evil:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


@pytest.mark.parametrize("request_", ODD_WIRE, ids=range(len(ODD_WIRE)))
def test_80_81_83_what_is_no_request_for_us_is_refused(open_server: Any, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", open_server.port), timeout=DEADLINE) as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := connection.recv(1 << 16):
                received += piece
        except ConnectionError:
            pass

    assert parse(received).is_refused, received
    assert _is_alive(open_server.port)


@pytest.mark.parametrize(
    "hostile",
    [
        "a%0d%0aFORGED",
        "a%1b[31mred",
        "a%e2%80%a8FORGED",
        '"} FORGED {"',
        "%25s%25n{0}${x}",
        "pst_x",
    ],
)
def test_82_a_request_is_one_line_of_the_log(team: Any, hostile: str) -> None:
    marker = f"marker{abs(hash(hostile))}"
    answer = ask(
        team.server.port,
        "GET",
        f"/{marker}/{hostile}".replace(" ", "%20"),
        headers={"User-Agent": "x\tFORGED", "X-Forwarded-For": "FORGED"},
    )
    assert answer.is_refused
    deadline = time.monotonic() + DEADLINE
    while marker not in team.server.output and time.monotonic() < deadline:
        time.sleep(0.01)
    lines = [line for line in team.server.output.split("\n") if marker in line]

    assert len(lines) == 1
    assert lines[0].isascii()
    assert lines[0].isprintable()
    assert not [line for line in team.server.output.splitlines() if line.startswith("FORGED")]


def test_27_no_answer_tells_of_the_inside(team: Any, outside: Path) -> None:
    answers: list[Answer] = []
    for method, path, _ in ROUTES:
        for token in ("", team.viewer, team.root):
            answers += [
                ask(team.server.port, method, filled(path), token=token),
                ask(team.server.port, method, filled(path) + "?limit=x", token=token),
                ask(team.server.port, method, filled(path, "__class__"), token=token),
            ]
    described = [answer for answer in answers if not answer.body.startswith((b'{"openapi"', b"<"))]

    assert described
    for answer in described:
        assert answer.status < 500, answer.raw
        assert not [leak for leak in LEAKS if leak in answer.body], answer.raw
        assert team.server.store.encode() not in answer.raw
        assert "server" not in answer.headers


def test_70_links_in_a_store_are_neither_followed_nor_listed(team: Any, outside: Path) -> None:
    folder = team.blob("cache/links")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    for key in ("file", "folder/canary", "loop/file", "loop/loop/x", "pipe"):
        for method in ("GET", "PUT", "DELETE"):
            body = b"hostile" if method == "PUT" else b""
            answer = team.ask(method, team.object(f"cache/links/{key}"), team.admin, body)
            assert CANARY not in answer.raw
            assert answer.status in (200, 204, 404, 409), (method, key, answer.raw)
            assert outside.read_bytes() == CANARY
    listed = team.ask("GET", "/api/v1/projects/alpha/objects?prefix=cache/links/").json

    assert b"canary" not in orjson.dumps(listed)


def test_65_memory_stays_flat_while_much_is_sent(team: Any) -> None:
    def resident() -> int:
        status = Path(f"/proc/{team.server.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) >> 10

    body = bytes(8 << 20)
    team.put("cache/warm", body)
    before = resident()
    threads = [
        threading.Thread(target=team.put, args=(f"cache/flat{number}", body))
        for number in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert resident() - before < 64


@pytest.mark.slow
def test_65_headers_that_never_end_are_cut_off(open_server: Any) -> None:
    with socket.create_connection(("127.0.0.1", open_server.port), timeout=DEADLINE) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
        try:
            assert connection.recv(1 << 16) == b""
        except ConnectionError:
            pass
