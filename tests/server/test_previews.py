"""Files that anybody logged, asked for by a browser: saved, shown or caged, and never run here."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from podstack import MLOpsClient
from podstack.server.media import OCTETS, attachment, media_type
from podstack.server.ui import preview_content as contents
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer, ask

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080600000"
    "01f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
PAGE = b"<script>document.title = 'ran'; parent.document.title = 'ran'</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
FILES: dict[str, bytes] = {
    "plots/a.png": PNG,
    "plots/fake.png": PAGE,
    "plots/a.svg": SVG,
    "page.html": PAGE,
    "page.xhtml": PAGE,
    "app.js": b"alert(1)",
    "app.mjs": b"alert(1)",
    "doc.xml": b"<a/>",
    "doc.pdf": b"%PDF-1.7 x",
    "film.swf": b"FWS\x06",
    "mail.mht": b"MIME-Version: 1.0",
    "noending": PAGE,
    "note.ipynb": json.dumps({"cells": []}).encode(),
    "sound.wav": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(200),
    "text.txt": b"one\ntwo\n",
    "data.json": b'{"a": [1, "</script><script>alert(1)</script>"]}',
    "data.csv": b"x,y\n1,<b>2</b>\n",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str]]:
    folder = tmp_path_factory.mktemp("previews")
    for name, data in FILES.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with MLOpsClient(folder / "store").start_run(run_id="r", capture=False) as run:
        run.log_artifacts(folder / "files")
    with RunningServer(
        folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield server, f"/api/v1/projects/default/runs/{run.id}"


def fetched(served: Any, name: str, query: str = "", **headers: str) -> Answer:
    server, base = served
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return ask(server.port, "GET", f"{base}/files/{quote(name)}{query}", headers=named)


@pytest.mark.parametrize("name", FILES)
def test_47_every_file_comes_as_one_to_save(served: Any, name: str) -> None:
    answer = fetched(served, name)

    assert answer.status == 200
    assert answer.body == FILES[name]
    assert answer.headers["content-type"] == OCTETS
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("plots/a.png", "image/png"), ("plots/a.svg", "image/svg+xml"), ("sound.wav", "audio/wav")],
)
def test_48_a_picture_or_sound_is_shown_where_nothing_runs(
    served: Any, name: str, kind: str
) -> None:
    answer = fetched(served, name, "?as=media")
    policy = answer.headers["content-security-policy"]

    assert answer.headers["content-type"] == kind
    assert "default-src 'none'" in policy
    assert re.search(r"sandbox(?:;|$)", policy)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["plots/fake.png", "page.html", "app.js", "doc.pdf", "noending"])
def test_48_what_is_no_picture_is_not_shown_as_one(served: Any, name: str) -> None:
    assert fetched(served, name, "?as=media").status == 415


def test_48_a_page_runs_in_a_cage_only(served: Any) -> None:
    answer = fetched(served, "page.html", "?as=page")
    policy = answer.headers["content-security-policy"]

    assert "sandbox allow-scripts;" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    for name in ("page.xhtml", "plots/a.svg", "app.js"):
        assert fetched(served, name, "?as=page").status == 415


@pytest.mark.parametrize("query", ["", "?as=media", "?as=page"])
def test_49_no_file_becomes_a_service_worker(served: Any, query: str) -> None:
    assert fetched(served, "app.js", query, Service_Worker="script").status == 403


def test_a_player_gets_the_range_that_it_asks_for(served: Any) -> None:
    answer = fetched(served, "sound.wav", "?as=media", Range="bytes=4-7")

    assert answer.status == 206
    assert answer.body == FILES["sound.wav"][4:8]
    assert answer.headers["content-type"] == "audio/wav"


def test_a_folder_comes_as_a_zip_of_known_length(served: Any) -> None:
    server, base = served
    answer = ask(server.port, "GET", f"{base}/archive?folder=plots")

    assert int(answer.headers["content-length"]) == len(answer.body)
    assert sorted(zipfile.ZipFile(BytesIO(answer.body)).namelist()) == [
        "a.png", "a.svg", "fake.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["../x", "..%2fx", "nothing", "plots", "text.txt/x"],
)
def test_what_is_no_file_of_the_run_is_refused(served: Any, name: str) -> None:
    server, base = served

    assert ask(server.port, "GET", f"{base}/files/{name}").status in (400, 404)


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nX: y",
        'a"b',
        "a;b=c",
        "exe.\u202egnp",
        "a\x00b",
        "a" * 4000,
        "%0d%0aX",
        "ü/\\b",
        "..",
        "",
    ],
)
def test_50_a_name_is_one_line_of_one_parameter(name: str) -> None:
    told = attachment(name)
    shape = re.fullmatch(r"attachment; filename=\"([^\"\\;]*)\"; filename\*=UTF-8''(\S*)", told)

    assert shape
    assert told.isprintable()
    assert told.isascii()
    assert len(told) < 1500
    assert not set("\r\n\x00\u202e/\\") & set(unquote(shape[2]))


def test_50_a_long_name_keeps_its_ending() -> None:
    assert attachment("a" * 4000 + ".csv").endswith(".csv")


def test_a_type_is_read_off_the_bytes() -> None:
    assert media_type("a.txt", PNG) == "image/png"
    assert media_type("a.png", PAGE) == OCTETS
    assert media_type("a.txt", SVG) == OCTETS


# Pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_48_the_page_of_a_file_holds_none_of_its_markup(served: Any, name: str) -> None:
    server, _ = served
    answer = ask(server.port, "GET", f"/projects/default/runs/r/artifacts/{quote(name)}")
    page = answer.body.decode()

    assert answer.status == 200
    assert "alert(1)</script>" not in page
    assert "document.title" not in page or "&lt;script&gt;" in page
    assert "<b>2</b>" not in page
    for frame in re.findall(r"<iframe[^>]*>", page):
        assert re.search(r'sandbox(?:=""|="allow-scripts")?[ >]', frame)
        assert "allow-same-origin" not in frame


def test_a_notebook_is_cells_of_text_and_pictures() -> None:
    import base64

    picture = base64.b64encode(PNG).decode()
    outputs = [
        {"output_type": "display_data", "data": {"image/png": picture, "text/html": "<b>x</b>"}},
        {"output_type": "display_data", "data": {"image/png": base64.b64encode(PAGE).decode()}},
        {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>"}},
        {"output_type": "error", "traceback": ["\x1b[31mValueError\x1b[0m: no"]},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Hi\n", "<script>alert(1)</script>"]},
        {"cell_type": "code", "source": "1 + 1", "execution_count": 3, "outputs": outputs},
    ]
    found = contents.notebook_of(json.dumps({"nbformat": 4, "cells": cells}).encode())

    assert found
    assert "<script" not in found.cells[0].html
    assert [bool(one.picture) for one in found.cells[1].outputs] == [True, False]
    assert found.cells[1].outputs[1].text == "ValueError: no"


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b"{", b"9" * 200_000, b'{"cells": 3}', b"\xff", b"null"]
)
def test_what_is_no_notebook_or_tree_is_shown_as_text(data: bytes) -> None:
    assert contents.notebook_of(data) is None
    contents.json_tree(data)  # a tree or None, and no error


def test_a_tree_is_bounded() -> None:
    tree = contents.json_tree(json.dumps(list(range(100_000))).encode())

    assert tree
    assert len(tree.children) < 5_002
    assert tree.children[-1].kind == "more"


def test_yaml_that_repeats_itself_is_bounded() -> None:
    bomb = "a: &a [x, x, x]\n" + "".join(
        f"{n}: &{n} [*{p}, *{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    began = time.monotonic()
    tree = contents.yaml_tree(bomb.encode())

    assert tree
    assert time.monotonic() - began < 20
    assert contents.yaml_tree(b"a: &a {x: 1}\nb:\n  <<: *a\n") is None


def test_a_table_is_cut_in_rows_and_columns() -> None:
    wide = ";".join(map(str, range(80)))
    table = contents.table_of(f"{wide}\n".encode() * 1500, 10_000)

    assert table
    assert (len(table.rows), len(table.head), table.columns_left_out) == (1000, 50, 30)
    assert table.is_cut


def test_lines_are_numbered_and_cut(tmp_path: Path) -> None:
    lines = contents.lines_of(b"a\r\nb\x1b[31mc\x1b[0m\n", 8)

    assert lines == ("a\nbc\n", "1\n2", 0)
    assert contents.lines_of(b"x\n" * 200_000, 400_000).left_out == 400_000 - contents.TEXT_BYTES
