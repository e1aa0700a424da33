"""The last word on a candidate: a Rietveld refinement by rietx, and cells by its indexers.

rietx is optional; all that knows its interface stands here and in ``indexing``.
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.orbits import locate
from crystalsmith.errors import CrystalsmithError
from crystalsmith.runs.extras import missing
from crystalsmith.symmetry import cell_to_lattice, lattice_to_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crystalsmith.diffraction import Pattern, Radiation

MOST_POINTS = 6000
"""Of a pattern that is refined; finer ones are summed up over neighbouring points."""

SECONDS = 120.0
"""After which a refinement is given up."""

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_BACKGROUND = 6  # coefficients of the polynomial that is added to the estimated background
_B = (0.0, 6.0)  # Angstrom^2, of displacement parameters
_NUMBER = re.compile(r"phases\.0\.atoms\.(\d+)\.([xyz]|biso)")


@dataclass(frozen=True, eq=False)
class Refined:
    """A Rietveld refinement that came to an end.

    Attributes:
        crystal: refined.
        rwp, rp, rexp: profile R factors, background included, and the smallest that the counting allows.
        gof: rwp / rexp.
        r_bragg: of the intensities of reflections.
        shift: zero shift in degrees, or displacement of the sample in mm, by the geometry.
        two_theta, observed, calculated, background, sigma: (n,) the profile.
        ticks: (m,) degrees of the reflections.
        uncertainties: standard ones of the cell's lengths and angles, by name.
        displacements: B in Angstrom^2 of each site.
        status: of the optimiser.
        seconds: that it took.
    """

    crystal: Crystal
    rwp: float
    rp: float
    rexp: float
    gof: float
    r_bragg: float | None
    shift: float
    two_theta: np.ndarray
    observed: np.ndarray
    calculated: np.ndarray
    background: np.ndarray
    sigma: np.ndarray
    ticks: np.ndarray
    uncertainties: Mapping[str, float]
    displacements: tuple[float, ...]
    status: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types; ``from_dict`` reads it back, the profile in six digits."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        arrays = {name: [float(f"{x:.6g}") for x in getattr(self, name)] for name in _ARRAYS}
        return {
            "crystal": self.crystal.to_dict(),
            **plain,
            **arrays,
            "uncertainties": dict(self.uncertainties),
            "displacements": list(self.displacements),
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Refined:
        """Inverse of ``to_dict``.

        Raises:
            KeyError, TypeError, ValueError, CrystalsmithError: other data.
        """
        values: dict[str, Any] = {name: data[name] for name in _PLAIN}
        values |= {name: np.array(data[name], float) for name in _ARRAYS}
        return Refined(
            crystal=Crystal.from_dict(data["crystal"]),
            **values,
            uncertainties=dict(data["uncertainties"]),
            displacements=tuple(data["displacements"]),
        )


_PLAIN = ("rwp", "rp", "rexp", "gof", "r_bragg", "shift", "status", "seconds")
_ARRAYS = ("two_theta", "observed", "calculated", "background", "sigma", "ticks")


def installed() -> bool:
    """Whether rietx is."""
    return not missing(["rietx"])


def instrument_of(radiation: Radiation, width: float) -> Any:
    """rietx's instrument.

    Args:
        radiation: of the pattern; a tube stands before a flat plate, other X-rays before a capillary.
        width: full width at half maximum of the lines, degrees.
    """
    import rietx
    from rietx.schemas.instrument import EmissionLine

    tube = radiation.polarization > 0.5
    made = (
        rietx.Instrument.bragg_brentano(radiation="CuKa")
        if tube
        else rietx.Instrument.debye_scherrer(radiation.wavelength)
    )
    first = radiation.weights[0]
    made.source.lines = [
        EmissionLine(wavelength=float(x), weight=rietx.Parameter(value=float(w / first)))
        for x, w in zip(radiation.wavelengths, radiation.weights, strict=True)
    ]
    made.source.polarization.value = 1 / (1 + radiation.polarization)
    made.profile.w.value = (0.6 * width) ** 2
    made.profile.x.value = 0.5 * width
    return made


def data_of(pattern: Pattern, most: int = MOST_POINTS) -> Any:
    """rietx's pattern: the same points, or sums over neighbours where there are too many."""
    import rietx

    x, y, s = pattern.two_theta, pattern.intensity, pattern.sigma
    if (n := -(-len(x) // most)) > 1:
        whole = len(x) // n * n
        x, y = (v[:whole].reshape(-1, n).mean(1) for v in (x, y))
        s = np.sqrt((s[:whole].reshape(-1, n) ** 2).sum(1)) / n
    return rietx.PatternData(two_theta=x.tolist(), intensity=y.tolist(), sigma=s.tolist())


@contextmanager
def quietly(seconds: float) -> Iterator[Any]:
    """Within, rietx says nothing; yields a token that stops its work after so many seconds."""
    import rietx

    token = rietx.CancelToken()
    timer = Timer(seconds, token.cancel)
    timer.daemon = True
    logger = logging.getLogger("rietx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    timer.start()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield token
    finally:
        timer.cancel()
        logger.setLevel(before)


def rietveld(
    crystal: Crystal,
    pattern: Pattern,
    background: np.ndarray,
    width: float,
    shift: float = 0.0,
    seconds: float = SECONDS,
) -> Refined | str:
    """Refine a crystal: scale, background, shift, cell, widths, coordinates, displacement parameters.

    Args:
        crystal: near enough to the right one that its lines overlap those of the pattern.
        pattern: as measured.
        background: (N,) an estimate at the points of the pattern.
        width: full width at half maximum of the lines, degrees.
        shift: zero shift in degrees, to begin with.
        seconds: after which it is given up.

    Returns:
        The refinement, or why there is none, in a few words.
    """
    import rietx
    from rietx.schemas.instrument import BackgroundChebyshev, BackgroundFixedPlusChebyshev

    began = time.monotonic()
    instrument = instrument_of(pattern.radiation, width)
    instrument.zero_shift.value = float(shift)
    flat = BackgroundChebyshev(coefficients=[rietx.Parameter(value=0.0) for _ in range(_BACKGROUND)])
    instrument.background = BackgroundFixedPlusChebyshev(
        fixed_two_theta=pattern.two_theta.tolist(),
        fixed_intensity=np.asarray(background, float).tolist(),
        chebyshev=flat,
    )
    try:
        with quietly(seconds) as token:
            structure = _structure(crystal)
            for atom in structure.phases[0].atoms:
                atom.biso.min, atom.biso.max = _B
            run = rietx.Refinement(structure, instrument, history=False)
            result = run.fit(data_of(pattern), plan=_plan(), telemetry=False, cancel=token)
            refined = _crystal(crystal, run.fitted_structure)
    except rietx.RefinementCancelled:
        return f"not finished after {seconds:.0f} s"
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, CrystalsmithError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
    if isinstance(refined, str):
        return refined
    found, agreement = result.statistics, result.phase_agreement
    rows = {row.path: row for row in result.parameters}
    return Refined(
        crystal=refined,
        rwp=float(found.rwp),
        rp=float(found.rp),
        rexp=float(found.rexp),
        gof=float(found.gof),
        r_bragg=float(agreement[0].r_bragg) if agreement and agreement[0].r_bragg is not None else None,
        shift=float(rows["instrument.zero_shift"].value) if "instrument.zero_shift" in rows else 0.0,
        two_theta=np.array(result.two_theta),
        observed=np.array(result.y_obs),
        calculated=np.array(result.y_calc),
        background=np.array(result.y_background),
        sigma=np.array(result.sigma),
        ticks=_ticks(result.ticks),
        uncertainties=_uncertainties(rows),
        displacements=_displacements(rows, len(refined.sites)),
        status=str(result.status),
        seconds=round(time.monotonic() - began, 3),
    )


def _plan() -> Any:
    """The turn-on order: what shifts lines before what shapes them, and those before intensities."""
    from rietx import RefinementPlan, Stage

    return RefinementPlan(
        stages=[
            Stage("scale", ["phases.*.scale", "instrument.background.*"], max_iter=30),
            Stage("zero", ["instrument.zero_shift"], max_iter=30),
            Stage("cell", ["phases.*.cell.*"], max_iter=30),
            Stage("width", ["instrument.profile.w", "instrument.profile.x"], max_iter=30),
            Stage("profile", ["instrument.profile.u", "instrument.profile.y"], max_iter=30),
            Stage("coordinates", ["phases.*.atoms.*.dof.*"], max_iter=40),
            Stage("displacements", ["phases.*.atoms.*.biso"], max_iter=40),
        ]
    )


def _structure(crystal: Crystal) -> Any:
    """rietx's structure of a crystal, by way of a CIF."""
    import os
    import tempfile

    import rietx

    handle, path = tempfile.mkstemp(suffix=".cif")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as f:
            f.write(crystal.to_cif())
        return rietx.Structure.from_cif(path)
    finally:
        os.unlink(path)


def _crystal(start: Crystal, structure: Any) -> Crystal | str:
    """The refined crystal with the sites of the one that it began with."""
    phase = structure.phases[0]
    values = np.array([getattr(phase.cell, name).value for name in _CELL], float)
    if not np.isfinite(values).all() or values.min() <= 0:
        return "the cell went astray"
    lattice = cell_to_lattice(start.space_group, values)
    cell = tuple(float(x) for x in lattice_to_cell(lattice))
    sites = []
    for site, position, atom in zip(start.sites, start.positions_of_sites, phase.atoms, strict=True):
        point = np.array([atom.x.value, atom.y.value, atom.z.value], float)
        if not np.isfinite(point).all():
            return "a coordinate went astray"
        free, _ = locate(position, point, lattice)
        sites.append(Site(site.element, site.letter, tuple(float(x) for x in free)))
    return Crystal(start.space_group, cell, tuple(sites))


def _ticks(ticks: Any) -> np.ndarray:
    """Angles of the reflections of the first line, whatever they are sorted by."""
    if isinstance(ticks, Mapping):
        ticks = [x for values in ticks.values() for x in values]
    flat: list[float] = []
    for one in ticks:
        flat += [float(x) for x in one] if isinstance(one, Sequence) else [float(one)]
    return np.unique(np.round(flat, 4))


def _uncertainties(rows: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name in _CELL:
        error = getattr(rows.get(f"phases.0.cell.{name}"), "stderr", None)
        if error is not None and np.isfinite(error):
            found[name] = float(error)
    return found


def _displacements(rows: Mapping[str, Any], sites: int) -> tuple[float, ...]:
    """B of each site; NaN-free, 0.5 where it was not refined."""
    values = [0.5] * sites
    for path, row in rows.items():
        match = _NUMBER.fullmatch(path)
        if match and match[2] == "biso" and int(match[1]) < sites:
            values[int(match[1])] = float(row.value)
    return tuple(values)
