"""Filling in a page."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.reports import words

if TYPE_CHECKING:
    from jinja2 import Environment

    from crystalsmith.reports.viewers import Viewers

HERE = Path(__file__).parent


def render(template: Path, *, title: str, viewers: Viewers | None = None, **context: Any) -> str:
    """A whole page.

    Everything put in is escaped unless it is ``markupsafe.Markup``; a name that the template asks for and the
    context lacks is an error.

    Args:
        template: file that begins with ``{% extends "base.html" %}``.
        title: of the page, also its heading.
        viewers: where crystals of the page can be turned.
        context: what else the template asks for, such as ``subtitle`` and ``notes`` of the base page.
    """
    page = _environment(template.parent).get_template(template.name)
    text = page.render(title=title, version=__version__, viewers=viewers, **context)
    # An id may hold what no UTF-8 file can: half a surrogate pair.
    return text.encode("utf-8", "replace").decode("utf-8")


@lru_cache
def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "formula": words.formula_html,
        "group": words.group_html,
        "lattice": words.lattice_html,
        "number": words.number,
        "duration": words.duration,
    }
    environment.globals["site_rows"] = words.site_rows
    environment.globals["NOTHING"] = words.NOTHING
    return environment
