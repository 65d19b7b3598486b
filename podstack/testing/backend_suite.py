"""The contract of `podstack.backend`, as tests that every store passes.

A store of your own is tested by a subclass of `BackendSuite`; one that is a folder of this machine,
and is appended to in place, by a subclass of `LocalStoreSuite`:

    class TestMyBackend(BackendSuite):
        @pytest.fixture
        def backend(self) -> Backend:
            return MyBackend("mine://an-empty-store")

        @pytest.fixture
        def peek(self) -> Peek:
            return lambda key: ...  # the stored bytes, read around the backend, or None

Every test gets an empty store. What waits, waits for a minute at most and then fails.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from podstack.backend import Backend, LocalStore, open_backend
from podstack.errors import BackendError, BackendUnavailable, BlobMissing, UsageError

Peek = Callable[[str], "bytes | None"]
T = TypeVar("T")

NOT_KEYS = ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "a\0b"]
UNICODE_KEYS = [
    "größe/naïve.txt",
    "モデル/重み.bin",
    "🦙/🚀 launch",
    "spaces and  two/ ends ",
    "100%25 #1?x=y&z+[a]*{b}!'\"/~$;:@,(c)=",
]
# "-" and "." sort before "/", so whole folders and single blobs interleave in unexpected ways.
TRICKY_KEYS = sorted(
    [
        "a-b/x",
        "a-b/y/z",
        "a.txt",
        "a/b-c/x",
        "a/b.d/x",
        "a/b/c/d",
        "a/b/c0",
        "a/bb",
        "a0",
        "aa/x",
        "b",
        "b-/x",
        "ba/a",
        "z/é",
        "z/z",
    ]
)
_PATIENCE = 240.0  # seconds before something that hangs has failed; a busy machine is slow


def in_threads(*tasks: Callable[[], T]) -> list[T]:
    """Run all at once, each on a thread of its own; their results, or the first error.

    A task that hangs fails the test and is left behind, instead of hanging the test.
    """
    results: dict[int, T] = {}
    errors: list[BaseException] = []
    start = threading.Barrier(len(tasks))

    def run(number: int, task: Callable[[], T]) -> None:
        try:
            start.wait(_PATIENCE)
            results[number] = task()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=entry, daemon=True) for entry in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), f"still busy after {_PATIENCE:.0f} s"
    return [results[number] for number in range(len(tasks))]


def keys_of(backend: Backend, prefix: str = "", *, start_after: str = "") -> list[str]:
    return [info.key for info in backend.list(prefix, start_after=start_after)]


def tag_of(backend: Backend, key: str) -> str:
    (tag,) = [info.tag for info in backend.list(key) if info.key == key]
    return tag


def put_all(backend: Backend, keys: Sequence[str]) -> None:
    """Store each key with its own name as content, on eight threads: some stores are far away."""

    def put_some(keys: Sequence[str]) -> None:
        for key in keys:
            backend.put(key, key.encode())

    in_threads(*(partial(put_some, keys[start::8]) for start in range(8)))


def alternate(
    write: Callable[[str, bytes], None], backend: Backend, key: str, blobs: Sequence[bytes]
) -> list[set[bytes]]:
    """Write `blobs` in turn under one key while three readers read it; what each of them saw."""
    write(key, blobs[0])
    done = threading.Event()

    def writer() -> set[bytes]:
        try:
            for turn in range(1, 24):
                write(key, blobs[turn % len(blobs)])
        finally:
            done.set()
        return set()

    def read() -> bytes:
        while True:
            try:
                return backend.get(key)
            except BackendUnavailable:  # a store may say so of what changes each time it looks
                if done.is_set():
                    raise

    def reader() -> set[bytes]:
        seen = {read()}
        while not done.is_set():
            seen.add(read())
        return seen

    return in_threads(writer, reader, reader, reader)


class BackendSuite:
    """Subclass it, supply `backend` and `peek`, and the whole contract of `Backend` is tested.

    A test may not be overridden. A backend that cannot keep a promise lists the test in
    `known_gaps` with the reason; the test then must fail, so that a gap that closes is noticed.
    One that shows at times, as a race in a server, goes to `rare_gaps`: that test may pass.
    """

    known_gaps: ClassVar[dict[str, str]] = {}
    rare_gaps: ClassVar[dict[str, str]] = {}
    many: ClassVar[int] = 1050  # blobs: most stores list 1,000 in a page, so a second one is needed

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        tests = [name for base in cls.__mro__ for name in vars(base) if name.startswith("test_")]
        weakened = sorted({name for name in tests if tests.count(name) > 1})
        if weakened:
            raise TypeError(f"{cls.__name__} overrides {weakened}; list it in known_gaps instead")
        for kind, gaps in (("known_gaps", cls.known_gaps), ("rare_gaps", cls.rare_gaps)):
            unknown = sorted(set(gaps) - set(tests))
            if unknown:
                raise TypeError(f"{cls.__name__}.{kind} names {unknown}, which are no tests")
            silent = sorted(name for name, reason in gaps.items() if not reason.strip())
            if silent:
                raise TypeError(f"{cls.__name__}.{kind} gives no reason for {silent}")

    @pytest.fixture
    def backend(self) -> Backend:
        """The store under test, empty."""
        raise NotImplementedError("a subclass supplies the fixture `backend`")

    @pytest.fixture
    def peek(self) -> Peek:
        """Reads what is stored under a key from the storage itself, around the backend."""
        raise NotImplementedError("a subclass supplies the fixture `peek`")

    @pytest.fixture(autouse=True)
    def _expect_known_gap(self, request: pytest.FixtureRequest) -> None:
        if reason := self.known_gaps.get(request.function.__name__):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
        if reason := self.rare_gaps.get(request.function.__name__):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=False))

    # put -----------------------------------------------------------------------------------

    def test_put_reaches_the_storage_itself(self, backend: Backend, peek: Peek) -> None:
        backend.put("a/b/c.bin", bytes(range(256)))

        assert peek("a/b/c.bin") == bytes(range(256))
        assert peek("a/b/other") is None

    def test_put_replaces_the_old_blob_whole(self, backend: Backend, peek: Peek) -> None:
        backend.put("a/b", b"a long first content")
        backend.put("a/b", b"short")

        assert peek("a/b") == backend.get("a/b") == b"short"
        assert [info.size for info in backend.list()] == [5]

    def test_put_takes_the_content_of_a_file(
        self, backend: Backend, peek: Peek, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        source = tmp_path_factory.mktemp("source") / "file"
        content = os.urandom(3_000_000)
        source.write_bytes(content)

        backend.put("from/file", source)
        source.write_bytes(b"changed afterwards")

        assert peek("from/file") == content
        assert backend.get("from/file") == content

    def test_put_takes_an_empty_file(
        self, backend: Backend, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        source = tmp_path_factory.mktemp("source") / "empty"
        source.touch()

        backend.put("from/file", source)

        assert backend.get("from/file") == b""

    def test_put_of_a_file_that_is_not_there_fails_and_keeps_the_old_blob(
        self, backend: Backend, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        backend.put("a/b", b"old")

        with pytest.raises(BackendError) as caught:
            backend.put("a/b", tmp_path_factory.mktemp("source") / "absent")

        assert (caught.value.url, caught.value.key) == (backend.url, "a/b")
        assert not isinstance(caught.value, BlobMissing)  # the source is missing, not the blob
        assert backend.get("a/b") == b"old"
        assert keys_of(backend) == ["a/b"]

    def test_readers_see_the_old_blob_or_the_new_one_never_a_mix(self, backend: Backend) -> None:
        blobs = [b"old" * 300_000, b"new!" * 200_000]

        seen = alternate(backend.put, backend, "a/growing", blobs)

        assert set().union(*seen) <= set(blobs)

    def test_readers_never_see_a_mix_of_files_either(
        self, backend: Backend, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("source")
        blobs = [b"old" * 300_000, b"new!" * 200_000]
        for number, blob in enumerate(blobs):
            (folder / str(number)).write_bytes(blob)

        def put_file(key: str, blob: bytes) -> None:
            backend.put(key, folder / str(blobs.index(blob)))

        seen = alternate(put_file, backend, "a/growing", blobs)

        assert set().union(*seen) <= set(blobs)

    # get -----------------------------------------------------------------------------------

    def test_get_cuts_like_a_slice(self, backend: Backend) -> None:
        content = b"0123456789"
        backend.put("digits", content)
        starts = [0, 1, 9, 10, 11, 1000, -1, -3, -10, -11, -1000]
        stops = [None, *starts]

        got = {(a, b): backend.get("digits", a, b) for a in starts for b in stops}

        assert got == {(a, b): content[a:b] for a in starts for b in stops}
        assert backend.get("digits", stop=4) == b"0123"
        assert backend.get("digits", start=-2) == b"89"

    def test_slices_of_an_empty_blob_are_empty(self, backend: Backend) -> None:
        backend.put("nothing", b"")

        assert backend.get("nothing") == b""
        assert backend.get("nothing", 0, 10) == b""
        assert backend.get("nothing", 5) == b""
        assert backend.get("nothing", -5, -1) == b""
        assert [info.size for info in backend.list("nothing")] == [0]

    @pytest.mark.parametrize("span", [(0, None), (0, 5), (-5, None), (3, 3), (5, 1)])
    def test_a_missing_blob_says_which_and_where(
        self, backend: Backend, span: tuple[int, int | None]
    ) -> None:
        backend.put("there/is/one", b"x")

        with pytest.raises(BlobMissing, match="there/is/none") as caught:
            backend.get("there/is/none", *span)

        assert isinstance(caught.value, FileNotFoundError)
        assert isinstance(caught.value, BackendError)
        assert caught.value.key == "there/is/none"
        assert caught.value.url == backend.url

    @pytest.mark.parametrize("key", ["there", "there/is", "there/is/one/more", "there/is/on"])
    def test_a_part_of_a_key_is_not_a_blob(self, backend: Backend, key: str) -> None:
        backend.put("there/is/one", b"x")

        with pytest.raises(BlobMissing):
            backend.get(key)

    # list ----------------------------------------------------------------------------------

    def test_an_empty_store_lists_nothing(self, backend: Backend) -> None:
        assert keys_of(backend) == []
        assert keys_of(backend, "a/b") == []
        assert keys_of(backend, "a/b/", start_after="a/b/c") == []
        assert list(backend.list_dirs()) == []
        assert list(backend.list_dirs("a/b/")) == []

    def test_list_is_sorted_by_key_without_duplicates(self, backend: Backend) -> None:
        put_all(backend, TRICKY_KEYS[::-1])

        assert keys_of(backend) == TRICKY_KEYS

    def test_a_prefix_is_plain_text_and_may_end_inside_a_name(self, backend: Backend) -> None:
        put_all(backend, TRICKY_KEYS)
        prefixes = {key[:end] for key in TRICKY_KEYS for end in range(len(key) + 1)}
        prefixes |= {"a/b/c/d/", "b/", "c", "a/c", "a-b/y/z/z"}

        got = {prefix: keys_of(backend, prefix) for prefix in prefixes}

        assert got == {
            prefix: [key for key in TRICKY_KEYS if key.startswith(prefix)] for prefix in prefixes
        }

    @pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a-", "b"])
    def test_start_after_skips_all_keys_up_to_it(self, backend: Backend, prefix: str) -> None:
        put_all(backend, TRICKY_KEYS)
        marks = {*TRICKY_KEYS, "a", "a/", "a/b", "a/b/", "a/b/c/~", "a.", "A", "b/", "~", "~/~"}

        got = {mark: keys_of(backend, prefix, start_after=mark) for mark in marks}

        assert got == {
            mark: [key for key in TRICKY_KEYS if key.startswith(prefix) and key > mark]
            for mark in marks
        }

    def test_list_says_how_long_a_blob_is(self, backend: Backend) -> None:
        sizes = {"a/0": 0, "a/1": 1, "a/2": 70_000, "b": 7}
        for key, size in sizes.items():
            backend.put(key, b"x" * size)

        assert {info.key: info.size for info in backend.list()} == sizes

    def test_more_blobs_than_a_page_are_all_listed(self, backend: Backend) -> None:
        """In as many folders."""
        keys = [f"many/{number:04d}/x" for number in range(self.many)]
        put_all(backend, keys)

        assert keys_of(backend, "many/") == keys
        assert keys_of(backend, start_after=keys[-30]) == keys[-29:]
        assert list(backend.list_dirs("many/")) == [f"{number:04d}" for number in range(self.many)]

    def test_the_tag_changes_whenever_the_content_does(self, backend: Backend) -> None:
        """Also where the size stays, and where a blob was deleted in between."""
        tags = []
        for number in range(60):
            backend.put("a/b", b"%04d" % number)
            tags.append(tag_of(backend, "a/b"))
            if number % 3 == 2:
                backend.delete("a/b")

        assert len(set(tags)) == len(tags)

    def test_the_tag_changes_with_the_size(self, backend: Backend) -> None:
        backend.put("a/b", b"12")
        before = tag_of(backend, "a/b")
        backend.put("a/b", b"123")

        assert tag_of(backend, "a/b") != before

    def test_the_tag_of_an_untouched_blob_stays(self, backend: Backend) -> None:
        """A reader keeps what it read for as long as the tag says so."""
        backend.put("a/b", b"content")
        before = tag_of(backend, "a/b")
        backend.get("a/b")
        backend.put("a/c", b"another")
        backend.delete("a/c")

        assert tag_of(backend, "a/b") == before

    # list_dirs -----------------------------------------------------------------------------

    def test_list_dirs_names_one_level(self, backend: Backend) -> None:
        put_all(backend, TRICKY_KEYS)

        assert list(backend.list_dirs()) == ["a", "a-b", "aa", "b-", "ba", "z"]
        assert list(backend.list_dirs("a/")) == ["b", "b-c", "b.d"]
        assert list(backend.list_dirs("a/b/")) == ["c"]
        assert list(backend.list_dirs("a-b/")) == ["y"]

    def test_list_dirs_finds_nothing_below_blobs_and_missing_names(self, backend: Backend) -> None:
        put_all(backend, TRICKY_KEYS)

        assert list(backend.list_dirs("aa/")) == []
        assert list(backend.list_dirs("a0/")) == []
        assert list(backend.list_dirs("nowhere/")) == []
        assert list(backend.list_dirs("a/b/c/d/e/")) == []

    # delete and close ----------------------------------------------------------------------

    def test_a_deleted_blob_is_gone_everywhere(self, backend: Backend, peek: Peek) -> None:
        put_all(backend, ["a/b/c", "a/d", "e/f/g"])

        backend.delete("a/b/c")
        backend.delete("e/f/g")

        assert peek("a/b/c") is None
        with pytest.raises(BlobMissing):
            backend.get("a/b/c")
        assert keys_of(backend) == ["a/d"]
        assert list(backend.list_dirs()) == ["a"]
        assert list(backend.list_dirs("a/")) == []
        assert backend.get("a/d") == b"a/d"

    def test_deleting_what_is_absent_is_fine(self, backend: Backend) -> None:
        backend.delete("a/b/c")
        backend.put("a/b/c", b"x")
        backend.delete("a/b")
        backend.delete("a/b/d")
        backend.delete("a/b/c/d")
        assert keys_of(backend) == ["a/b/c"]

        backend.delete("a/b/c")
        backend.delete("a/b/c")

        assert keys_of(backend) == []

    def test_a_deleted_key_can_be_written_again(self, backend: Backend) -> None:
        backend.put("a/b/c", b"one")
        backend.delete("a/b/c")
        backend.put("a/b/c", b"two")

        assert backend.get("a/b/c") == b"two"
        assert list(backend.list_dirs("a/")) == ["b"]

    def test_closing_twice_is_fine_and_keeps_the_blobs(self, backend: Backend, peek: Peek) -> None:
        backend.put("a/b", b"kept")

        backend.close()
        backend.close()

        assert peek("a/b") == b"kept"

    # threads -------------------------------------------------------------------------------

    def test_eight_threads_write_different_keys(self, backend: Backend) -> None:
        names = [[f"{turn:02d}/shared/{thread}" for turn in range(12)] for thread in range(8)]

        def write_and_read(keys: list[str]) -> dict[str, bytes]:
            for key in keys:
                backend.put(key, key.encode() * 100)
            return {key: backend.get(key) for key in keys}

        results = in_threads(*(partial(write_and_read, keys) for keys in names))

        assert results == [{key: key.encode() * 100 for key in keys} for keys in names]
        assert keys_of(backend) == sorted(key for keys in names for key in keys)

    def test_writing_deleting_and_listing_at_once_disturb_nobody(self, backend: Backend) -> None:
        """The last blob of a folder goes while another thread writes the next one into it."""
        backend.put("a/stays", b"stays")
        done = threading.Event()

        def come_and_go(name: str) -> list[list[str]]:
            for _ in range(60):
                backend.put(f"a/b/c/{name}", name.encode())
                assert backend.get(f"a/b/c/{name}") == name.encode()
                backend.delete(f"a/b/c/{name}")
            return []

        def listing() -> list[list[str]]:
            seen = [keys_of(backend)]
            while not done.is_set():
                seen.append(keys_of(backend, "a/"))
                assert set(backend.list_dirs("a/")) <= {"b"}
            return seen

        def writers() -> list[list[str]]:
            try:
                in_threads(*(partial(come_and_go, name) for name in "wxyz"))
            finally:
                done.set()
            return []

        _, seen = in_threads(writers, listing)

        possible = {"a/stays", *(f"a/b/c/{name}" for name in "wxyz")}
        assert all(keys == sorted(set(keys)) for keys in seen)
        assert all({"a/stays"} <= set(keys) <= possible for keys in seen)
        assert keys_of(backend) == ["a/stays"]

    def test_a_put_in_progress_shows_nothing_but_its_key(self, backend: Backend) -> None:
        done = threading.Event()

        def write() -> set[str]:
            try:
                for turn in range(30):
                    backend.put("a/blob", bytes([turn]) * 500_000)
            finally:
                done.set()
            return set()

        def look() -> set[str]:
            seen = set(keys_of(backend))
            while not done.is_set():
                seen |= set(keys_of(backend)) | set(backend.list_dirs("a/"))
            return seen

        _, seen = in_threads(write, look)

        assert seen <= {"a/blob"}

    # keys and sizes ------------------------------------------------------------------------

    @pytest.mark.parametrize("key", UNICODE_KEYS, ids=range(len(UNICODE_KEYS)))
    def test_keys_of_any_script_and_sign_come_back_as_they_are(
        self, backend: Backend, peek: Peek, key: str
    ) -> None:
        folder = key.partition("/")[0]
        backend.put(key, b"content")

        assert peek(key) == backend.get(key) == b"content"
        assert keys_of(backend) == keys_of(backend, key[:-1]) == [key]
        assert keys_of(backend, folder + "/") == [key]
        assert list(backend.list_dirs()) == [folder]

        backend.delete(key)

        assert keys_of(backend) == []

    def test_keys_that_differ_in_case_are_different(self, backend: Backend) -> None:
        backend.put("a/model", b"lower")
        backend.put("a/Model", b"upper")

        assert backend.get("a/model") == b"lower"
        assert keys_of(backend) == ["a/Model", "a/model"]

    def test_a_blob_of_64_mib(self, backend: Backend) -> None:
        content = os.urandom(1 << 20) * 64
        backend.put("big", content)

        assert hashlib.sha256(backend.get("big")).digest() == hashlib.sha256(content).digest()
        assert [info.size for info in backend.list("big")] == [64 << 20]
        assert backend.get("big", -5) == content[-5:]
        assert backend.get("big", (40 << 20) - 3, (40 << 20) + 3) == content[-3:] + content[:3]

    @pytest.mark.parametrize("key", NOT_KEYS, ids=repr)
    def test_what_is_no_key_is_refused(self, backend: Backend, key: str) -> None:
        backend.put("a/b", b"kept")

        with pytest.raises(UsageError, match="is not a key"):
            backend.put(key, b"x")
        with pytest.raises(UsageError, match="is not a key"):
            backend.get(key)
        with pytest.raises(UsageError, match="is not a key"):
            backend.delete(key)
        assert keys_of(backend) == ["a/b"]
        assert backend.get("a/b") == b"kept"

    @pytest.mark.parametrize("prefix", ["../", "a/../../", "/", "/etc/", "a//", "./", "a\0/"])
    def test_no_prefix_leads_out_of_the_store(self, backend: Backend, prefix: str) -> None:
        backend.put("a/b/c", b"x")

        assert _listed_or_refused(lambda: keys_of(backend, prefix)) == []
        assert _listed_or_refused(lambda: list(backend.list_dirs(prefix))) == []

    def test_a_misspelt_option_is_refused(self, backend: Backend) -> None:
        with pytest.raises(UsageError, match="no_such_option"):
            open_backend(backend.url, {"no_such_option": "1"})


def _listed_or_refused(listing: Callable[[], list[str]]) -> list[str]:
    try:
        return listing()
    except UsageError:
        return []


class LocalStoreSuite(BackendSuite):
    """The contract of `Backend` and of `LocalFolder`: for stores that are a folder of this machine.

    Its `backend` is a `LocalStore`. The tests put links, pipes, sockets and, where they may,
    devices into its folder, as somebody else could.
    """

    @pytest.fixture
    def backend(self) -> LocalStore:
        raise NotImplementedError("a subclass supplies the fixture `backend`")

    @pytest.fixture
    def folder(self, backend: LocalStore) -> Path:
        """The store's folder on disk, made."""
        folder = backend.path("x").parent
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @pytest.fixture
    def outside(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A folder outside the store, with one file."""
        outside = tmp_path_factory.mktemp("outside")
        (outside / "secret").write_bytes(b"secret")
        return outside

    def test_it_follows_the_protocol_of_local_stores(self, backend: LocalStore) -> None:
        assert isinstance(backend, LocalStore)

    # append --------------------------------------------------------------------------------

    def test_open_append_makes_the_key_and_its_folders(
        self, backend: LocalStore, peek: Peek
    ) -> None:
        with _appending(backend, "new/folders/log") as write:
            assert backend.get("new/folders/log") == b""
            write(b"one\n")
            assert backend.get("new/folders/log") == peek("new/folders/log") == b"one\n"
        with _appending(backend, "new/folders/log") as write:
            write(b"two\n")

        assert backend.get("new/folders/log") == peek("new/folders/log") == b"one\ntwo\n"
        assert [(info.key, info.size) for info in backend.list()] == [("new/folders/log", 8)]

    def test_what_is_appended_goes_to_the_end_whoever_writes(self, backend: LocalStore) -> None:
        with _appending(backend, "a/log") as first, _appending(backend, "a/log") as second:
            first(b"1")
            second(b"2")
            first(b"3")

        assert backend.get("a/log") == b"123"

    def test_appending_changes_the_tag(self, backend: LocalStore) -> None:
        tags = []
        with _appending(backend, "a/log") as write:
            for _ in range(20):
                write(b"line\n")
                tags.append(tag_of(backend, "a/log"))

        assert len(set(tags)) == len(tags)

    def test_open_append_survives_others_deleting_the_folder_beside_it(
        self, backend: LocalStore
    ) -> None:
        def come_and_go(name: str) -> None:
            for _ in range(150):
                with _appending(backend, f"a/b/c/{name}") as write:
                    write(b"line\n")
                assert backend.get(f"a/b/c/{name}") == b"line\n"
                backend.delete(f"a/b/c/{name}")

        in_threads(*(partial(come_and_go, name) for name in "wxyz"))

        assert keys_of(backend) == []

    def test_the_descriptor_is_not_inherited_by_child_processes(self, backend: LocalStore) -> None:
        descriptor = backend.open_append("a/log")
        try:
            assert not os.get_inheritable(descriptor)
        finally:
            os.close(descriptor)

    # hints ---------------------------------------------------------------------------------

    def test_put_hint_stores_like_put(self, backend: LocalStore, peek: Peek) -> None:
        backend.put_hint("live/x.json", b"a long first content")
        backend.put_hint("live/x.json", b"short")

        assert peek("live/x.json") == backend.get("live/x.json") == b"short"
        assert keys_of(backend) == ["live/x.json"]

    def test_readers_of_a_hint_see_the_old_one_or_the_new_one(self, backend: LocalStore) -> None:
        blobs = [b"old" * 300_000, b"new!" * 200_000]

        seen = alternate(backend.put_hint, backend, "live/x.json", blobs)

        assert set().union(*seen) <= set(blobs)

    # path and sync_folders -----------------------------------------------------------------

    def test_path_is_where_the_blob_lies(self, backend: LocalStore) -> None:
        backend.put("a/b.txt", b"content")

        assert backend.path("a/b.txt").read_bytes() == b"content"
        assert backend.path("a/b.txt").is_absolute()
        assert not backend.path("a/absent").exists()

    def test_sync_folders_takes_keys_with_and_without_a_blob_and_makes_nothing(
        self, backend: LocalStore
    ) -> None:
        backend.put("a/b/c", b"content")

        backend.sync_folders("a/b/c")
        backend.sync_folders("x/y/z")

        assert not backend.path("x").exists()
        assert keys_of(backend) == ["a/b/c"]

    @pytest.mark.parametrize("key", NOT_KEYS, ids=repr)
    def test_what_is_no_key_has_no_place_on_disk(self, backend: LocalStore, key: str) -> None:
        with pytest.raises(UsageError, match="is not a key"):
            backend.open_append(key)
        with pytest.raises(UsageError, match="is not a key"):
            backend.put_hint(key, b"x")
        with pytest.raises(UsageError, match="is not a key"):
            backend.path(key)
        with pytest.raises(UsageError, match="is not a key"):
            backend.sync_folders(key)
        assert keys_of(backend) == []

    # links ---------------------------------------------------------------------------------

    def test_links_are_not_listed(self, backend: LocalStore, folder: Path, outside: Path) -> None:
        backend.put("a/b", b"content")
        (folder / "file-link").symlink_to(outside / "secret")
        (folder / "folder-link").symlink_to(outside)
        (folder / "a" / "inner-link").symlink_to(folder / "a" / "b")
        (folder / "dangling").symlink_to(outside / "absent")
        (folder / "loop").symlink_to(folder)

        assert keys_of(backend) == ["a/b"]
        assert keys_of(backend, "folder-link") == []
        assert list(backend.list_dirs()) == ["a"]

    @pytest.mark.parametrize("prefix", ["link/", "link/s", "link/sub/", "link/sub/d"])
    def test_a_prefix_through_a_link_lists_nothing_of_what_is_behind_it(
        self, backend: LocalStore, folder: Path, outside: Path, prefix: str
    ) -> None:
        (outside / "sub").mkdir()
        (outside / "sub" / "deep").mkdir()
        (outside / "sub" / "deep" / "secret").write_bytes(b"secret")
        (folder / "link").symlink_to(outside)

        assert _listed_or_barred(lambda: keys_of(backend, prefix)) == []
        assert (
            _listed_or_barred(lambda: list(backend.list_dirs(prefix.rpartition("/")[0] + "/")))
            == []
        )

    @pytest.mark.parametrize("target", ["secret", "absent"])
    def test_a_link_is_not_read_or_appended_to(
        self, backend: LocalStore, folder: Path, outside: Path, target: str
    ) -> None:
        (folder / "link").symlink_to(outside / target)

        with pytest.raises(BackendError, match="link"):
            backend.get("link")
        with pytest.raises(BackendError, match="link"):
            backend.open_append("link")
        assert (outside / "secret").read_bytes() == b"secret"
        assert not (outside / "absent").exists()

    def test_put_and_delete_touch_the_link_and_never_its_target(
        self, backend: LocalStore, folder: Path, outside: Path
    ) -> None:
        for name in ("put", "hint", "delete"):
            (folder / name).symlink_to(outside / "secret")

        backend.put("put", b"new")
        backend.put_hint("hint", b"new")
        backend.delete("delete")

        assert (outside / "secret").read_bytes() == b"secret"
        assert backend.get("put") == backend.get("hint") == b"new"
        assert not (folder / "delete").is_symlink()
        assert keys_of(backend) == ["hint", "put"]

    @pytest.mark.parametrize("key", ["link/secret", "link/new", "link/sub/new"])
    def test_nothing_is_reached_through_a_linked_folder(
        self, backend: LocalStore, folder: Path, outside: Path, key: str
    ) -> None:
        (outside / "sub").mkdir()
        (folder / "link").symlink_to(outside)
        calls: list[Callable[[], Any]] = [
            lambda: backend.get(key),
            lambda: backend.put(key, b"x"),
            lambda: backend.put_hint(key, b"x"),
            lambda: backend.delete(key),
            lambda: backend.open_append(key),
            lambda: backend.path(key),
            lambda: backend.sync_folders(key),
        ]

        for call in calls:
            with pytest.raises(BackendError, match="link") as caught:
                call()
            assert caught.value.key == key
        assert (outside / "secret").read_bytes() == b"secret"
        assert sorted(os.listdir(outside)) == ["secret", "sub"]
        assert os.listdir(outside / "sub") == []

    # pipes, sockets, devices ---------------------------------------------------------------

    @pytest.fixture(params=["pipe", "socket", "device"])
    def special(self, request: pytest.FixtureRequest, folder: Path) -> str:
        """The key of a file in the store that is none."""
        (folder / "special").mkdir()
        _make_special(folder / "special" / "file", request.param)
        return "special/file"

    def test_a_special_file_is_not_listed(self, backend: LocalStore, special: str) -> None:
        backend.put("a/b", b"content")

        (seen,) = in_threads(lambda: (keys_of(backend), list(backend.list_dirs())))

        assert seen == (["a/b"], ["a"])

    def test_a_special_file_is_not_read(self, backend: LocalStore, special: str) -> None:
        with pytest.raises(BackendError) as caught:
            in_threads(lambda: backend.get(special))

        assert caught.value.key == special

    def test_a_special_file_is_not_appended_to(self, backend: LocalStore, special: str) -> None:
        with pytest.raises(BackendError) as caught:
            in_threads(lambda: backend.open_append(special))

        assert caught.value.key == special

    def test_a_pipe_with_a_reader_is_not_appended_to(
        self, backend: LocalStore, folder: Path
    ) -> None:
        os.mkfifo(folder / "pipe")
        reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            with pytest.raises(BackendError):
                in_threads(lambda: backend.open_append("pipe"))
        finally:
            os.close(reader)

    def test_put_replaces_a_special_file_and_delete_removes_it(
        self, backend: LocalStore, special: str
    ) -> None:
        in_threads(lambda: backend.put(special, b"content"))
        assert stat.S_ISREG(backend.path(special).lstat().st_mode)
        assert backend.get(special) == b"content"

        backend.delete(special)

        assert keys_of(backend) == []

    # what else lies in the folder ----------------------------------------------------------

    def test_a_blob_where_a_folder_is_and_a_folder_where_a_blob_is_are_refused(
        self, backend: LocalStore
    ) -> None:
        backend.put("a/b", b"content")

        for key in ("a", "a/b/c", "a/b/c/d"):
            for call in (backend.put, backend.put_hint, lambda key, _: backend.open_append(key)):
                with pytest.raises(BackendError) as caught:
                    call(key, b"x")
                assert caught.value.key == key
                assert not isinstance(caught.value, BlobMissing)
        assert keys_of(backend) == ["a/b"]
        assert backend.get("a/b") == b"content"

    def test_a_folder_without_files_is_not_named(self, backend: LocalStore, folder: Path) -> None:
        (folder / "empty" / "inner").mkdir(parents=True)
        backend.put("full/x", b"x")

        assert list(backend.list_dirs()) == ["full"]


def _listed_or_barred(listing: Callable[[], list[str]]) -> list[str]:
    try:
        return listing()
    except BackendError as error:
        if "link" not in str(error):
            raise
        return []


class _appending:
    """`with _appending(backend, key) as write:` opens, and closes what it opened."""

    def __init__(self, backend: LocalStore, key: str) -> None:
        self._descriptor = backend.open_append(key)

    def __enter__(self) -> Callable[[bytes], int]:
        return lambda data: os.write(self._descriptor, data)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _make_special(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
        return
    try:
        if kind == "socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        else:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # endless zeros on Linux
    except OSError as error:
        pytest.skip(f"a {kind} cannot be made here: {error.strerror}")
