"""Drawing crystals on a contact sheet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from crystalsmith.crystal import Crystal
from crystalsmith.errors import OutputError, StructureError
from crystalsmith.pictures.contact_sheet import contact_sheet
from crystalsmith.runs.atomic import writing

logger = logging.getLogger(__name__)

MOST = 60
"""Crystals on one sheet; more cannot be told apart."""


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet: the cell to draw and what to write under it.

    Attributes:
        atoms: the cell.
        label: formula, space group and name.
        crystal: None where no symmetry is known.
        name: of the crystal alone.
    """

    atoms: Atoms
    label: str
    crystal: Crystal | None = None
    name: str = ""

    @classmethod
    def of_crystal(cls, crystal: Crystal, name: str) -> Panel:
        """The conventional cell, labelled with formula, space group and a name."""
        label = f"{crystal.formula} {crystal.group.symbol} ({crystal.space_group})\n{name}"
        return cls(crystal.to_atoms(primitive=False), label, crystal, name)


def draw_sheet(
    panels: Sequence[Panel], path: Path, *, title: str | None = None, columns: int | None = None
) -> Path:
    """Draw a sheet of the first ``MOST`` panels.

    Raises:
        StructureError: no panels, or one that cannot be drawn.
        OutputError: a format that is not known, or the file cannot be written.
    """
    if len(panels) > MOST:
        logger.warning("%s shows the first %d crystals only", path, MOST)
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise OutputError(f"cannot draw {path}: the name must end in .png, .svg or .pdf")
    shown = panels[:MOST]
    with writing(path):
        try:
            return contact_sheet(
                [p.atoms for p in shown], path, labels=[p.label for p in shown], title=title, columns=columns
            )
        except ValueError as error:
            raise StructureError(f"cannot draw {path}: {error}") from None
