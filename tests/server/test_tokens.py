"""Tokens themselves, without a server around them."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import orjson
import pytest

from podstack import clock
from podstack.backend import Backend, open_backend
from podstack.errors import NotFoundError
from podstack.server.tokens import FOLDER, Tokens


@pytest.fixture
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    backend = open_backend(str(tmp_path_factory.mktemp("tokens")))
    yield backend
    backend.close()


def make(tokens: Tokens, expires_in: float | None = None) -> str:
    return tokens.create(user="u", project="p", role="viewer", expires_in=expires_in)[0]


def test_16_a_secret_has_256_random_bits_and_no_two_are_alike(backend: Backend) -> None:
    tokens = Tokens(backend)
    secrets = {make(tokens).split("_", 2)[2] for _ in range(50)}

    assert len(secrets) == 50
    assert {len(base64.urlsafe_b64decode(secret + "=")) for secret in secrets} == {32}


def test_only_the_whole_token_is_one(backend: Backend) -> None:
    tokens = Tokens(backend)
    text = make(tokens)

    assert tokens.who(text) is not None
    for wrong in (text[:-1], text + "A", text.upper(), f" {text}", text.replace("pst_", "")):
        assert tokens.who(wrong) is None


def test_every_server_of_a_store_knows_its_tokens_and_their_end(backend: Backend) -> None:
    here, there = Tokens(backend), Tokens(backend)
    text = make(here)

    assert there.who(text) is not None
    here.revoke(text.split("_")[1])
    assert there.who(text) is None


def test_86_turning_the_clock_back_brings_no_token_to_life(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(backend)
    text = make(tokens, expires_in=60)
    begin = clock.now()
    monkeypatch.setattr(clock, "now", lambda: begin + 61)  # time that nobody has to wait for
    assert tokens.who(text) is None
    monkeypatch.setattr(clock, "now", lambda: begin - 3600)

    assert tokens.who(text) is None


def test_86_a_clock_that_stands_still_does_not_keep_a_token_alive(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, ran = clock.now(), clock.monotonic()
    monkeypatch.setattr(clock, "now", lambda: begin)
    tokens = Tokens(backend)
    text = make(tokens, expires_in=60)
    monkeypatch.setattr(clock, "monotonic", lambda: ran + 120)

    assert tokens.who(text) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"{", b'{"role":"admin"}', b"\xff", b"1"],
)
def test_a_damaged_token_is_none(backend: Backend, content: bytes) -> None:
    tokens = Tokens(backend)
    text = make(tokens)
    backend.put(f"{FOLDER}{text.split('_')[1]}.json", content)

    assert tokens.who(text) is None
    assert list(tokens.all()) == []


def test_26_a_token_whose_object_was_renamed_is_none(backend: Backend) -> None:
    tokens = Tokens(backend)
    text = make(tokens)
    content = backend.get(f"{FOLDER}{text.split('_')[1]}.json")
    backend.put(f"{FOLDER}aaaaaaaaaaaa.json", content)

    assert [token.id for token in tokens.all()] == [text.split("_")[1]]


def test_what_is_stored_names_no_secret(backend: Backend) -> None:
    text = make(Tokens(backend))
    stored = backend.get(f"{FOLDER}{text.split('_')[1]}.json")

    assert text.split("_", 2)[2].encode() not in stored
    assert len(orjson.loads(stored)["hash"]) == 64


def test_revoking_twice_is_fine_and_an_unknown_one_is_not(backend: Backend) -> None:
    tokens = Tokens(backend)
    ident = make(tokens).split("_")[1]
    first, second = tokens.revoke(ident), tokens.revoke(ident)

    assert first.revoked == second.revoked
    with pytest.raises(NotFoundError, match=ident):
        tokens.revoke("nobody")
