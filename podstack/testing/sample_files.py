"""One small file of every kind that the pages preview, made on the spot."""

from __future__ import annotations

import base64
import json
import math
import struct
import wave
import zlib
from pathlib import Path

_CODE = '''"""A model."""


def forward(x: float) -> float:
    return max(0.0, x)  # ReLU
'''
_MARKDOWN = """# Report

The **best** run so far: `lr = 0.003`.

| class | recall |
|---|---|
| cat | 0.93 |
| dog | 0.91 |
"""
_DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 80">'
    '<rect width="120" height="80" fill="#e8eefc"/><circle cx="60" cy="40" r="28" fill="#35e"/>'
    "</svg>"
)
# A white square that moves over blue, 64 by 48 pixels, 0.9 s: VP8 as a browser recorded it.
_FILM = """
    GkXfo59ChoEBQveBAULygQRC84EIQoKEd2VibUKHgQRChYECGFOAZwEAAAAAAANGEU2bdLlNu4tTq4QVSalmU6yBbk27
    i1OrhBZUrmtTrIGTTbuLU6uEH0O2dVOsgdRNu4xTq4QcU7trU6yCAzTsrgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    AAAAAAAAAAAAAAAAAAAAAAAAAAAVSalmoCrXsYMPQkBEiYREO6J/TYCGQ2hyb21lV0GGQ2hyb21lFlSua7yuuteBAXPF
    h6PRbT0IHvuDgQFV7oEBhoVWX1ZQOOCdsIFAuoEwU8CBAVWwkFWxgQFVuYECVbqBDVW7gQEfQ7Z1AQAAAAAAAlTngQCg
    +aHKgQAAALADAJ0BKkAAMAAHBwiFhYiZhIglghigJAUiDohZTT1nhRxISVxoAP7hw3zNwoydUtd6VBsCc+gms7XX5dXc
    7dT3rNBh2AB1oaqmqO6BAaWjsAIAnQEqQAAwAAqHCIWFiJmEiDgCAAaOT8zHm/FYAP7rrgCg36G+gQCVAHECABwRPAAY
    ACBAD/QAHQ6xUl0q8YD+4Ll5JWPz1QZRj27oIv3/7t4+X+dglhEm2sjPEyL6wr024SB1oZmml+6BAaWS0QEAKhHAABgA
    GFgv9AAIjAAA+4EAoNuhuoEBKwBxAgAcETAAGAAgSAf0ADpUmosSNuuA/uC5fDm2PChAxqrPf0q4dzdCtbXI7FO96CTm
    DiJOIAB1oZmml+6BAaWS0QEAKhHAABgAGFgv9AAIjAAA+4GVoNmht4EBwQDRAgAcEPwAGAeZQZ2R824DHXYXeXSFO3sA
    /uUK/8EF7Ufphx3R8aMxtbuV93X0ugdjQAB1oZmml+6BAaWS0QEAKhHAABgAGFgv9AAIjAAA+4IBK6Dgob6BAlgAcQIA
    HBDoABgHSAgiu/MNAGDCuoHMYP7mzt/EOInRPmMUTfMJ/0dX/xaC2Vs6OdzTdZnWbBgeE2CgAHWhmaaX7oEBpZLRAQAq
    EcAAGAAYWC/0AAiMAAD7ggHBoNmht4EC7gCRAgAcENwAGAAiQ/f0AFt1ms83zhsiAP7oOL/EOInRPmMUTfMFq3jZFSDS
    UD1vz2jztAB1oZmml+6BAaWS0QEAKhGQABgAGFgv9AAIjAAA+4ICWBxTu2uNu4uzgQC3hveBAfGB1A==
"""
_PAGE = "<!doctype html><title>Report</title><h1>Report</h1><p>Made by a script of the run.</p>"


def write_samples(folder: Path) -> list[Path]:
    """Text, code, data, tables, pictures, a page, Markdown, a notebook, sound, film and bytes.

    Returns:
        The files, sorted by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _contents().items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    _write_sound(folder / "beep.wav")
    return sorted(folder.iterdir())


def _contents() -> dict[str, str | bytes]:
    return {
        "train.log": "".join(f"epoch {i}: loss {1 / (i + 1):.4f}\n" for i in range(200)),
        "notes.txt": "Seed 7 diverges; lowered the learning rate.\n",
        "model.py": _CODE,
        "config.json": json.dumps({"model": {"layers": 12, "width": 512}, "amp": True}, indent=2),
        "config.yaml": "model:\n  layers: 12\n  width: 512\namp: true\n",
        "predictions.csv": "id,label,score\n"
        + "".join(f"{i},{'cat' if i % 3 else 'dog'},{i % 97 / 97:.3f}\n" for i in range(1_500)),
        "confusion.png": picture(160, 120),
        "diagram.svg": _DRAWING,
        "report.html": _PAGE,
        "report.md": _MARKDOWN,
        "explore.ipynb": json.dumps(_notebook()),
        "clip.webm": base64.b64decode("".join(_FILM.split())),
        "weights.bin": bytes(range(256)) * 64,
    }


def picture(width: int, height: int) -> bytes:
    """A PNG of a gradient, `width` by `height` pixels."""
    rows = b"".join(
        b"\0"
        + bytes(
            level
            for x in range(width)
            for level in (
                255 * x // width,
                255 * y // height,
                128 + 127 * ((x // 16 + y // 16) % 2),
            )
        )
        for y in range(height)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _notebook() -> dict[str, object]:
    output = {"output_type": "stream", "name": "stdout", "text": ["0.931\n"]}
    drawn = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": base64.b64encode(picture(160, 90)).decode()},
    }
    failed = {
        "output_type": "error",
        "ename": "ValueError",
        "evalue": "no such class",
        "traceback": [
            "\x1b[0;31mValueError\x1b[0m: no such class",
            "  in \x1b[1mplot\x1b[0m(7)",
        ],
    }
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "python"}},
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Exploration\n"]},
            {
                "cell_type": "code",
                "id": "b",
                "metadata": {},
                "execution_count": 1,
                "source": ["print(accuracy)\n"],
                "outputs": [output],
            },
            {
                "cell_type": "code",
                "id": "c",
                "metadata": {},
                "execution_count": 2,
                "source": ["plot(confusion)\n", "plot(7)\n"],
                "outputs": [drawn, failed],
            },
        ],
    }


def _write_sound(path: Path) -> None:
    rate = 8_000
    samples = [int(9_000 * math.sin(math.tau * 440 * i / rate)) for i in range(rate // 2)]
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
