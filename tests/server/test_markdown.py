"""Markdown of whoever may write notes: it runs nothing, loads nothing and takes no time."""

from __future__ import annotations

import re

import pytest

from podstack import clock
from podstack.server.ui.markdown import render

HARMFUL = re.compile(
    r"<(?:script|img|svg|iframe|style|object|math|form|input)"
    r"|<[^>\"]*(?:\"[^\"]*\"[^>\"]*)*\son\w+=",  # an attribute, not a text between tags
    re.IGNORECASE,
)


def test_tables_headings_and_code_are_kept() -> None:
    html = render("# One\n\n|a|b|\n|:-|-:|\n|1|2|\n\n~~no~~ **yes** `x`\n\n```js\nlet a\n```")

    assert "<h2>One</h2>" in html  # the page has the first heading
    assert '<td align="right">2</td>' in html
    assert "<s>no</s> <strong>yes</strong> <code>x</code>" in html
    assert "<pre><code>let a\n</code></pre>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        "<svg/onload=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](java\tscript:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](vbscript:x)",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a][b]\n\n[b]: javascript:alert(1)",
        '![x" onerror="alert(1)](http://evil/x.png)',
        '```js" onload="alert(1)\nx\n```',
        "```mermaid\ngraph TD; a-->b\n```",
        "$$\\href{javascript:alert(1)}{x}$$",
        "<style>@import 'http://evil'</style>",
        "<a href='javascript:alert(1)'>x</a>",
    ],
)
def test_44_45_nothing_in_it_runs_or_loads(text: str) -> None:
    html = render(text)
    links = re.findall(r'href="([^"]*)"', html)

    assert not HARMFUL.search(html)
    assert all(link.startswith(("http://", "https://")) for link in links)


def test_44_links_tell_the_other_side_nothing() -> None:
    assert 'rel="noopener noreferrer nofollow"' in render("[a](https://example.org)")


def test_45_a_picture_becomes_a_link_to_it() -> None:
    html = render("![plot](https://example.org/a.png)")

    assert "<img" not in html
    assert ">plot</a>" in html


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "![" * 20_000,
        ">" * 5_000,
        "".join("`" * n + "x" for n in range(1, 600)),
        "a|" * 300 + "\n" + "-|" * 300 + "\n" + ("x|" * 300 + "\n") * 300,
        "[a" * 50_000 + "](b)" * 20_000,
        "a**b" * 50_000,
    ],
    ids=["brackets", "pictures", "quotes", "backticks", "table", "links", "stars"],
)
def test_46_no_text_takes_long(text: str) -> None:
    began = clock.worked()
    html = render(text)

    assert clock.worked() - began < 2  # CPU of this thread, whatever else the machine does
    assert html


def test_what_is_too_long_is_left_as_it_was_written() -> None:
    html = render("*a* " * 60_000)

    assert html.endswith("</pre>\n")
