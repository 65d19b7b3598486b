"""The pages around the others: the way in, settings, keys; and the files of all pages."""

from __future__ import annotations

import re
from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from podstack.names import is_id
from podstack.server.access import ADMIN, PUBLIC, VIEWER, Context, Here, Routes
from podstack.server.errors import missing
from podstack.server.ui.assets import tree
from podstack.server.ui.rendering import page

routes = Routes(prefix="")

_FOR_EVER = "public, max-age=31536000, immutable"
_LAST = "podstack_project"  # the cookie that remembers the project looked at last
_HASH = re.compile(r"[0-9a-f]{12}")


@routes.add("GET HEAD", "/static/{path:path}", PUBLIC)
async def static(request: Request, path: str) -> Response:
    """A script, style or picture; for ever, where the address names this version.

    All are in memory: they wait for no thread that waits for the store.
    """
    version, _, name = path.partition("/")
    if not _HASH.fullmatch(version):
        raise missing()
    asset = tree().asset(name)
    is_packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "Cache-Control": _FOR_EVER if version == tree().hash else "no-cache",
        "Vary": "Accept-Encoding",
        **({"Content-Encoding": "gzip"} if is_packed else {}),
    }
    content = asset.packed if is_packed else asset.content
    return Response(content, headers=headers, media_type=asset.type)


@routes.add("GET", "/", VIEWER)
def front(here: Here, request: Request) -> Response:
    return _onward(here, request, "/experiments")


@routes.add("GET", "/experiments", VIEWER)
def short_experiments(here: Here, request: Request) -> Response:
    return _onward(here, request, "/experiments")


@routes.add("GET", "/experiments/{experiment}", VIEWER)
def short_experiment(here: Here, request: Request, experiment: str) -> Response:
    return _onward(here, request, f"/experiments/{quote(experiment, safe='')}")


@routes.add("GET", "/runs", VIEWER)
def short_runs(here: Here, request: Request) -> Response:
    return _onward(here, request, "/runs")


@routes.add("GET", "/runs/{run}", VIEWER)
def short_run(here: Here, request: Request, run: str) -> Response:
    return _onward(here, request, f"/runs/{quote(run, safe='')}")


@routes.add("GET", "/runs/{run}/{tab}", VIEWER)
def short_run_tab(here: Here, request: Request, run: str, tab: str) -> Response:
    return _onward(here, request, f"/runs/{quote(run, safe='')}/{quote(tab, safe='')}")


@routes.add("GET", "/compare", VIEWER)
def short_compare(here: Here, request: Request) -> Response:
    return _onward(here, request, "/compare")


@routes.add("GET", "/sweeps", VIEWER)
def short_sweeps(here: Here, request: Request) -> Response:
    return _onward(here, request, "/sweeps")


@routes.add("GET", "/sweeps/{sweep}", VIEWER)
def short_sweep(here: Here, request: Request, sweep: str) -> Response:
    return _onward(here, request, f"/sweeps/{quote(sweep, safe='')}")


@routes.add("GET", "/alerts", VIEWER)
def short_alerts(here: Here, request: Request) -> Response:
    return _onward(here, request, "/alerts")


@routes.add("GET", "/login", PUBLIC)
def login(here: Here, request: Request) -> Response:
    """Where a token becomes a session; the page's script goes straight on where there is one."""
    return page(here, request, "login.html", title="Log in", scripts=("pages/login.js",))


@routes.add("GET", "/help/keys", VIEWER)
def keys(here: Here, request: Request) -> Response:
    return page(here, request, "keys.html", title="Keys", scripts=("pages/keys.js",))


@routes.add("GET", "/settings", VIEWER)
def settings(here: Here, request: Request) -> Response:
    """Theme, project, and the tokens of a project that the caller is admin of."""
    here = here._replace(project=_project(here, request))
    return page(
        here,
        request,
        "settings.html",
        title="Settings",
        data={"admin": here.role >= ADMIN and not here.services.settings.open},
        scripts=("pages/settings.js",),
        projects=project_names(here),
        is_admin=here.role >= ADMIN and not here.services.settings.open,
    )


@routes.add("GET", "/projects/{project}", VIEWER)
def one_project(here: Here, request: Request) -> Response:
    return _onward(here, request, "/experiments")


def project_names(here: Context) -> list[str]:
    """The projects of the store that the caller may see."""
    listed = here.services.stores.backend.list_dirs("projects/")
    return sorted(name for name in listed if is_id(name) and here.caller.level_in(name) is not None)


def _project(here: Context, request: Request) -> str:
    """The project meant where the address names none: this one, the last one, the first one."""
    if here.project:
        return here.project
    last = request.cookies.get(_LAST, "")
    if is_id(last) and here.caller.level_in(last) is not None:
        return last
    known = project_names(here)
    if "default" in known or not known:
        granted = sorted(name for name in here.caller.roles if is_id(name))
        return "default" if "default" in known or not granted else granted[0]
    return known[0]


def _onward(here: Context, request: Request, path: str) -> Response:
    """The same page of the project meant; the query stays."""
    prefix = here.services.settings.prefix
    query = f"?{request.url.query}" if request.url.query else ""
    place = f"{prefix}/projects/{_project(here, request)}{path}{query}"
    return RedirectResponse(place, 302, {"Cache-Control": "no-store"})
