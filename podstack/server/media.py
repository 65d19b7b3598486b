"""What the bytes of a file are, and how a browser is told of a file that nobody trusts.

A type is read off the bytes, never off the name alone: a page named `plot.png` is no picture. What
is none of the few types here is `application/octet-stream` to be saved, so no browser runs it.
"""

from __future__ import annotations

import re
from urllib.parse import quote

HEAD = 4096  # bytes from the start of a file that tell what it is

OCTETS = "application/octet-stream"
SVG = "image/svg+xml"

# Where even a picture is opened as a page of its own, nothing in it runs or loads.
INERT = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
# A page that was logged: its own scripts run, without this site's origin, and reach nothing.
CAGED = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

_SIGNS: tuple[tuple[str, str], ...] = (
    (r"\x89PNG\r\n\x1a\n", "image/png"),
    (r"\xff\xd8\xff", "image/jpeg"),
    (r"GIF8[79]a", "image/gif"),
    (r"RIFF....WEBP", "image/webp"),
    (r"....ftypavi[fs]", "image/avif"),
    (r"RIFF....WAVE", "audio/wav"),
    (r"ID3|\xff[\xfa\xfb\xf2\xf3]", "audio/mpeg"),
    (r"fLaC", "audio/flac"),
    (r"OggS", "audio/ogg"),
    (r"....ftypM4A", "audio/mp4"),
    (r"....ftyp(?:isom|iso[2-6]|mp4[12]|avc1|M4V |dash)", "video/mp4"),
    (r"\x1aE\xdf\xa3", "video/webm"),
)
_MAGIC = [(re.compile(sign.encode(), re.DOTALL), kind) for sign, kind in _SIGNS]
_SVG_BEGINS = (b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")
# What turns the direction of writing can make `exe.png` of `gnp.exe`.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]")
_PLAIN = re.compile(r"[^A-Za-z0-9 ._-]")
_LONGEST = 200  # characters of a name that is offered


def media_type(path: str, head: bytes) -> str:
    """The type of a picture, a sound or a film; OCTETS for everything else.

    Args:
        head: the first HEAD bytes, or all of fewer.
    """
    for sign, kind in _MAGIC:
        if sign.match(head):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_svg = path.lower().endswith(".svg") and text.startswith(_SVG_BEGINS) and b"<svg" in text
    return SVG if is_svg else OCTETS


def is_text(head: bytes) -> bool:
    """Whether bytes are text in UTF-8; its last letter may be cut."""
    if b"\x00" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) >= HEAD and error.start > len(head) - 4
    return True


def attachment(name: str) -> str:
    """A Content-Disposition that saves a file under `name`: one line whatever the name holds.

    Source: RFC 6266 with RFC 8187, the plain `filename` for what knows no `filename*`.
    """
    safe = _UNSAFE.sub("_", name).strip(" .") or "file"
    if len(safe) > _LONGEST:
        stem, dot, ending = safe.rpartition(".")
        kept = ending if dot and len(ending) < 20 else ""
        safe = (stem or safe)[: _LONGEST - len(kept) - 1] + (f".{kept}" if kept else "")
    plain = _PLAIN.sub("_", safe)
    wide = quote(safe.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{wide}"
