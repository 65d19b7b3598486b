"""Tokens made, listed and ended over HTTP, by those who may."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from podstack.testing.raw_http import Answer, ask

PATH = "/api/v1/projects/alpha/tokens"


def create(team: Any, by: str, **told: object) -> Answer:
    body = orjson.dumps({"user": "new", "role": "viewer", "expires_in": 3600, **told})
    answer: Answer = team.ask("POST", PATH, by, body, Content_Type="application/json")
    return answer


def test_a_new_token_works_until_it_is_revoked(team: Any) -> None:
    made = create(team, team.admin).json
    before = team.ask("GET", "/api/v1/me", made["token"])
    ended = team.ask("DELETE", f"{PATH}/{made['id']}", team.admin)

    assert before.json["projects"] == {"alpha": "viewer"}
    assert ended.json["revoked"] is not None
    assert team.ask("GET", "/api/v1/me", made["token"]).status == 401


def test_the_list_shows_no_secret_and_none_of_another_project(team: Any) -> None:
    made = create(team, team.admin).json
    listed = team.ask("GET", PATH, team.admin)

    assert made["id"] in {token["id"] for token in listed.json["tokens"]}
    assert {token["project"] for token in listed.json["tokens"]} == {"alpha"}
    assert made["token"].encode() not in listed.body
    assert b"hash" not in listed.body


def test_an_admin_of_all_sees_the_tokens_for_all(team: Any) -> None:
    listed = team.ask("GET", PATH, team.root).json["tokens"]

    assert {token["project"] for token in listed} == {"alpha", "*"}
    assert [token["user"] for token in listed if token["yours"]] == ["root"]


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_an_admin_has_to_do_with_tokens(team: Any, role: str) -> None:
    by = getattr(team, role)

    assert team.ask("GET", PATH, by).status == 403
    assert create(team, by).status == 403


def test_a_token_of_another_project_cannot_be_ended(team: Any) -> None:
    other = "/api/v1/projects/beta/tokens"
    theirs = team.ask("GET", other, team.stranger).json["tokens"][0]["id"]

    assert team.ask("DELETE", f"{PATH}/{theirs}", team.admin).status == 404
    assert team.ask("GET", "/api/v1/me", team.stranger).status == 200


@pytest.mark.parametrize(
    "told",
    [
        {"role": "owner"},
        {"role": ["admin"]},
        {"user": ""},
        {"user": "x" * 10_000},
        {"expires_in": 0},
        {"expires_in": True},
        {"expires_in": 1e300},
        {"project": "*"},
    ],
    ids=lambda told: next(iter(told)),
)
def test_a_token_that_is_none_is_refused(team: Any, told: dict[str, object]) -> None:
    assert create(team, team.admin, **told).status == 422


def test_an_open_server_makes_no_tokens(open_server: Any) -> None:
    body = orjson.dumps({"user": "a", "role": "admin", "expires_in": None})
    headers = {"Content-Type": "application/json"}
    answer = ask(open_server.port, "POST", PATH, headers=headers, body=body)

    assert (answer.status, answer.code) == (409, "open")
