"""What all pictures share that matplotlib draws: the figure itself, and texts that are only texts.

Names and values are text: `$` begins no formula, nothing steers anything. Colours keep apart for
colour-blind eyes, and no fact is told by colour alone. No global state of matplotlib's is touched.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from podstack.tables import cell, cut

GREY = "#808890"
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}  # of every text that a user wrote
_LONGEST = 28  # characters of a name or a label


class Picture(Figure):
    """A figure that shows in a notebook whatever backend is on. `savefig` writes it."""

    def __init__(self, width: float = 7.0, height: float = 4.0) -> None:
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def label_of(text: object, longest: int = _LONGEST) -> str:
    return cut(cell(text), longest, keep_end=True)


def nothing(text: str) -> Picture:
    made = Picture(7.0, 1.6)
    made.text(0.5, 0.5, text, ha="center", va="center", color=GREY, wrap=True, **PLAIN)
    return made


def plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
