"""The viewer as part of a page that is one file and asks nothing of a network.

The modules of the viewer are put into the page once, packed, with the script that unpacks them; three.js is
read from the installed nicegui wheel. A page's content security policy allows that one script by its hash.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from crystalsmith.runs.extras import need
from crystalsmith.viewing.scene import Scene

HERE = Path(__file__).parent
MODULES = ("contents.js", "drawing.js", "marks.js", "viewer.js")
"""Our own modules of the viewer; each imports only those that stand before it, and ``three.js``."""

_THREE = Path("elements", "scene", "dist", "index.js")  # in nicegui: three and its controls as one ES module


@dataclass(frozen=True)
class Assets:
    """The modules of the viewer, which import each other by the names here as from one folder."""

    files: dict[str, Path]

    @property
    def complete(self) -> bool:
        """Whether three.js is there: with the extra ``web``."""
        return "three.js" in self.files


@dataclass(frozen=True)
class Inline:
    """What a page holds once so that the viewers in it come alive."""

    markup: str
    """Goes to the end of the body."""
    policy: str
    """Sources for ``script-src`` of the page's content security policy."""


def viewer_assets() -> Assets:
    """The files to serve from one folder; a page imports ``show`` from its ``viewer.js``."""
    found = importlib.util.find_spec("nicegui")
    files = {name: HERE / name for name in MODULES}
    if found is not None and found.origin is not None:
        three = Path(found.origin).parent / _THREE
        if three.is_file():
            files = {"three.js": three, **files}
    return Assets(files)


@lru_cache
def inline_viewer() -> Inline:
    """The viewer to embed in a page.

    Raises:
        ConfigError: without the extra ``web``.
    """
    assets = viewer_assets()
    if not assets.complete:
        need("a rotatable drawing", "nicegui")
    blocks = [
        f'<script type="application/gzip" data-module="{name}">{_packed(path)}</script>'
        for name, path in assets.files.items()
    ]
    boot = (HERE / "boot.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(boot.encode()).digest()).decode()
    return Inline("\n".join([*blocks, f'<script type="module">{boot}</script>']), f"'sha256-{digest}' blob:")


def _packed(path: Path) -> str:
    text = re.sub(r"//# sourceMappingURL=.*", "", path.read_text(encoding="utf-8"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def viewer_element(
    scenes: Scene | Sequence[Scene],
    *,
    height: int | None = None,
    style: Mapping[str, Any] | None = None,
    inside: str = "",
    **options: Any,
) -> str:
    """An element in which the viewer of ``inline_viewer`` shows a crystal.

    Args:
        scenes: of one crystal, or the frames of a film.
        height: in pixels; without it the page's style gives the element's.
        style: as ``setStyle`` of the viewer takes it: ``{"polyhedra": True, "supercell": [2, 2, 1]}``.
        inside: HTML that stands there where no viewer can be: an SVG, or words.
        options: of the viewer: ``controls``, ``legend``, ``fps``, ``loop``.
    """
    if style:
        options["style"] = dict(style)
    if height is not None:
        options["height"] = height
    attribute = escape(json.dumps(options))
    # A script block ends at the first "</script", wherever it stands.
    data = json.dumps(scenes, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return (
        f'<div class="crystal" data-crystal data-options="{attribute}">'
        f'<script type="application/json">{data}</script>{inside}</div>'
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
img-src data:; script-src {policy}">
<title>{title}</title>
<style>
html, body {{ height: 100%; margin: 0; background: #ffffff; }}
.crystal {{ position: relative; height: 100%; min-height: 12rem; }}
noscript {{ font: 15px system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{ html, body {{ background: #16181d; color: #e4e6eb; }} }}
</style>
</head>
<body>
{body}
{viewer}
</body>
</html>
"""


def viewer_page(scenes: Scene | Sequence[Scene], *, title: str = "", **options: Any) -> str:
    """A whole page with one viewer that fills it.

    Args:
        scenes: of one crystal, or the frames of a film.
        title: of the page; the formula where empty.
        options: of ``viewer_element``.

    Raises:
        ConfigError: without the extra ``web``.
    """
    viewer = inline_viewer()
    first = scenes if isinstance(scenes, Mapping) else scenes[0]
    words = "<noscript>This drawing needs scripts.</noscript>"
    return _PAGE.format(
        policy=viewer.policy,
        title=escape(title or str(first["formula"])),
        body=viewer_element(scenes, inside=words, **options),
        viewer=viewer.markup,
    )
