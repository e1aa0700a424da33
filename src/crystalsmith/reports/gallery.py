"""Crystals beside each other on one page, as drawings that can be turned."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from crystalsmith.pictures.cell_svg import cell_svg
from crystalsmith.reports.page import render
from crystalsmith.reports.viewers import Viewers
from crystalsmith.reports.words import formula_html, group_html
from crystalsmith.runs.atomic import write_whole, writing

if TYPE_CHECKING:
    from crystalsmith.pictures.sheet import Panel


MOST_TURNED = 500
"""Crystals on one page; with more it no longer opens at once."""

logger = logging.getLogger(__name__)


def write_gallery(panels: Sequence[Panel], path: Path, *, title: str = "") -> Path:
    """Write a page of the first ``MOST_TURNED`` crystals.

    Args:
        panels: the crystals with their labels.
        path: the page.
        title: its heading.

    Raises:
        StructureError: a cell without volume.
        OutputError: the page cannot be written.
    """
    if len(panels) > MOST_TURNED:
        logger.warning("%s shows the first %d crystals only", path, MOST_TURNED)
    panels = panels[:MOST_TURNED]
    viewers = Viewers()
    cards = []
    for k, panel in enumerate(panels):
        crystal = panel.crystal
        still = Markup(cell_svg(panel.atoms, f"g{k}-", title=panel.label))
        picture = viewers.element(crystal or panel.atoms, still)
        cards.append(
            {
                "picture": picture,
                "formula": "" if crystal is None else formula_html(crystal.formula),
                "group": "" if crystal is None else group_html(crystal.space_group),
                "name": panel.name or panel.label,
            }
        )
    text = render(
        Path(__file__).with_name("gallery.html"),
        title=title or f"{len(panels)} crystal{'' if len(panels) == 1 else 's'}",
        subtitle="",
        viewers=viewers,
        cards=cards,
    )
    with writing(path):
        write_whole(path, text)
    return path
