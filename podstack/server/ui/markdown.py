"""Notes and Markdown files as HTML that may stand in a page.

`render` promises that whatever the text is, what comes back runs nothing, loads nothing, has no
style and no id of its own, and took at most about a second of this thread: HTML in the text is
text, links lead to http, https, mail or inside this site and tell the other side nothing, a picture
becomes a link to it. It is cleaned once more by nh3, so a fault of the parser alone opens nothing.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from podstack import clock

LONGEST = 200_000  # characters that are rendered; what follows is left as it is written
_MOST_WORK = 1.0  # seconds of CPU

_TAGS = {
    *("a", "p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote"),
    *("ul", "ol", "li", "h2", "h3", "h4", "h5", "h6"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}
_SCHEMES = {"http", "https", "mailto"}
_DEADLINE = "deadline"
_PAGE_LEVEL = 1  # the heading of the page itself is the first
_BOXES = {"[ ] ": "\N{BALLOT BOX} ", "[x] ": "\N{BALLOT BOX WITH CHECK} "}
_AN_ITEM = ["list_item_open", "paragraph_open", "inline"]


class _TooMuch(Exception):  # an ending, not an error
    """The text takes longer to parse than anybody's notes do."""


def render(text: str) -> str:
    """HTML of a Markdown text: CommonMark, with tables, ~~struck~~ words and lists of tasks."""
    shown, rest = text[:LONGEST], text[LONGEST:]
    try:
        html = _MARKDOWN.render(shown, {_DEADLINE: clock.worked() + _MOST_WORK})
    except _TooMuch:
        html, rest = "", text
    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return cleaned + (f"<pre>{escape(rest)}</pre>\n" if rest else "")


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.block.ruler.before("code", "work", _block_work)
    parser.inline.ruler.before("text", "work", _inline_work)
    parser.core.ruler.push("page", _for_a_page)
    parser.core.ruler.push("tasks", _tick_boxes)
    parser.add_render_rule("image", _picture)
    return parser


# Rules that find nothing, and so are asked at every place: they look at the clock.


def _block_work(state: StateBlock, _start: int, _end: int, _silent: bool) -> bool:
    return _look_at_clock(state.env)


def _inline_work(state: StateInline, _silent: bool) -> bool:
    return _look_at_clock(state.env)


def _look_at_clock(env: MutableMapping[str, Any]) -> bool:
    if clock.worked() > env[_DEADLINE]:
        raise _TooMuch
    return False


def _for_a_page(state: Any) -> None:
    """Headings below the one of the page; the side of a column without a style."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + _PAGE_LEVEL)}"
        side = str(token.attrs.pop("style", "")).partition(":")[2]
        if side:
            token.attrs["align"] = side


def _tick_boxes(state: Any) -> None:
    """An item of a list that begins with `[ ]` or `[x]` is a task: to be done, or done."""
    tokens = state.tokens
    for at in range(2, len(tokens)):
        if [token.type for token in tokens[at - 2 : at + 1]] == _AN_ITEM:
            first = next(iter(tokens[at].children or ()), None)
            if first and first.type == "text" and (box := _BOXES.get(first.content[:4].lower())):
                first.content = box + first.content[4:]


def _picture(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    _env: MutableMapping[str, Any],
) -> str:
    """A link to a picture: loading it would tell its host who reads these notes, and when."""
    source = str(tokens[index].attrs.get("src", ""))
    words = tokens[index].content or source
    return f'<a href="{escape(source)}">{escape(words)}</a>'


_MARKDOWN = _parser()
