"""A plot on a page: all that plotly draws comes through here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui


class Plot(ui.plotly, component="cs_plot.js"):
    """Draws a figure as wide as its place.

    NiceGUI's own element asks plotly to fit plots that are hidden, or that were replaced before plotly's
    script had come; plotly calls that an error, which nobody can catch. This one does not ask. Of plotly's
    events it tells ``plotly_click`` only, with ``points`` of ``id``, ``x`` and ``y``.

    Args:
        figure: plotly's JSON: ``data``, ``layout`` and ``config``.
        words: what a screen reader says of it.
    """

    def __init__(self, figure: Mapping[str, Any], words: str = "") -> None:
        super().__init__(dict(figure))
        self.classes("plot")
        self.props["role"] = "img"
        if words:
            self.say(words)

    def say(self, words: str) -> None:
        """Change what a screen reader says."""
        self.props["aria-label"] = words
