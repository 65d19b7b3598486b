"""A folder for what one measurement writes; it goes when nothing writes there any more."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from podstack.keeper import keeper

_PATIENCE = 60.0  # seconds


@contextmanager
def scratch() -> Iterator[str]:
    """The path of a new folder.

    A run that has ended is sealed in the background: the folder is removed after that, for a file
    that comes while a folder is removed makes the removal fail.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield folder
        finally:
            keeper.wait(_PATIENCE)
