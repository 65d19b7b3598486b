"""What a page's scripts weigh, and that all are ours: read from the files, without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from podstack.server.ui.assets import _COMMENT, _REMARK, tree
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
_BUDGET = 40_000  # bytes of the scripts that come with a page, as they are sent
_FIRST_WINDOW = 3  # panels of many runs that a window of 1440 x 800 opens with (test_compare.py)
_WHOLE_COMPARE = 65_500  # eight panels in sight: a wall, not the aim


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
    return len(tree().asset(script.relative_to(_STATIC).as_posix()).packed)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_the_scripts_of_a_page_stay_within_their_budget(page: Path) -> None:
    everywhere = [_STATIC / "core/shell.js", _STATIC / "core/theme.js"]
    found = set().union(*(_closure(script) for script in [page, *everywhere]))
    sizes = {path.name: _weight(path) for path in found}

    assert sum(sizes.values()) <= _BUDGET, sorted(sizes.items(), key=lambda pair: -pair[1])[:12]


def _compare(panels: tuple[str, ...]) -> int:
    shown = [_STATIC / f"compare/{name}_panel.js" for name in panels]
    pages = [_STATIC / f"{name}.js" for name in ("pages/compare", "core/shell", "core/theme")]
    return sum(map(_weight, set().union(*(_closure(script) for script in [*pages, *shown]))))


_FEW_RUNS = tuple(name for name, _ in _SECTIONS)


@pytest.mark.parametrize("order", [_FEW_RUNS, _CHARTS_FIRST])
def test_what_compare_loads_at_once_stays_within_the_budget(order: tuple[str, ...]) -> None:
    assert _compare(order[:_AT_ONCE]) <= _BUDGET


def test_what_a_window_of_many_compared_runs_loads_stays_within_the_budget() -> None:
    assert _compare(_CHARTS_FIRST[:_FIRST_WINDOW]) <= _BUDGET


def test_all_panels_of_compare_in_sight_weigh_no_more_than_they_did() -> None:
    assert _compare(_FEW_RUNS) <= _WHOLE_COMPARE


_CODE = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
    |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'
    |(?<=[(,=:\[!&|?{};\s])/(?![*/\s])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/
    |(?P<turn>[`{}])|.""",
    re.DOTALL | re.VERBOSE,
)
_TEXT = re.compile(r"\\.|(?P<turn>`|\$\{)|.", re.DOTALL)


def _comments(script: str) -> set[int]:
    """Where comments begin: not in texts, nor in texts within code within texts."""
    found, within, place = set(), [""], 0
    while place < len(script):
        is_text = within[-1] == "`"
        token = (_TEXT if is_text else _CODE).match(script, place)
        assert token
        turn = token["turn"]
        if turn == "}" or (turn == "`" and is_text):
            within.pop()
        elif turn:
            within.append(turn)
        elif not is_text and token["comment"]:
            found.add(place)
        place = token.end()
    assert within == [""]
    return found


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda script: script.stem)
def test_what_is_left_out_behind_code_is_a_comment(script: Path) -> None:
    text = _COMMENT.sub("", script.read_text())
    remarks = {text.index("//", match.start()) for match in _REMARK.finditer(text)}

    assert remarks <= _comments(text)


def test_a_text_is_not_taken_for_a_comment() -> None:
    assert _comments("a('//'); b = `c\nd // e ${f} `; /`[/]/.test(g); // h") == {47}


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
