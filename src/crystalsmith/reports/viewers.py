"""Drawings of a page that can be turned, where the extra ``web`` is installed; else they stand still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from crystalsmith.crystal import Crystal
from crystalsmith.reports.drawings import crystal_svg
from crystalsmith.runs.extras import install_command
from crystalsmith.viewing import Inline, inline_viewer, scene, viewer_assets, viewer_element

if TYPE_CHECKING:
    from ase import Atoms

MOST_ATOMS = 400
"""Atoms of a conventional cell above which a picture shows nothing and takes hundreds of kB."""


class Viewers:
    """What one page needs to show crystals.

    Attributes:
        inline: the viewer, which the page holds once; None where three.js is not installed.
    """

    def __init__(self) -> None:
        self.inline: Inline | None = inline_viewer() if viewer_assets().complete else None
        self._drawn = 0

    def picture(self, crystal: Crystal, prefix: str) -> Markup:
        """A crystal's conventional cell, with the still drawing in it for browsers that have no WebGL.

        Args:
            crystal: what to draw; nothing is drawn of more than ``MOST_ATOMS``.
            prefix: keeps the drawing's ids apart from those of others on the page.
        """
        if crystal.n_atoms_conventional > MOST_ATOMS:
            return Markup()
        return self.element(crystal, crystal_svg(crystal, prefix))

    def element(self, crystal: Crystal | Atoms, still: Markup) -> Markup:
        """A cell that can be turned, or the drawing that is given."""
        self._drawn += 1
        if self.inline is None:
            return still
        return Markup(viewer_element(scene(crystal), inside=str(still)))

    @property
    def policy(self) -> str:
        """Sources of scripts for the page's content security policy; empty where nothing is drawn."""
        return self.inline.policy if self.inline and self._drawn else ""

    @property
    def markup(self) -> Markup:
        """For the end of the page; empty where nothing is drawn."""
        return Markup(self.inline.markup) if self.inline and self._drawn else Markup()

    @property
    def note(self) -> str:
        """How to get drawings that can be turned; empty where they can."""
        if self.inline or not self._drawn:
            return ""
        return f"These drawings can be turned after: {install_command(['nicegui'])}"
