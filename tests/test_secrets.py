"""One rule masks secrets in command lines, remotes and text, and leaves the rest as it is."""

from __future__ import annotations

import pytest

from podstack.parameters import MASK
from podstack.secrets import masked, masked_arguments, without_tokens, without_user

TOKENS = [
    "hf_" + "aB3" * 11,
    "sk-proj-" + "aB3_" * 10,
    "ghp_" + "aB3" * 12,
    "github_pat_" + "aB3" * 12,
    "glpat-" + "aB3-" * 6,
    "AKIA" + "AB34" * 4,
    "AIza" + "aB3-x" * 7,
    "xoxb-" + "123-abc-" * 3,
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "abcDEF123_-xyz",
]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--api-key=abc"], [f"--api-key={MASK}"]),
        (["--apiKey=abc"], [f"--apiKey={MASK}"]),
        (["--password", "hunter2", "--lr", "1"], ["--password", MASK, "--lr", "1"]),
        (["--password", "-hunter2"], ["--password", MASK]),
        (["--token", "--verbose"], ["--token", "--verbose"]),
        (["--token", "-v", "x"], ["--token", "-v", "x"]),
        (["token=abc"], [f"token={MASK}"]),
        (["+trainer.hub_token=abc"], [f"+trainer.hub_token={MASK}"]),
        (["--flags=--token=abc -api-key=b"], [f"--flags=--token={MASK} -api-key={MASK}"]),
        ([r"{\"token\": \"abc\"}"], [rf'{{\"token\": \"{MASK}"}}']),
        (["a=1,secret=abc,b=2"], [f"a=1,secret={MASK},b=2"]),
        (['{"api_key": "a b", "lr": 1}'], [f'{{"api_key": "{MASK}", "lr": 1}}']),
        (["http://h/?api_key=abc&x=1"], [f"http://h/?api_key={MASK}&x=1"]),
        (["db=postgres://me:pw@h/db"], [f"db=postgres://me:{MASK}@h/db"]),
        (["Authorization: Bearer abcdefgh12345678"], [f"Authorization: Bearer {MASK}"]),
        (["--password="], ["--password="]),
        (["--password"], ["--password"]),
    ],
)
def test_what_a_command_says_under_a_secret_name_is_masked(
    arguments: list[str], expected: list[str]
) -> None:
    assert masked_arguments(arguments) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tokenizer", "gpt2"],
        ["--max-tokens", "512"],
        ["--lr=0.1", "--name", "a=b"],
        ["s3://bucket/key", "C:\\data", "a:b", "", "-", "--", "="],
        ["model.hidden=[1,2]", "--stoken_type", "x"],
    ],
)
def test_other_arguments_stay_as_they_are(arguments: list[str]) -> None:
    assert masked_arguments(arguments) == arguments


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_of_known_shape_is_masked_wherever_it_stands(token: str) -> None:
    for text in (token, f"--x={token}", f"see {token}, please", f"'{token}'"):
        assert token not in masked(text)
        assert token not in without_tokens(text)
    assert masked_arguments(["--x", token]) == ["--x", MASK]


def test_program_code_keeps_its_settings_and_loses_only_tokens_and_passwords_of_urls() -> None:
    code = "+    token = next(stream)\n-    password: str = ask()\n Bearer of news\n"

    assert without_tokens(code) == code
    assert without_tokens("+u = 'https://me:pw@h/x'\n") == f"+u = 'https://me:{MASK}@h/x'\n"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:pw@host/a.git", "https://host/a.git"),
        ("https://ghp_" + "a" * 36 + "@github.com/a", "https://github.com/a"),
        ("https://x-access-token@host/a", "https://host/a"),
        ("ssh://git@host/a", "ssh://git@host/a"),
        ("ssh://git:pw@host/a", "ssh://host/a"),
        ("git@host:a/b.git", "git@host:a/b.git"),
        ("/data/a@b/c", "/data/a@b/c"),
    ],
)
def test_a_remote_is_kept_without_its_user(url: str, expected: str) -> None:
    assert without_user(url) == expected


def test_a_long_text_is_looked_at_once() -> None:
    """Each of these takes minutes where a pattern begins again at every letter."""
    for text in ("a" * 300_000, "a." * 150_000, "-eyJ" * 75_000, "a://" * 75_000, '"a" ' * 75_000):
        assert masked(text) == text


@pytest.mark.parametrize("text", ["token: 17", "tokens=1000", "next token = -3.5e-4", "token: 12."])
def test_a_number_under_a_name_of_tokens_is_a_count(text: str) -> None:
    assert masked(text) == text
    assert masked(text.replace("1", "abcdefgh1").replace("-3", "xyz-3")) != text
    assert MASK in masked("password: 17")
