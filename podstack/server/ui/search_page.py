"""What a few letters may mean: as a page, and for the palette that every page has."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response

from podstack.expressions.tree import literal, quoted_name
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.asking import Text, reader_of
from podstack.server.ui.rendering import page
from podstack.server.ui.searching import found, named_so

routes = Routes(prefix="")
api_routes = Routes()


@routes.add("GET", "/projects/{project}/search", VIEWER)
def search_page(here: Here, request: Request, q: Text = "") -> Response:
    results = found(reader_of(here), q) if q.strip() else None
    return page(
        here,
        request,
        "search.html",
        title=f"Search {q}".strip(),
        q=q,
        results=results,
        groups=_groups(here, results, q) if results else [],
    )


@api_routes.add("GET", "/projects/{project}/search", VIEWER)
def search(here: Here, q: Text = "") -> dict[str, Any]:
    """What a few letters may mean: experiments, runs, parameters, metrics and tags."""
    return found(reader_of(here), q)


def _groups(
    here: Context, results: dict[str, Any], q: str
) -> list[tuple[str, list[tuple[str, ...]]]]:
    """What was found, with links: title, then word, address and a remark of each."""
    base = f"{here.services.settings.prefix}/projects/{here.project}"

    def filtered(names: list[str], written: str) -> list[tuple[str, ...]]:
        return [
            (
                name,
                f"{base}/runs?q={quote(written.format(quoted_name(name), literal(name)), safe='')}",
                "",
            )
            for name in names
        ]

    def all_named(count: int) -> list[tuple[str, ...]]:
        where = quote(named_so(q.strip()), safe="")
        word = f"All {count:,} with this in their name"
        return [(word, f"{base}/runs?q={where}", "")] if count > len(results["runs"]) else []

    return [
        (
            "Experiments",
            [
                (row["name"], f"{base}/experiments/{quote(row['id'], safe='')}", "")
                for row in results["experiments"]
            ],
        ),
        (
            "Runs",
            [
                (row["name"], f"{base}/runs/{quote(row['id'], safe='')}", row["status"])
                for row in results["runs"]
            ]
            + all_named(results["named"]),
        ),
        ("Parameters", filtered(results["params"], "params.{} is not missing")),
        ("Metrics", filtered(results["metrics"], "metrics.{} is not missing")),
        ("Tags", filtered(results["tags"], "tags contains {1}")),
    ]
