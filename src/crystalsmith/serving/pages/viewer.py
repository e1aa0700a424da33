"""A rotatable crystal on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import app
from nicegui.element import Element

FOLDER = "/assets/viewing"
"""Where the viewer's scripts are served."""


def register(service: object) -> None:
    """Serve the viewer's scripts."""
    from crystalsmith.viewing import viewer_assets

    for name, path in viewer_assets().files.items():
        app.add_static_file(local_file=path, url_path=f"{FOLDER}/{name}")


class CrystalView(Element, component="cs_crystal.js"):
    """Draws a scene of ``viewing.scene``.

    Args:
        scene: of the crystal.
        height: in pixels.
        controls: with the bar for supercell, bonds, polyhedra and labels.
        legend: with the colours of the elements.
        link: views of one page with the same name here turn together.
    """

    def __init__(
        self,
        scene: Mapping[str, Any],
        *,
        height: int = 420,
        controls: bool = True,
        legend: bool = True,
        link: str = "",
    ) -> None:
        super().__init__()
        options = {"controls": controls, "legend": legend}
        self._props |= {
            "src": f"{FOLDER}/viewer.js",
            "scene": dict(scene),
            "height": height,
            "options": options,
            "link": link,
        }

    def show(self, scene: Mapping[str, Any]) -> None:
        """Another crystal."""
        self._props["scene"] = dict(scene)

    def play(self, frames: Sequence[Mapping[str, Any]]) -> None:
        """How it came to be, scene after scene."""
        self.run_method("play", [dict(frame) for frame in frames])
