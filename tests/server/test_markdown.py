"""Markdown as the pages show it: inert, without anything from elsewhere, and never for long."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from itertools import count

import pytest

from podstack import clock
from podstack.server.ui import markdown
from podstack.server.ui.markdown import render
from podstack.testing import hostile_texts

LINKS = (
    "[x](javascript:stolen(1))",
    "[x](JaVaScRiPt:stolen(1))",
    "[x](java&#x0A;script:stolen(1))",
    "[x](java\tscript:stolen(1))",
    "[x](&#106;avascript&colon;stolen(1))",
    "[x](<java\tscript:stolen(1)>)",
    "[x](vbscript:stolen(1))",
    "[x](data:text/html,<script>stolen(1)</script>)",
    "[x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[x][r]\n\n[r]: javascript:stolen(1)",
    "<javascript:stolen(1)>",
    "![x](javascript:stolen(1))",
    "[x](file:///etc/passwd)",
)
SLOW = {
    "brackets": "[" * 20_000,
    "quotes": ">" * 5_000 + " a",
    "backticks": " ".join("`" * n for n in range(1, 600)),
    "stars": "*a " * 30_000,
    "tables": "|" + "a|" * 2_000 + "\n|" + "-|" * 2_000 + "\n" + ("|" + "b|" * 2_000 + "\n") * 20,
    "lists": "".join(f"{' ' * n}- a\n" for n in range(500)),
    "references": "[a]: /x\n" * 10_000 + "[a]" * 10_000,
    "images": "![" * 20_000,
}


# As a browser reads an address: what is below a space or breaks a line is not there.
_IGNORED = re.compile(r"[\x00-\x20]")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")


class Seen(HTMLParser):
    """Every element of a document, with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))


def alive(html: str) -> list[str]:
    """What in a document could run, load, style or name something."""
    harmless = {"href", "title", "rel", "start", "align"}
    found = []
    for tag, attributes in Seen(html).elements:
        lively = tag in ("script", "style", "img", "iframe", "svg", "math", "base", "form", "input")
        found += [tag] if lively else []
        found += [f"{tag} {name}" for name in attributes if name not in harmless]
        scheme = _SCHEME.match(_IGNORED.sub("", attributes.get("href", "")))
        is_harmless = scheme is None or scheme[1].lower() in ("http", "https", "mailto")
        found += [] if is_harmless else [f"to {attributes['href']}"]
    return found


@pytest.mark.parametrize("text", [*hostile_texts.TEXTS, hostile_texts.MARKDOWN, *LINKS])
def test_nothing_in_a_text_is_alive(text: str) -> None:
    assert alive(render(text)) == []


@pytest.mark.parametrize("text", hostile_texts.SCRIPTS)
def test_an_attack_inside_other_markdown_is_text_too(text: str) -> None:
    within = f"> {text}\n\n- {text}\n\n| {text} |\n|---|\n| {text} |\n\n```{text}\n{text}\n```\n"

    assert alive(render(within)) == []


def test_html_is_shown_as_it_is_written() -> None:
    assert "&lt;script&gt;stolen(1)&lt;/script&gt;" in render(hostile_texts.SCRIPTS[0])


def test_code_of_a_language_and_formulas_are_plain_code_and_text() -> None:
    html = render('```mermaid"onload="x\ngraph TD\n```\n\n$$\\href{javascript:a}{b}$$')

    assert alive(html) == []
    assert "graph TD" in html


def test_a_link_elsewhere_tells_the_other_side_nothing() -> None:
    [link] = [attributes for tag, attributes in Seen(render("[x](https://a.example)")).elements
              if tag == "a"]  # fmt: skip

    assert set(link["rel"].split()) == {"noopener", "noreferrer", "nofollow"}


@pytest.mark.parametrize(
    "text",
    [
        "![seen](https://evil.example/p.png)",
        "![seen][r]\n\n[r]: https://evil.example/p.png",
        '<img src="https://evil.example/p.png">',
        "<style>@import url(https://evil.example/a.css)</style>",
    ],
)
def test_nothing_is_loaded_from_elsewhere(text: str) -> None:
    elements = Seen(render(text)).elements

    assert {tag for tag, _ in elements} <= {"p", "a"}
    assert not any("src" in attributes or "style" in attributes for _, attributes in elements)


def test_a_picture_is_a_link_to_it() -> None:
    assert 'href="https://a.example/p.png"' in render("![curve](https://a.example/p.png)")


@pytest.mark.parametrize("name", SLOW)
def test_a_text_made_to_be_slow_is_given_up_once_its_time_is_over(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser looks at its clock at every place: here each look takes a tenth of the time."""
    times = count()
    monkeypatch.setattr(clock, "worked", lambda: next(times) * markdown._MOST_WORK / 10)

    assert render(SLOW[name]) == f"<pre>{escape(SLOW[name])}</pre>\n"
    assert next(times) <= 13  # nobody looks again after it was over


@pytest.mark.parametrize("name", SLOW)
def test_a_text_made_to_be_slow_brings_nothing_alive(name: str) -> None:
    assert alive(render(SLOW[name])) == []


def test_tasks_of_a_list_have_boxes() -> None:
    shown = render("- [x] *lower* rate\n- [ ] larger batch\n- `[x] ` a word\n\n[ ] no item\n")

    assert "<li>☑ <em>lower</em> rate</li>" in shown
    assert "<li>☐ larger batch</li>" in shown
    assert "<code>[x] </code> a word" in shown
    assert "<p>[ ] no item</p>" in shown
