"""Who gets in, and how far: every route, every odd credential, every role, other projects."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import orjson
import pytest

from podstack.backend import open_backend
from podstack.server.access import ADMIN, EDITOR, PUBLIC, VIEWER, Level
from podstack.server.app import create_app
from podstack.server.gate import Gate
from podstack.server.settings import ServerSettings
from podstack.server.tokens import Tokens
from podstack.testing.asked_directly import asked_directly
from podstack.testing.raw_http import ask
from podstack.testing.routes import Declared, all_routes, filled


def gate() -> Gate:
    return create_app(ServerSettings("memory://routes"))


ROUTES = all_routes()
GUARDED = [route for route in ROUTES if route.level != PUBLIC]


def name(route: object) -> str:
    return "-".join(map(str, route[:2])) if isinstance(route, tuple) else str(route)


def test_85_every_route_declares_a_level() -> None:
    made = gate()
    undeclared = [
        getattr(route, "path", route)
        for route in made.app.routes
        if getattr(route, "endpoint", None) not in made.levels
    ]

    assert undeclared == []
    assert len(ROUTES) > 10


def test_85_what_is_public_is_known_by_name() -> None:
    public = {(method, path) for method, path, level in ROUTES if level == PUBLIC}

    assert public == {
        ("GET", "/healthz"),
        ("HEAD", "/healthz"),
        ("POST", "/api/v1/session"),
        ("DELETE", "/api/v1/session"),
        ("GET", "/api/v1/session"),
        ("POST", "/api/v1/session/code"),
        ("GET", "/login"),
        ("GET", "/static/{path:path}"),
        ("HEAD", "/static/{path:path}"),
    }


def test_85_what_only_reads_takes_a_viewer_and_what_writes_more() -> None:
    writing = [level for method, _, level in GUARDED if method not in ("GET", "HEAD", "POST")]

    assert all(level >= EDITOR for level in writing)


def test_85_a_route_that_declares_no_level_is_refused() -> None:
    """Somebody adds one to the application itself, past `Routes`."""
    made = create_app(ServerSettings("memory://undeclared", open=True, user="me"))

    @made.app.get("/api/v1/forgotten")
    def forgotten() -> str:
        return "secret"

    told = asked_directly(made, "/api/v1/forgotten")

    assert told.status == 404
    assert b"secret" not in told.body


def bad_credentials() -> Iterator[dict[str, str]]:
    """What a request may show instead of a token."""
    basic = base64.b64encode(b"admin:admin").decode()
    none_alg = ".".join(
        base64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=")
        for part in ({"alg": "none"}, {"sub": "admin", "role": "admin"})
    )
    yield {}
    for shown in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer null",
        "Bearer undefined",
        "Bearer admin",
        "Bearer *",
        "Bearer pst__",
        "Bearer pst_aaaaaaaaaaaa_",
        "Bearer pst_aaaaaaaaaaaa_" + "A" * 43,
        "Bearer pst_../../../../x_" + "A" * 43,
        f"Bearer {none_alg}.",
        f"Basic {basic}",
        "Basic Og==",
        "Digest username=admin",
        "Negotiate YII=",
        "Token admin",
        "token",
    ):
        yield {"Authorization": shown}
    for header in (
        "X-User",
        "X-Remote-User",
        "X-Forwarded-User",
        "X-Api-Key",
        "X-Podstack-User",
        "X-Podstack-Role",
    ):
        yield {header: "admin"}
    yield {"X-Forwarded-For": "127.0.0.1"}
    yield {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz"}
    yield {"Cookie": "podstack_session=admin"}
    yield {"Cookie": "session=admin; user=admin"}


BAD = list(bad_credentials())


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_14_no_bad_credential_opens_a_route(team: Any, route: Declared) -> None:
    method, path, _ = route
    answers = [ask(team.server.port, method, filled(path), headers=shown) for shown in BAD]

    assert {answer.status for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "FOO", "get", "PROPFIND", "__init__"])
def test_15_other_methods_do_nothing(team: Any, method: str) -> None:
    for _, path, _ in GUARDED:
        answer = ask(team.server.port, method, filled(path))
        assert answer.status in (0, 400, 401, 405), path
        assert b"Traceback" not in answer.raw


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_17_a_token_in_a_url_is_refused_and_never_logged(team: Any, route: Declared) -> None:
    method, path, _ = route
    for parameter in ("token", "access_token", "key"):
        url = f"{filled(path)}?{parameter}={team.editor}"
        assert ask(team.server.port, method, url).status in (400, 401)

    assert team.editor not in team.server.output


def test_17_no_token_is_in_clear_in_the_store(team: Any) -> None:
    stored = [path.read_bytes() for path in Path(team.server.store, "server").rglob("*.json")]
    secrets = [token.split("_", 2)[2].encode() for token in (team.viewer, team.root)]

    assert stored
    assert not [secret for secret in secrets for content in stored if secret in content]


@pytest.mark.parametrize(("method", "path", "level"), GUARDED, ids=str)
def test_21_22_a_role_that_is_too_low_is_403(
    team: Any, method: str, path: str, level: Level
) -> None:
    tokens = {VIEWER: team.viewer, EDITOR: team.editor, ADMIN: team.admin}
    for role, token in tokens.items():
        status = ask(team.server.port, method, filled(path), token=token).status
        assert (status == 403) == (role < level), role


@pytest.mark.parametrize(
    ("method", "path"), [route[:2] for route in GUARDED if "{project}" in route[1]], ids=str
)
def test_23_a_project_of_others_looks_like_one_that_is_not_there(
    team: Any, method: str, path: str
) -> None:
    team.put("live/x.w.json", b"{}")
    theirs = ask(team.server.port, method, filled(path), token=team.stranger)
    nobodys = ask(team.server.port, method, filled(path, "nobodys"), token=team.stranger)
    odd = ask(team.server.port, method, filled(path, "No.Id!"), token=team.stranger)

    assert theirs.status == nobodys.status == odd.status == 404
    assert theirs.body == nobodys.body == odd.body
    assert team.blob("live/x.w.json").read_bytes() == b"{}"


def test_24_no_key_leads_into_another_project(team: Any) -> None:
    team.put("live/mine.w.json", b"alpha's")
    for key in (
        "../alpha/live/mine.w.json",
        "..%2falpha/live/mine.w.json",
        "%2e%2e/alpha/live/mine.w.json",
        "/projects/alpha/live/mine.w.json",
        "x/../../alpha/live/mine.w.json",
        "../../server/secret",
        "../../podstack.json",
    ):
        for method in ("GET", "PUT", "DELETE"):
            answer = ask(
                team.server.port,
                method,
                f"/api/v1/projects/beta/objects/{key}",
                token=team.stranger,
                body=b"beta's" if method == "PUT" else b"",
            )
            assert answer.status in (400, 404), key
            assert b"alpha's" not in answer.raw
    assert team.blob("live/mine.w.json").read_bytes() == b"alpha's"


def test_25_a_listing_shows_the_own_project_only(team: Any) -> None:
    team.put("cache/secret-of-alpha", b"x")
    for query in ("", "?prefix=", "?prefix=cache", "?start_after=../", "?start_after=zzz"):
        url = f"/api/v1/projects/beta/objects{query}"
        answer = ask(team.server.port, "GET", url, token=team.stranger)
        assert answer.status == 200
        assert b"secret-of-alpha" not in answer.body
    for prefix in ("../alpha/", "..", "/", "x//y", "a/../..", "%00"):
        url = f"/api/v1/projects/beta/objects?prefix={prefix}"
        assert ask(team.server.port, "GET", url, token=team.stranger).status == 400, prefix


def test_22_only_an_admin_buries_a_run(team: Any) -> None:
    assert team.put("tombs/gone.json", b"{}").status == 403
    assert team.put("tombs/gone.json", b"{}", team.admin).status == 200
    assert team.ask("DELETE", team.object("tombs/gone.json")).status == 403


def test_no_object_route_reaches_the_servers_own_objects(team: Any) -> None:
    answer = ask(team.server.port, "GET", "/api/v1/projects/server/objects/secret", token=team.root)

    assert answer.status == 404


def test_me_tells_user_and_roles(team: Any) -> None:
    answer = team.ask("GET", "/api/v1/me")

    assert answer.json["user"] == "ed"
    assert answer.json["projects"] == {"alpha": "editor"}
    assert team.ask("GET", "/api/v1/me", team.root).json["projects"] == {"*": "admin"}


def test_store_tells_the_id_of_the_store_to_any_viewer(team: Any) -> None:
    there = orjson.loads(Path(team.server.store, "podstack.json").read_bytes())

    assert team.ask("GET", "/api/v1/store", team.viewer).json == there
    assert team.ask("GET", "/api/v1/store", team.stranger).json == there


def test_health_tells_nothing_else(team: Any) -> None:
    assert ask(team.server.port, "GET", "/healthz").json == {"status": "ok"}


# Tokens ends ---------------------------------------------------------------------------


def test_20_a_revoked_token_ends_with_the_next_request(team: Any) -> None:
    token = team.server.token("alpha", "viewer")
    tokens = Tokens(open_backend(team.server.store))
    before = team.ask("GET", "/api/v1/me", token).status
    tokens.revoke(token.split("_")[1])

    assert before == 200
    assert team.ask("GET", "/api/v1/me", token).status == 401


def test_20_an_expired_token_is_none(team: Any) -> None:
    token = team.server.token("alpha", "viewer", expires_in=-1.0)

    assert team.ask("GET", "/api/v1/me", token).status == 401


def test_29_two_hundred_guesses_do_not_lock_the_owner_out(team: Any) -> None:
    ident = team.editor.split("_")[1]
    guesses = [f"pst_{ident}_{number:043d}" for number in range(200)]

    assert {team.ask("GET", "/api/v1/me", guess).status for guess in guesses} <= {401, 429}
    assert team.ask("GET", "/api/v1/me").status == 200


@pytest.mark.slow
def test_29_a_near_miss_takes_as_long_as_a_far_one(tmp_path: Path) -> None:
    """Measured without the network, where a difference would show most."""
    tokens = Tokens(open_backend(str(tmp_path)))
    text, _ = tokens.create(user="u", project="p", role="viewer", expires_in=None)
    near = text[:-1] + ("A" if text[-1] != "A" else "B")
    far = text[:17] + "B" * 43

    def seconds(shown: str) -> float:
        begin = perf_counter()
        assert tokens.who(shown) is None
        return perf_counter() - begin

    pairs = [(seconds(near), seconds(far)) for _ in range(400)]
    ratio = median(pair[0] for pair in pairs) / median(pair[1] for pair in pairs)

    assert 0.85 < ratio < 1.15


# Sessions ------------------------------------------------------------------------------


def log_in(team: Any, token: str) -> tuple[str, str]:
    """The cookie and what the page is told."""
    body = orjson.dumps({"token": token})
    answer = ask(
        team.server.port,
        "POST",
        "/api/v1/session",
        headers={"Content-Type": "application/json"},
        body=body,
    )
    assert answer.status == 200, answer.raw
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    return cookie.partition(";")[0], answer.json["csrf"]


def test_a_session_reads_as_its_token(team: Any) -> None:
    cookie, _ = log_in(team, team.editor)

    assert team.ask("GET", "/api/v1/me", "", Cookie=cookie).json["user"] == "ed"


def test_37_a_cookie_alone_writes_nothing(team: Any) -> None:
    cookie, csrf = log_in(team, team.editor)
    alone = team.put("cache/by-cookie", b"x", "", Cookie=cookie)
    wrong = team.put("cache/by-cookie", b"x", "", Cookie=cookie, X_CSRF_Token=csrf[:-1])
    other = log_in(team, team.editor)[1]
    of_another = team.put("cache/by-cookie", b"x", "", Cookie=cookie, X_CSRF_Token=other)
    both = team.put("cache/by-cookie", b"x", "", Cookie=cookie, X_CSRF_Token=csrf)

    assert [alone.status, wrong.status, of_another.status] == [403, 403, 403]
    assert both.status == 200


def test_20_a_session_ends_with_its_token(team: Any) -> None:
    token = team.server.token("alpha", "viewer")
    cookie, _ = log_in(team, token)
    Tokens(open_backend(team.server.store)).revoke(token.split("_")[1])

    assert team.ask("GET", "/api/v1/me", "", Cookie=cookie).status == 401


def test_a_forged_cookie_is_none(team: Any) -> None:
    cookie, _ = log_in(team, team.editor)
    for forged in (cookie[:-2], cookie + "x", cookie.replace(".", "", 1), "podstack_session="):
        assert team.ask("GET", "/api/v1/me", "", Cookie=forged).status == 401


def test_20_a_bad_token_makes_no_session(team: Any) -> None:
    for body, status in (
        (b'{"token":"pst_x"}', 401),
        (b"{}", 422),
        (b"[]", 422),
        (b"{", 422),
        (b'{"token":1}', 422),
    ):
        answer = ask(
            team.server.port,
            "POST",
            "/api/v1/session",
            headers={"Content-Type": "application/json"},
            body=body,
        )
        assert (answer.status, "set-cookie" in answer.headers) == (status, False)


# A server that is open to this machine ---------------------------------------------------


def test_an_open_server_needs_no_token(open_server: Any) -> None:
    answer = ask(open_server.port, "GET", "/api/v1/me")

    assert answer.json["projects"] == {"*": "admin"}


def test_what_is_shown_to_an_open_server_must_be_good_too(open_server: Any) -> None:
    assert ask(open_server.port, "GET", "/api/v1/me", token="pst_x").status == 401


def test_84_the_description_is_behind_tokens_and_names_every_route(team: Any) -> None:
    paths = team.ask("GET", "/api/v1/openapi.json").json["paths"]
    page = team.ask("GET", "/api/v1/docs")

    assert {path.replace(":path", "") for _, path, _ in ROUTES} == set(paths)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<script" not in page.body
