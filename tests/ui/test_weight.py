"""What a page's scripts weigh, and that all are ours: read from the files, without a browser."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from podstack.server.ui.compare_page import _AT_ONCE, _CHARTS_FIRST, _SECTIONS

_UI = Path(__file__).parents[2] / "podstack/server/ui"
_STATIC = _UI / "static"
_SCRIPTS = sorted(_STATIC.rglob("*.js"))
_PAGES = sorted((_STATIC / "pages").glob("*.js"))
_TEMPLATES = sorted((_UI / "templates").rglob("*.html"))
_IMPORT = re.compile(r"""(?:\bfrom\s+|\bimport\s*\(?\s*)["']([^"']+)["']""")
_INLINE = re.compile(
    r"<script(?![^>]*\b(?:src|type=\"application/json\"))|<style|\sstyle=|\son\w+="
)
_DANGER = re.compile(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b\s*[=(]")
_LATER = re.compile(r"\bimport\s*\(")
_COMMENT = re.compile(r"^\s*(?:/\*\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_BUDGET = 40_000  # bytes of the scripts that come with a page, each gzipped, without comments


def _closure(script: Path) -> set[Path]:
    """A script and all that it imports at once; panels that wait to be seen come later."""
    found, left = set(), [script.resolve()]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            text = _LATER.sub("later(", path.read_text())
            left += [(path.parent / name).resolve() for name in _IMPORT.findall(text)]
    return found


def _weight(script: Path) -> int:
    return len(gzip.compress(_COMMENT.sub("", script.read_text()).encode(), 9))


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_the_scripts_of_a_page_stay_within_their_budget(page: Path) -> None:
    sizes = {path.name: _weight(path) for path in _closure(page)}

    assert sum(sizes.values()) <= _BUDGET, sorted(sizes.items(), key=lambda pair: -pair[1])[:12]


@pytest.mark.parametrize("order", [tuple(name for name, _ in _SECTIONS), _CHARTS_FIRST])
def test_what_compare_loads_at_once_stays_within_the_budget(order: tuple[str, ...]) -> None:
    first = [_STATIC / f"compare/{name}_panel.js" for name in order[:_AT_ONCE]]
    pages = [_STATIC / "pages/compare.js", _STATIC / "core/shell.js"]
    found = set().union(*(_closure(script) for script in [*pages, *first]))

    assert sum(map(_weight, found)) <= _BUDGET


def test_no_script_imports_from_elsewhere() -> None:
    strange = [
        f"{script.name}: {name}"
        for script in _SCRIPTS
        for name in _IMPORT.findall(script.read_text())
        if not name.startswith(("./", "../")) or not (script.parent / name).is_file()
    ]

    assert strange == []


def test_no_script_makes_html_or_code_of_a_text() -> None:
    dangers = [
        f"{script.relative_to(_STATIC)}:{number}: {line.strip()}"
        for script in _SCRIPTS
        for number, line in enumerate(script.read_text().splitlines(), 1)
        if _DANGER.search(line) or "new Function" in line
    ]

    assert dangers == []


def test_no_template_holds_script_style_or_handlers() -> None:
    inline = [
        f"{template.name}: {found[0]}"
        for template in _TEMPLATES
        for found in _INLINE.finditer(template.read_text())
    ]

    assert inline == []
