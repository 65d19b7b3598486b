"""Finding the store that serves a URL, among whatever plug-ins are installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from podstack.backend import LocalFolder, LocalStore, open_backend, split_url
from podstack.errors import UsageError

_PLUGIN = '''
class ColouredStore:
    """A stranger's store."""

    def __init__(self, url: str, *, colour: str = "grey") -> None:
        self.url, self.colour = url, colour
'''


def install(folder: Path, distribution: str, entry_points: str) -> None:
    """What pip leaves behind for a package with entry points."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[podstack.backends]\n{entry_points}\n")


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, with a plug-in for `coloured:` and two that claim `contested:`."""
    (tmp_path / "coloured_store.py").write_text(_PLUGIN)
    install(
        tmp_path,
        "coloured",
        "coloured = coloured_store:ColouredStore\ncontested = coloured_store:ColouredStore",
    )
    install(tmp_path, "another", "contested = another_store:Another")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("url", "scheme", "rest"),
    [
        ("./podstack-store", "file", "./podstack-store"),
        ("/data/runs", "file", "/data/runs"),
        ("", "file", ""),
        ("file:///data/runs", "file", "/data/runs"),
        ("file:/data/runs", "file", "/data/runs"),
        ("file:runs", "file", "runs"),
        ("memory://demo", "memory", "demo"),
        ("S3://Bucket/Path", "s3", "Bucket/Path"),
        ("gs+x.y-z://a:b@c/d?e=f#g", "gs+x.y-z", "a:b@c/d?e=f#g"),
        ("http://[::1]:8000/x", "http", "[::1]:8000/x"),
        ("C:", "file", "C:"),
        ("C:\\runs", "file", "C:\\runs"),
        ("c:/runs", "file", "c:/runs"),
        ("7z://runs", "file", "7z://runs"),
        ("./s3://bucket", "file", "./s3://bucket"),
        ("a b://c", "file", "a b://c"),
    ],
)
def test_an_url_is_split_into_scheme_and_rest(url: str, scheme: str, rest: str) -> None:
    assert split_url(url) == (scheme, rest)


@pytest.mark.parametrize("url", ["C:", "c:runs", "./a:b"])
def test_a_drive_letter_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)

    assert isinstance(open_backend(url), LocalStore)


def test_an_unknown_scheme_names_what_is_installed_and_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        open_backend("nosuch://bucket/path")

    message = str(caught.value)
    assert message.startswith("No backend serves nosuch:// (installed: ")
    installed = message.partition("(installed: ")[2].partition(")")[0].split(", ")
    assert {"file", "memory"} <= set(installed)
    assert installed == sorted(set(installed))
    assert "'nosuch://bucket/path'" in message
    assert "pip install -e ." in message


def test_a_strangers_plugin_serves_its_scheme(stranger: Path) -> None:
    backend = open_backend("coloured://place", {"colour": "green"})

    assert type(backend).__module__ == "coloured_store"
    assert vars(backend) == {"url": "coloured://place", "colour": "green"}
    del sys.modules["coloured_store"]


def test_an_option_that_the_plugin_does_not_know_is_refused(stranger: Path) -> None:
    with pytest.raises(UsageError, match=r"coloured:// does not take these options: .*'color'"):
        open_backend("coloured://place", {"color": "green"})


@pytest.mark.parametrize("url", ["{}", "file://{}", "memory://options"])
def test_our_own_stores_take_no_options(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"does not take these options: .*'endpont_url'"):
        open_backend(url.format(tmp_path), {"endpont_url": "http://localhost"})


def test_two_plugins_for_one_scheme_are_both_named_and_neither_is_chosen(stranger: Path) -> None:
    with pytest.raises(UsageError, match="Two plug-ins serve contested://") as caught:
        open_backend("contested://place")

    assert "another_store:Another and coloured_store:ColouredStore" in str(caught.value)
    assert "Uninstall one of them" in str(caught.value)


def test_only_a_store_in_a_folder_is_appended_to_in_place(tmp_path: Path) -> None:
    assert isinstance(open_backend(str(tmp_path)), LocalFolder)
    assert not isinstance(open_backend("memory://not-a-folder"), LocalFolder)
