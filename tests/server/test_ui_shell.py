"""The pages' shell over HTTP: policy, the way in and out, refusals, and the files it loads."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest

import podstack.server.ui as ui
from podstack.server.codes import Codes
from podstack.server.sessions import Sessions
from podstack.server.stores import Stores
from podstack.server.tokens import Tokens
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer, ask

FOLDER = Path(ui.__file__).parent
SEARCH = "/projects/alpha/search"
A_LINK = {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


@pytest.fixture
def prefixed(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "store", options=("--prefix", "/team/podstack")) as server:
        yield server


def visit(team: Any, path: str, token: str, **headers: str) -> Answer:
    """As a browser goes to a page, with the session of a token's holder; "" for a stranger."""
    told = session(team.server.port, "/session", {"token": token}) if token else None
    cookie = {"Cookie": told.headers["set-cookie"].partition(";")[0]} if told else {}
    shown = {"Accept": "text/html,*/*;q=0.8", **cookie, **headers}
    return ask(team.server.port, "GET", path, headers=shown)


def shell_of(answer: Answer) -> dict[str, Any]:
    found = re.search(rb'<script type="application/json" id="page">(.*?)</script>', answer.body)
    assert found is not None
    told: dict[str, Any] = orjson.loads(found[1])
    return told


def addresses(answer: Answer) -> list[str]:
    text = answer.body.decode()
    return re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', text)


def session(port: int, path: str, body: object) -> Answer:
    headers = {"Content-Type": "application/json"}
    return ask(port, "POST", f"/api/v1{path}", headers=headers, body=orjson.dumps(body))


@pytest.mark.parametrize("path", [SEARCH, "/settings", "/help/keys", "/login", "/nothing-here"])
def test_every_page_comes_with_the_whole_policy(team: Any, path: str) -> None:
    answer = visit(team, path, team.editor)
    policy = answer.headers["content-security-policy"]

    assert "script-src 'self'; style-src 'self'" in policy
    assert "object-src 'none'; base-uri 'none'; frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("templates/*.html")), ids=lambda p: p.name)
def test_a_template_holds_no_inline_script_style_or_handler(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    scripts = re.findall(r"<script(?![^>]*\b(?:src=|type=\"application/json\"))[^>]*>", text)

    assert scripts == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+\s*=|javascript:", text, re.IGNORECASE) == []


def test_who_is_not_known_is_led_to_the_way_in_and_back(team: Any) -> None:
    answer = visit(team, f"{SEARCH}?q=a%26b", "")

    assert answer.status == 303
    place, _, wanted = answer.headers["location"].partition("?next=")
    assert place == "/login"
    assert unquote(wanted) == f"{SEARCH}?q=a%26b"


def test_a_program_without_a_token_is_refused_in_json_on_pages_too(team: Any) -> None:
    answer = team.ask("GET", SEARCH, "")

    assert (answer.status, answer.code) == (401, "unauthorized")


def test_a_visitor_learns_whether_they_have_a_session(team: Any) -> None:
    assert visit(team, "/api/v1/session", "").json == {"user": None}
    assert visit(team, "/api/v1/session", team.viewer).json["user"]


def test_a_hostile_address_is_refused_on_a_page_without_its_text(team: Any) -> None:
    answer = visit(team, "/%3Cimg%20src=x%20onerror=alert(1)%3E", team.editor)

    assert answer.status == 404
    assert b"<img" not in answer.body


def test_the_api_still_answers_a_stranger_in_json(team: Any) -> None:
    answer = team.ask("GET", "/api/v1/me", "")

    assert (answer.status, answer.code) == (401, "unauthorized")


def test_a_page_of_a_project_that_is_not_yours_is_as_one_that_is_not_there(team: Any) -> None:
    others = visit(team, "/projects/beta/search", team.editor)
    absent = visit(team, "/projects/nowhere/search", team.editor)

    assert (others.status, absent.status) == (404, 404)
    assert b"There is no such page" in others.body
    bodies = [others.body.replace(b"beta", b""), absent.body.replace(b"nowhere", b"")]
    timeless = {re.sub(rb'"now":[0-9.e+]+', b"", body) for body in bodies}
    assert len(timeless) == 1


def test_a_link_of_another_site_leads_to_a_page(team: Any) -> None:
    assert team.ask("GET", SEARCH, **dict(A_LINK)).status == 200


@pytest.mark.parametrize("header", ["Sec-Fetch-Mode", "Sec-Fetch-Dest"])
def test_nothing_but_a_person_in_a_window_comes_from_another_site(team: Any, header: str) -> None:
    odd = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "iframe"}
    framed = {**A_LINK, header: odd[header]}

    assert team.ask("GET", SEARCH, **framed).status == 403
    assert team.ask("GET", "/api/v1/me", **dict(A_LINK)).status == 403


def test_no_text_in_an_address_can_end_the_json_of_a_page(team: Any) -> None:
    answer = team.ask("GET", f"{SEARCH}?q=%3C/script%3E%3Cimg%20src=x%20onerror=alert(1)%3E")

    assert answer.status == 200
    assert b"<img" not in answer.body
    assert shell_of(answer)["project"] == "alpha"


def test_a_token_opens_a_session_whose_pages_may_write(team: Any) -> None:
    port = team.server.port
    told = session(port, "/session", {"token": team.editor})
    cookie = told.headers["set-cookie"].partition(";")[0]
    page = shell_of(ask(port, "GET", SEARCH, headers={"Cookie": cookie}))

    assert page["csrf"] == told.json["csrf"] != ""
    assert page["role"] == "editor"
    assert shell_of(team.ask("GET", SEARCH))["csrf"] == ""


def test_a_code_opens_one_session(team: Any) -> None:
    stores = Stores(team.server.store)
    tokens = Tokens(stores.backend)
    ident = next(t.id for t in tokens.all() if t.role == "viewer" and tokens.still(t.id))
    code = Codes(stores.backend, Sessions(stores.backend)).issue(ident)
    port = team.server.port

    first, second = (session(port, "/session/code", {"code": code}) for _ in range(2))

    assert (first.status, second.status) == (200, 401)


@pytest.mark.parametrize("code", ["", "x", "e30.AAAA", 7])
def test_what_is_no_code_opens_none(team: Any, code: object) -> None:
    assert session(team.server.port, "/session/code", {"code": code}).status in (401, 422)


def test_a_cookie_is_no_code(team: Any) -> None:
    told = session(team.server.port, "/session", {"token": team.editor})
    cookie = told.headers["set-cookie"].partition(";")[0].partition("=")[2]

    assert session(team.server.port, "/session/code", {"code": cookie}).status == 401


def test_what_a_page_loads_is_there_for_ever_and_compressed(team: Any) -> None:
    found = addresses(team.ask("GET", "/settings"))
    assert any("core/dom.js" in address for address in found)  # known before it is imported

    for address in found:
        answer = team.ask("GET", address, "", Accept_Encoding="gzip")

        assert answer.status == 200, address
        assert "immutable" in answer.headers["cache-control"]
        assert gzip.decompress(answer.body) == team.ask("GET", address, "").body


def test_a_file_of_another_version_is_not_kept(team: Any) -> None:
    answer = team.ask("GET", "/static/000000000000/core/dom.js", "")

    assert (answer.status, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "path",
    ["core/dom.js", "%2e%2e/rendering.py", "000000000000/../../rendering.py", "%2fetc/passwd"],
)
def test_nothing_but_its_own_files_is_static(team: Any, path: str) -> None:
    assert team.ask("GET", f"/static/{path}", "").status in (400, 404)


def test_a_query_follows_a_short_link(team: Any) -> None:
    answer = team.ask("GET", "/runs?q=a%20%3E%201")

    assert answer.status == 302
    assert answer.headers["location"] == "/projects/alpha/runs?q=a%20%3E%201"


def test_behind_a_prefix_every_address_has_it(prefixed: RunningServer) -> None:
    answer = ask(prefixed.port, "GET", "/team/podstack/settings")
    own = re.findall(r'(?:src|href|action)="(/[^"]*)"', answer.body.decode())

    assert answer.status == 200
    assert [place for place in own if not place.startswith("/team/podstack/")] == []
    assert ask(prefixed.port, "GET", addresses(answer)[0]).status == 200


def test_search_finds_nothing_in_a_project_without_runs(team: Any) -> None:
    answer = team.ask("GET", "/api/v1/projects/alpha/search?q=zzz%27%22%60")

    assert set(answer.json) == {"experiments", "runs", "named", "params", "metrics", "tags"}
    assert not any(answer.json.values())


def test_every_link_of_the_top_bar_leads_to_a_page(team: Any) -> None:
    shown = visit(team, SEARCH, team.viewer)
    bar = re.search(r'<nav class="top-nav".*?</nav>', shown.body.decode(), re.DOTALL)
    assert bar is not None
    links = re.findall(r'href="([^"]+)"', bar[0])

    assert len(links) >= 4
    assert {link: visit(team, link, team.viewer).status for link in links} == dict.fromkeys(
        links, 200
    )
