"""The shipped suite cannot be weakened without saying so, and sees what it is there to see."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from podstack.testing.backend_suite import BackendSuite, LocalStoreSuite, in_threads
from podstack.testing.stage import DEADLINE


def test_overriding_a_test_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Weak overrides \['test_put_replaces_the_old_blob_whole'"):
        type("Weak", (BackendSuite,), {"test_put_replaces_the_old_blob_whole": lambda self: None})


def test_overriding_a_test_through_another_class_is_refused() -> None:
    mixin = type("Mixin", (), {"test_put_hint_stores_like_put": lambda self: None})

    with pytest.raises(TypeError, match="Weak overrides"):
        type("Weak", (mixin, LocalStoreSuite), {})


@pytest.mark.parametrize("kind", ["known_gaps", "rare_gaps"])
def test_a_gap_that_names_no_test_or_gives_no_reason_is_refused(kind: str) -> None:
    with pytest.raises(TypeError, match=rf"{kind} names \['test_of_nothing'\], which are no tests"):
        type("Weak", (BackendSuite,), {kind: {"test_of_nothing": "because"}})
    with pytest.raises(TypeError, match=f"{kind} gives no reason"):
        type("Weak", (BackendSuite,), {kind: {"test_an_empty_store_lists_nothing": " "}})


def test_a_task_that_fails_in_its_thread_fails_the_test() -> None:
    def fail() -> int:
        raise LookupError("in the thread")

    with pytest.raises(LookupError, match="in the thread"):
        in_threads(lambda: 1, fail)


# Stores that break one promise each, and the tests that must notice. All run in one pytest of
# their own, as the tests of somebody else's plug-in would.
_HEAD = '''
import threading
from pathlib import Path
import pytest
from podstack.backend import open_backend
from podstack.errors import BlobMissing
from podstack.testing.backend_suite import BackendSuite
from podstack.testing.faults import SlowBackend

class Watched(SlowBackend):
    def __init__(self, name):
        super().__init__(open_backend(f"memory://{name}"), 0)
        self.looked = threading.Event()

    def wait_for_a_look(self):
        """Until somebody has read or listed what is stored by now, if anybody is there."""
        self.looked = threading.Event()
        self.looked.wait(0.2)

    def get(self, key, start=0, stop=None):
        looked = self.looked
        data = super().get(key, start, stop)
        looked.set()
        return data

    def list(self, prefix="", *, start_after=""):
        looked = self.looked
        found = list(super().list(prefix, start_after=start_after))
        looked.set()
        return iter(found)
'''
_STORE = """
class Store{number}(Watched):
{methods}

class TestStore{number}(BackendSuite):
    known_gaps = {gaps!r}

    @pytest.fixture
    def backend(self, request):
        return Store{number}(f"{number}-{{request.node.name}}")

    @pytest.fixture
    def peek(self, backend):
        def peek(key):
            try:
                return backend.store.get(key)
            except BlobMissing:
                return None
        return peek
"""
_BROKEN = {
    "torn writes": (
        """
    def put(self, key, data):
        data = data.read_bytes() if isinstance(data, Path) else data
        super().put(key, data[:1000])
        self.wait_for_a_look()
        super().put(key, data)
""",
        {
            "test_readers_see_the_old_blob_or_the_new_one_never_a_mix",
            "test_readers_never_see_a_mix_of_files_either",
        },
    ),
    "a temporary blob that is listed": (
        """
    def put(self, key, data):
        super().put(key + ".tmp", data)
        self.wait_for_a_look()
        super().put(key, data)
        super().delete(key + ".tmp")
""",
        {"test_a_put_in_progress_shows_nothing_but_its_key"},
    ),
    "a tag of the size alone": (
        """
    def list(self, prefix="", *, start_after=""):
        for info in super().list(prefix, start_after=start_after):
            yield info._replace(tag=str(info.size))
""",
        {"test_the_tag_changes_whenever_the_content_does"},
    ),
    "folders listed as folders": (
        """
    def list(self, prefix="", *, start_after=""):
        found = list(super().list(prefix, start_after=start_after))
        yield from sorted(found, key=lambda info: info.key.split("/"))
""",
        {
            "test_list_is_sorted_by_key_without_duplicates",
            "test_start_after_skips_all_keys_up_to_it",
        },
    ),
    "start_after is listed too": (
        """
    def list(self, prefix="", *, start_after=""):
        for info in super().list(prefix):
            if info.key >= start_after:
                yield info
""",
        {"test_start_after_skips_all_keys_up_to_it"},
    ),
    "one page only": (
        """
    def list(self, prefix="", *, start_after=""):
        yield from list(super().list(prefix, start_after=start_after))[:1000]
""",
        {"test_more_blobs_than_a_page_are_all_listed"},
    ),
    "negative starts count from 0": (
        """
    def get(self, key, start=0, stop=None):
        return super().get(key, max(0, start), stop)
""",
        {"test_get_cuts_like_a_slice"},
    ),
    "a listing of an hour ago": (
        """
    def list(self, prefix="", *, start_after=""):
        self.cache = getattr(self, "cache", None) or list(super().list())
        for info in self.cache:
            if info.key.startswith(prefix) and info.key > start_after:
                yield info
""",
        {"test_deleting_what_is_absent_is_fine"},
    ),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the broken stores, of one with a gap too many, and of a whole one."""
    folder = tmp_path_factory.mktemp("plugin")
    stores: list[tuple[str, dict[str, str]]] = [(methods, {}) for methods, _ in _BROKEN.values()]
    stores += [(_BROKEN["one page only"][0], _GAPS), ("    pass", {})]
    (folder / "test_broken.py").write_text(
        _HEAD
        + "".join(
            _STORE.format(number=number, methods=methods, gaps=gaps)
            for number, (methods, gaps) in enumerate(stores)
        ),
        encoding="utf-8",
    )
    broken = [tests for _, tests in _BROKEN.values()]
    tests = [*broken, set(_GAPS), set().union(*broken)]
    chosen = " or ".join(
        f"(TestStore{number} and ({' or '.join(sorted(names))}))"
        for number, names in enumerate(tests)
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfxp", "-p", "no:cacheprovider", "-k", chosen],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    ).stdout


_GAPS = {
    "test_more_blobs_than_a_page_are_all_listed": "pages are not followed",
    "test_an_empty_store_lists_nothing": "in truth it does",
}


def outcome(report: str, word: str, number: int) -> set[str]:
    """The tests of one store that the report's last lines call FAILED, XFAIL or PASSED."""
    lines = re.findall(rf"^{word} .*::TestStore{number}::(\w+)", report, re.MULTILINE)
    return set(lines)


@pytest.mark.parametrize("name", _BROKEN)
def test_a_broken_promise_is_noticed(report: str, name: str) -> None:
    expected = _BROKEN[name][1]

    assert outcome(report, "FAILED", list(_BROKEN).index(name)) == expected, report


def test_a_store_that_keeps_its_promises_passes(report: str) -> None:
    number = len(_BROKEN) + 1

    assert outcome(report, "PASSED", number) == set().union(
        *(names for _, names in _BROKEN.values())
    )
    assert outcome(report, "FAILED", number) == set()


def test_a_known_gap_must_fail(report: str) -> None:
    number = len(_BROKEN)

    assert outcome(report, "XFAIL", number) == {"test_more_blobs_than_a_page_are_all_listed"}
    assert outcome(report, "FAILED", number) == {"test_an_empty_store_lists_nothing"}
    assert "[XPASS(strict)] in truth it does" in report
