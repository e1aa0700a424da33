"""The one interactive viewer of crystals, of pages, reports and notebooks.

``scene`` makes plain JSON of a crystal; ``viewer.js`` draws it with three.js, which is taken from
an installed package and never from a network.
"""

from crystalsmith.viewing.html import (
    Assets,
    Inline,
    inline_viewer,
    viewer_assets,
    viewer_element,
    viewer_page,
)
from crystalsmith.viewing.scene import Scene, film, scene

__all__ = [
    "Assets",
    "Inline",
    "Scene",
    "film",
    "inline_viewer",
    "scene",
    "viewer_assets",
    "viewer_element",
    "viewer_page",
]
