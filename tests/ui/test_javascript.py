"""The JavaScript of the pages by its own tests, on Node's test runner, without packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_FILES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))
_NODE = shutil.which("node")


@pytest.mark.skipif(_NODE is None, reason="node is not installed: apt-get install nodejs")
@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.name)
def test_the_modules_keep_what_their_tests_say(file: Path) -> None:
    done = subprocess.run(
        [_NODE or "node", "--test", str(file)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
