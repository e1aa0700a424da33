"""Figures that a notebook shows as they are, without pyplot and the windows and state that it keeps."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SHARPNESS = 2
"""Pixels of the picture, along each side, to one of the page: screens of today show them."""


class ShownFigure(Figure):
    """A figure, drawn without a window system, that is shown where it is the last value of a cell.

    Jupyter shows other figures only after pyplot was imported.
    """

    def __init__(self, *words: object, **options: object) -> None:
        super().__init__(*words, **options)  # type: ignore[arg-type]
        FigureCanvasAgg(self)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (round(float(inches) * self.dpi) for inches in self.get_size_inches())
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=SHARPNESS * self.dpi)
        return picture.getvalue(), {"width": width, "height": height}
