"""Candidates on the cells that they are tried with, and what fits made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.solving.cells import Cell, on_cell
from crystalsmith.solving.kept import Kept

if TYPE_CHECKING:
    from pathlib import Path

    from crystalsmith.generation.journal import Entry
    from crystalsmith.solving.settings import SolveSettings

OWN = "generated"
"""Source of the cell of a candidate that keeps its own."""

OFF = 0.02
"""Relative difference of lengths up to which a crystal with elements exchanged is on a cell: the symmetry of
their positions alone is found within a tolerance."""


@dataclass(frozen=True)
class Trial:
    """One candidate with the cell that it is tried with.

    Attributes:
        key: names it within the run: order and index, and the number of the cell where that is not its own.
        entry: the candidate as it was made.
        figure: what judges make of it without the pattern, log-odds within its order; None where nobody
            judged.
        crystal: on the cell.
        cell: where the cell is from: ``generated``, ``given``, ``indexed`` or ``found``.
        exchanged: elements that scatter alike were dealt out anew (``twins``).
    """

    key: str
    entry: Entry
    figure: float | None
    crystal: Crystal
    cell: str = OWN
    exchanged: bool = False

    @property
    def lowered_from(self) -> str:
        """Key of the trial that this one is, in a subgroup of its group; empty if it is none."""
        return self.key.rpartition("/")[0]


def trials_of(made: Iterable[tuple[Entry, float | None]], cells: Sequence[Cell], given: bool) -> list[Trial]:
    """Candidates on their own cells, and on all others that they can be strained to.

    Args:
        made: sound candidates with their figures.
        cells: given or indexed.
        given: the cell is given, so that candidates are not tried on cells of their own.
    """
    found: list[Trial] = []
    seen: set[Crystal] = set()
    for entry, figure in made:
        crystal = entry.crystal
        assert crystal is not None
        options: list[tuple[str, Crystal | None, str]] = []
        if not given:
            options.append((entry.name, crystal, OWN))
        for number, cell in enumerate(cells, 1):
            options.append((f"{entry.name}@{number}", on_cell(crystal, cell), cell.source))
        for key, strained, source in options:
            # Prototypes of one assignment often come out the same on a cell that is fixed.
            if strained is not None and strained not in seen:
                seen.add(strained)
                found.append(Trial(key, entry, figure, strained, source))
    return found


def allowed(trials: Iterable[Trial], settings: SolveSettings, given: Sequence[Cell]) -> list[Trial]:
    """Trials made of others that go with what is known.

    Args:
        trials: in whatever groups, those with elements exchanged on whatever cells.
        settings: with the groups that are possible.
        given: the cell, if it is given.

    Returns:
        Those in groups that are possible, brought onto the cell that is given where they can be.
    """
    found = []
    for trial in trials:
        crystal: Crystal | None = trial.crystal
        if trial.exchanged and given:
            crystal = on_cell(trial.crystal, given[0], OFF)
        if crystal is not None and settings.allow(crystal.space_group):
            found.append(replace(trial, crystal=crystal))
    return found


def chosen(order: Sequence[Trial], best: int, likeliest: int) -> dict[str, Trial]:
    """The first ``best`` of trials and the first ``likeliest`` by the generator's figure, by key."""
    likely = sorted(order, key=lambda t: -(t.figure or 0.0))
    return {t.key: t for t in (*order[:best], *likely[:likeliest])}


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit made of one trial.

    Attributes:
        crystal: with the cell, and after a refinement the coordinates, that fit best.
        stage: ``afar``, ``fitted`` or ``refined``; see ``diffraction.fit.Fit``, as for the figures.
        misfit: what of the pattern is not explained, 0 to 1.
        rwp, overlap, missing, foreign: figures of the fit; None from afar.
        moved: largest way of an atom by the refinement, Angstrom.
        stretch: greatest relative change of a length of the cell as it was tried.
        zero, displacement, width, texture: degrees (three of them) and March's r.
        likely: log-odds of the network's own judgement of a refined crystal; None where nobody asked.
        axis: plane by which crystallites lie.
        values: parameters of the fit, with which a refinement begins.
        profile: (M,) calculated intensities without background at the points of the prepared pattern; None
            where nobody kept them.
    """

    crystal: Crystal
    stage: str
    misfit: float
    rwp: float | None = None
    overlap: float | None = None
    missing: float | None = None
    foreign: float | None = None
    moved: float = 0.0
    stretch: float = 0.0
    zero: float = 0.0
    displacement: float = 0.0
    width: float = 0.1
    texture: float = 1.0
    likely: float | None = None
    axis: tuple[int, ...] = (0, 0, 1)
    values: tuple[float, ...] = field(default=(), repr=False)
    profile: np.ndarray | None = field(default=None, repr=False)

    @property
    def near(self) -> bool:
        """Whether it was fitted to the pattern itself, and not to a blurred one only."""
        return self.rwp is not None

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types; ``from_dict`` reads it back, the profile in five digits."""
        data: dict[str, Any] = {"crystal": self.crystal.to_dict(), "stage": self.stage}
        data |= {name: getattr(self, name) for name in _NUMBERS}
        data |= {"axis": list(self.axis), "values": list(self.values)}
        if self.profile is not None:
            data["profile"] = [float(f"{x:.5g}") for x in self.profile]
        return data

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Fitted:
        """Inverse of ``to_dict``.

        Raises:
            KeyError, TypeError, ValueError, CrystalsmithError: other data.
        """
        numbers = {n: None if data.get(n) is None else float(data[n]) for n in _NUMBERS}
        profile = None if data.get("profile") is None else np.array(data["profile"], float)
        return Fitted(
            Crystal.from_dict(data["crystal"]),
            str(data["stage"]),
            **numbers,  # type: ignore[arg-type]
            axis=tuple(int(x) for x in data["axis"]),
            values=tuple(float(x) for x in data["values"]),
            profile=profile,
        )


_NUMBERS = (
    *("misfit", "rwp", "overlap", "missing", "foreign", "moved", "stretch"),
    *("zero", "displacement", "width", "texture", "likely"),
)


def fits_in(path: Path) -> Kept[Fitted]:
    """Fits of a run on disk, by the keys of their trials.

    Raises:
        OutputError: a damaged line, or the file cannot be read.
    """
    return Kept(path, "fit", Fitted.from_dict, Fitted.to_dict)
