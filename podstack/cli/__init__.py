"""The command `podstack`: questions to a store, and the edits that need no script.

Exit codes: 0 fine · 1 a problem was found (`verify`, `doctor`, `diff --exit-code`) · 2 wrong usage,
or no such thing, or more than one · 3 the store is not there or does not answer · 70 a bug of
podstack, with a traceback · 130 Ctrl-C ·
141 whoever read the output left.

`--json` prints one JSON document, whose keys stay: a list for what lists, an object for what
shows one thing. Times are epoch seconds, sizes bytes, NaN and infinities the texts "NaN",
"Infinity" and "-Infinity".
"""

from __future__ import annotations

import sys

_SERVING = (["ui"], ["server"])  # commands of cli/serving.py
_NEEDED = ("typer", "rich", "click", "shellingham")


def main() -> int:
    """Run the command line of this process; returns its exit code."""
    try:
        import rich  # noqa: F401  # only what its __init__ holds; the rest when something is drawn

        if sys.argv[1:2] in _SERVING:  # nothing else: one waits for them, and it is a tenth
            import podstack.cli.serving
        else:
            import podstack.cli.app  # noqa: F401
        from podstack.cli.entry import run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        print(
            f"podstack: the command needs {missing}, which is not installed. "
            "Run: pip install 'podstack[cli]'",
            file=sys.stderr,
        )
        return 2
    return run()
