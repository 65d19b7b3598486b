"""Stores in memory: the contract, and that names are stores of their own."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from podstack.backend import Backend, LocalStore, open_backend
from podstack.errors import BlobMissing
from podstack.testing.backend_suite import BackendSuite, Peek

_names = count()


@pytest.fixture
def url() -> str:
    """A store that no other test has used: they live as long as the process."""
    return f"memory://test-{next(_names)}"


class TestMemoryBackend(BackendSuite):
    @pytest.fixture
    def backend(self, url: str) -> Backend:
        return open_backend(url)

    @pytest.fixture
    def peek(self, url: str) -> Peek:
        def peek(key: str) -> bytes | None:
            files: dict[str, Any] = MemoryFileSystem.store
            path = f"/podstack/{url.removeprefix('memory://')}/{key}"
            return bytes(files[path].getvalue()) if path in files else None

        return peek


def test_one_url_is_one_store_for_the_whole_process(url: str) -> None:
    open_backend(url).put("a/b", b"content")

    assert open_backend(url).get("a/b") == b"content"
    assert open_backend(url.replace("memory", "MEMORY") + "/").get("a/b") == b"content"


@pytest.mark.parametrize("other", ["{}-2", "{}/inner", "{}/..", "x/{}"])
def test_another_name_is_another_store(url: str, other: str) -> None:
    name = url.removeprefix("memory://")
    one, two = open_backend(url), open_backend("memory://" + other.format(name))
    one.put("a/b", b"one")
    two.put("a/c", b"two")

    assert [info.key for info in one.list()] == ["a/b"]
    assert [info.key for info in two.list()] == ["a/c"]
    assert list(one.list_dirs()) == list(two.list_dirs()) == ["a"]
    with pytest.raises(BlobMissing):
        two.get("a/b")


def test_closing_keeps_the_blobs_for_the_next_one_who_opens(url: str) -> None:
    backend = open_backend(url)
    backend.put("a", b"content")
    backend.close()

    assert open_backend(url).get("a") == b"content"


def test_a_store_in_memory_is_no_local_folder(url: str) -> None:
    assert not isinstance(open_backend(url), LocalStore)
