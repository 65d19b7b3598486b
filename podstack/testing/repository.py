"""A real git repository for tests, made in a folder and independent of the person's settings.

And the time that git may take there: a script waits for it for ten seconds, at its end for two, and
a busy machine needs more.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

DEADLINE = 240.0  # seconds that git may take; a hang is longer, and a busy machine slow

_PERSON = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}

# Python runs a module of this name at its start, before the script. It loads nothing of podstack,
# for what a script loads, and when, is tested too.
_AT_START = "sitecustomize.py"
_PATIENT = """
import sys
from importlib.machinery import PathFinder

class Patient:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "podstack.gathering":
            return None
        spec = PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module
        def exec_module(module):
            execute(module)
            module.PATIENCE = module.AT_EXIT = {deadline}
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Patient)
"""


def patience(folder: Path) -> dict[str, str]:
    """The environment in which a script waits for git, also at its end, until git has answered.

    Args:
        folder: gets a file.
    """
    folder.mkdir(exist_ok=True)
    (folder / _AT_START).write_text(_PATIENT.format(deadline=DEADLINE))
    return {"PYTHONPATH": str(folder), "PODSTACK_FINISH_TIMEOUT": str(DEADLINE)}


class Repository:
    """An empty repository on the branch `main`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """What git prints.

        Raises:
            subprocess.CalledProcessError: it fails.
        """
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, **_PERSON},
            capture_output=True,
            timeout=DEADLINE,
            check=True,
        )
        return os.fsdecode(done.stdout).strip()

    def write(self, files: dict[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: dict[str, str | bytes]) -> str:
        """Commit these files; returns the commit."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a commit")
        return self.git("rev-parse", "HEAD")
