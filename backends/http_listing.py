"""Listings that came over the network, checked: a key of a stranger's choice never leaves here.

Whoever reads a store may turn keys into paths. So a server that names `../x`, an absolute path, a
key outside of what was asked, or one out of order is not believed at all.
"""

from __future__ import annotations

from typing import Any

from podstack.backend import BlobInfo
from podstack.backends.http_answers import Place, not_podstack

_BARRED = ("\\", "\0")


def keys_of_page(
    page: Any, *, prefix: str, after: str, place: Place
) -> tuple[list[BlobInfo], str | None]:
    """The entries of one page and the cursor of the next one.

    Raises:
        BackendError: it is not what a podstack server answers.
    """
    found, following = _entries(page, "objects", place)
    infos = [_info(entry, place) for entry in found]
    keys = [info.key for info in infos]
    if not all(key.startswith(prefix) and _is_key(key) for key in keys):
        raise not_podstack(place, "a listing with keys that are none")
    return infos, _cursor(keys, after, following, place)


def names_of_page(page: Any, *, after: str, place: Place) -> tuple[list[str], str | None]:
    """The names of one page of folders and the cursor of the next one.

    Raises:
        BackendError: it is not what a podstack server answers.
    """
    names, following = _entries(page, "folders", place)
    if not all(isinstance(name, str) and "/" not in name and _is_key(name) for name in names):
        raise not_podstack(place, "a listing with names that are none")
    return names, _cursor(names, after, following, place)


def is_prefix(prefix: str) -> bool:
    """Whether keys may begin so."""
    whole = prefix.removesuffix("/")
    return not prefix or (_is_key(whole) and not prefix.endswith("//"))


def _entries(page: Any, field: str, place: Place) -> tuple[list[Any], Any]:
    found = page.get(field) if isinstance(page, dict) else None
    if not isinstance(found, list):
        raise not_podstack(place, "a listing that is none")
    return found, page.get("next")


def _info(entry: Any, place: Place) -> BlobInfo:
    if isinstance(entry, dict):
        key, size, tag = (entry.get(name) for name in BlobInfo._fields)
        if isinstance(key, str) and type(size) is int and size >= 0 and isinstance(tag, str):
            return BlobInfo(key, size, tag)
    raise not_podstack(place, "a listing with entries that are none")


def _is_key(key: str) -> bool:
    return {"", ".", ".."}.isdisjoint(key.split("/")) and not any(c in key for c in _BARRED)


def _cursor(keys: list[str], after: str, following: Any, place: Place) -> str | None:
    """The next cursor, if the page is in order and the listing goes on."""
    for key in keys:
        if key <= after:
            raise not_podstack(place, "a listing out of order")
        after = key
    if following is None:
        return None
    if not keys or following != keys[-1]:
        raise not_podstack(place, "a listing that does not end")
    return keys[-1]
