"""Speed, as ratios: `python -m tests.benchmarks [subject ...] [--quick]`.

Each module of this folder with a function `tables` is a subject; one with `PARTS` can be asked for
one of them, as `ui:start`. Only ratios within one run mean
anything; 'met' and 'missed' are said for the reader and decide nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tests.benchmarks._fresh import environment
from tests.benchmarks._tables import text_of

_ORDER = (
    *("log", "read", "lifecycle", "index", "memory", "artifacts"),
    *("remote", "latency", "shipping", "server", "s3"),
)


def subjects() -> list[str]:
    """One module per subject: what is neither private nor a test."""
    stems = {path.stem for path in Path(__file__).parent.glob("*.py")}
    found = {stem for stem in stems if not stem.startswith(("_", "test_"))}
    return sorted(found, key=lambda stem: (_place(stem), stem))


def _place(stem: str) -> int:
    return _ORDER.index(stem) if stem in _ORDER else len(_ORDER)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("subject", nargs="*", help=f"of {', '.join(subjects())}; default: all")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    asked = parser.parse_args(arguments)
    wanted = [subject.partition(":") for subject in asked.subject or subjects()]
    unknown = sorted({name for name, _, _ in wanted} - set(subjects()))
    if unknown:
        parser.error(f"no subject {', '.join(unknown)}; there are {', '.join(subjects())}")
    for name, _, part in wanted:
        known = parts_of(name) if part else ()
        if part and part not in known:
            parser.error(f"{name} has no part {part}; it has {', '.join(known) or 'none'}")
    os.environ.update(environment())
    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} CPUs")
    for name, _, part in wanted:
        chosen = {"part": part} if part else {}
        for table in import_module(f"tests.benchmarks.{name}").tables(quick=asked.quick, **chosen):
            print(f"\n{text_of(table)}", flush=True)


def parts_of(subject: str) -> tuple[str, ...]:
    return tuple(getattr(import_module(f"tests.benchmarks.{subject}"), "PARTS", ()))


if __name__ == "__main__":
    main()
