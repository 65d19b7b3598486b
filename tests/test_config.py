"""Settings: what was passed, else the environment, else the default; and a token is never shown."""

from __future__ import annotations

import getpass
import pickle
from pathlib import Path

import pytest

from podstack import MLOpsClient, UsageError, config

TOKEN = "pst_0123456789abcdef"


def test_without_anything_the_store_is_a_folder_beside_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    client = MLOpsClient()

    assert repr(client) == "MLOpsClient('./podstack-store', project='default', mode='online')"
    assert client.uri == str(tmp_path / "podstack-store")


def test_the_environment_is_used_where_nothing_is_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_URI", str(tmp_path / "env"))
    monkeypatch.setenv("PODSTACK_PROJECT", "vision")
    monkeypatch.setenv("PODSTACK_MODE", "offline")
    monkeypatch.setenv("PODSTACK_API_TOKEN", TOKEN)

    assert config.settings(None, None, None, None) == (
        str(tmp_path / "env"),
        "vision",
        "offline",
        TOKEN,
        (),
    )


def test_what_is_passed_wins_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("URI", "PROJECT", "MODE", "API_TOKEN"):
        monkeypatch.setenv(f"PODSTACK_{name}", "/never/used")
    passed = config.settings(tmp_path / "mine", TOKEN, "text", "disabled", {"key": TOKEN})

    assert passed[:4] == (str(tmp_path / "mine"), "text", "disabled", TOKEN)
    assert passed.storage_options == (("key", TOKEN),)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URI", "PROJECT", "MODE", "API_TOKEN", "USER"):
        monkeypatch.setenv(f"PODSTACK_{name}", "")

    assert config.settings(None, None, None, None)[:3] == ("./podstack-store", "default", "online")
    assert config.user() == getpass.getuser()


@pytest.mark.parametrize("mode", ["onlin", "ONLINE", "1", " "])
def test_an_unknown_mode_is_refused_and_the_known_ones_are_named(
    store: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    message = f"online, offline, disabled, not {mode!r}"
    with pytest.raises(UsageError, match=message):
        MLOpsClient(store, mode=mode)
    monkeypatch.setenv("PODSTACK_MODE", mode)
    with pytest.raises(UsageError, match=message):
        MLOpsClient(store)


def test_a_project_of_the_environment_that_is_no_id_is_refused(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_PROJECT", "../up")

    with pytest.raises(UsageError, match=r"'\.\./up' is not an id"):
        MLOpsClient(store)


def test_a_token_is_in_no_repr_no_line_and_no_store(
    store: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PODSTACK_QUIET", "0")
    client = MLOpsClient(store, api_token=TOKEN)
    with client.start_run() as run:
        run.log_metrics({"x": 1})
        shown = [repr(client), repr(run), run._repr_html_(), repr(client.get_experiment("default"))]
    settings = config.settings(store, TOKEN, None, None)
    shown += [repr(settings), str(settings), f"{settings}", *capfd.readouterr()]
    run.flush()

    assert not any(TOKEN in text for text in shown)
    assert not any(TOKEN.encode() in p.read_bytes() for p in store.rglob("*") if p.is_file())


def test_a_pickled_run_takes_its_token_along(store: Path) -> None:
    with MLOpsClient(store, api_token=TOKEN).start_run() as run:
        copy = pickle.loads(pickle.dumps(run))
        copy.finish()

    assert copy._store.settings.api_token == TOKEN


def test_the_user_is_the_one_of_the_environment_else_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert config.user() == getpass.getuser()
    monkeypatch.setenv("PODSTACK_USER", "ada")
    assert config.user() == "ada"


def test_the_spool_is_where_the_environment_says_else_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_SPOOL", str(tmp_path / "mine"))
    assert config.spool_folder() == tmp_path / "mine"

    monkeypatch.delenv("PODSTACK_SPOOL")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert config.spool_folder() == tmp_path / "cache" / "podstack" / "spool"

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.spool_folder() == tmp_path / ".cache" / "podstack" / "spool"


@pytest.mark.parametrize(
    ("value", "quiet"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_quiet_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, value: str, quiet: bool
) -> None:
    monkeypatch.setenv("PODSTACK_QUIET", value)

    assert config.quiet() is quiet


def test_a_tilde_and_a_file_url_name_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert MLOpsClient("~/runs").uri == str(tmp_path / "runs")
    assert MLOpsClient(f"file://{tmp_path}/my%20runs").uri == str(tmp_path / "my runs")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PODSTACK_FINISH_TIMEOUT", "soon"), ("PODSTACK_SPOOL_LIMIT", "much")],
)
def test_a_wrong_limit_is_told_when_a_client_is_made(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"{name} is a .*{value}"):
        config.settings(None, None, None, None)
