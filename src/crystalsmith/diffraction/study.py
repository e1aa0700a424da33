"""Files of crystals, patterns and peaks side by side: what each is, and how well it agrees with the first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import named_crystals
from crystalsmith.crystal.io.read import warn_first
from crystalsmith.diffraction.agreement import Agreement, Curve, compare
from crystalsmith.diffraction.background import Prepared, prepared
from crystalsmith.diffraction.fit import Fit, FitSettings, fit_candidates, observed_of, refine_candidates
from crystalsmith.diffraction.listing import Line, lines_of, peaks_in, reflections, usual_range
from crystalsmith.diffraction.pattern import Pattern, PeakList
from crystalsmith.diffraction.peaks import PeakWidth
from crystalsmith.diffraction.radiation import Radiation, radiation
from crystalsmith.diffraction.readers import is_pattern_file, read_pattern
from crystalsmith.diffraction.readers.raw import Axis
from crystalsmith.diffraction.simulation import Optics, simulate
from crystalsmith.errors import PatternError
from crystalsmith.runs.addresses import is_server
from crystalsmith.runs.pool import Failed

FITS = ("no", "cell", "sites")
"""What of a crystal may be fitted to a measured pattern."""

DEFAULT = "CuKa"
"""X-rays of crystals where nobody names any."""

_FITTED = 40  # crystals, the best from afar, that are fitted to the pattern as it is

LISTED = 0.15
"""Full width in degrees by which a list of peaks is drawn, for Cu K-alpha."""


@dataclass(frozen=True)
class View:
    """How crystals are seen, and how files are read.

    Attributes:
        radiation: X-rays in place of what files say; for crystals "CuKa" if None.
        two_theta: first and last angle in degrees; None for what is measured, or is usual.
        step: of simulated patterns, in degrees.
        width: full width at half maximum of simulated peaks, in degrees.
        axis: of files of columns that do not say it.
        scan: of files that hold several.
        fit: one of ``FITS``.

    Raises:
        PatternError: an impossible value.
    """

    radiation: Radiation | None = None
    two_theta: tuple[float, float] | None = None
    step: float = 0.02
    width: float = 0.1
    axis: Axis | None = None
    scan: int | None = None
    fit: str = "cell"

    def __post_init__(self) -> None:
        if self.two_theta is not None and not 0 <= self.two_theta[0] < self.two_theta[1] < 180:
            low, high = self.two_theta
            raise PatternError(f"there is no pattern from {low:g} to {high:g} degrees of 2 theta")
        if not (0 < self.step <= 1 and 0 < self.width <= 10):
            raise PatternError("steps lie between 0 and 1 degree, widths between 0 and 10")
        if self.fit not in FITS:
            raise PatternError(f"a fit is {', '.join(FITS[:-1])} or {FITS[-1]}, not {self.fit!r}")


@dataclass(frozen=True, eq=False)
class Subject:
    """One crystal, pattern or list of peaks.

    Attributes:
        name: file, or the name of a crystal in it.
        crystal: if it is one.
        pattern: measured, or simulated of the crystal or the list.
        ready: the measured pattern (or list) made ready; None of a crystal.
        lines: its reflections or peaks.
        is_list: whether it is a list of peaks.
    """

    name: str
    crystal: Crystal | None
    pattern: Pattern
    ready: Prepared | None
    lines: list[Line]
    is_list: bool = False

    @property
    def kind(self) -> str:
        """In a word."""
        return "crystal" if self.crystal is not None else "list of peaks" if self.is_list else "pattern"

    def curve(self, width: PeakWidth) -> Curve:
        """To be compared; ``width`` is that of simulated peaks."""
        if self.ready is not None:
            return Curve.measured(self.ready)
        return Curve.calculated(self.pattern, width)

    def to_dict(self) -> dict[str, Any]:
        """Plain data of what it is."""
        p = self.pattern
        facts: dict[str, Any] = {"name": self.name, "kind": self.kind, "radiation": p.radiation.name}
        facts |= {"wavelengths": list(p.radiation.wavelengths)}
        facts |= {"range": [round(float(x), 4) for x in p.two_theta[[0, -1]]]}
        if self.crystal is not None:
            facts |= {"formula": self.crystal.formula, "space_group": self.crystal.space_group}
        if self.ready is not None:
            facts |= {"points": len(p.two_theta), "width": round(float(self.ready.width(40.0)), 4)}
            facts |= {"contrast": round(self.ready.contrast, 1), "notes": list(self.ready.notes)}
        return facts | {"lines": [line.to_dict() for line in self.lines]}


@dataclass(frozen=True, eq=False)
class Comparison:
    """One subject against the first.

    Attributes:
        subject: the other one.
        plain: as they are, zero point and scale apart.
        stretched: with one factor of all lengths fitted as well; None where neither is a crystal.
        fit: of a crystal to a measured pattern; None for others, or where none was wanted.
    """

    subject: Subject
    plain: Agreement
    stretched: Agreement | None = None
    fit: Fit | None = None

    @property
    def key(self) -> tuple[float, float]:
        """Sorts comparisons, the best agreement first."""
        if self.fit is not None and math.isfinite(self.fit.misfit):
            return self.fit.rank_key[0], self.fit.misfit
        return 0.0, -self.plain.similarity

    def to_dict(self) -> dict[str, Any]:
        """Plain data of the figures."""
        facts: dict[str, Any] = {"name": self.subject.name, "plain": self.plain.to_dict()}
        if self.stretched is not None:
            facts["stretched"] = self.stretched.to_dict()
        if (fit := self.fit) is not None:
            facts["fit"] = {
                "stage": fit.stage,
                **{k: getattr(fit, k) for k in ("misfit", "rwp", "overlap", "missing", "foreign", "moved")},
                "cell": [round(x, 6) for x in fit.crystal.cell],
                "zero": fit.optics.zero,
                "width": fit.optics.width,
                "texture": fit.optics.texture,
            }
        return facts


@dataclass(frozen=True, eq=False)
class Study:
    """All subjects; the first is what the others are compared with.

    Attributes:
        subjects: in order.
        comparisons: of the others, the best first.
        width: of simulated peaks.
    """

    subjects: list[Subject]
    comparisons: list[Comparison]
    width: PeakWidth

    @property
    def first(self) -> Subject:
        """The reference."""
        return self.subjects[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        facts: dict[str, Any] = {"subjects": [s.to_dict() for s in self.subjects]}
        if self.comparisons:
            facts |= {"reference": self.first.name, "comparisons": [c.to_dict() for c in self.comparisons]}
        return facts


def study(files: Sequence[str | Path], view: View = View()) -> Study:
    """Read files, simulate crystals, and compare all with the first pattern, or else with the first crystal.

    Raises:
        PatternError: a pattern that cannot be read, made ready or compared.
        DataError: a file without crystals.
    """
    measured = [(f, _measured(f, view)) for f in files if is_pattern_file(f)]
    crystals = _crystals([f for f in files if not is_pattern_file(f)])
    if not measured and not crystals:
        raise PatternError("there is nothing to simulate or compare: give files of crystals or patterns")
    ready = [subject for _, subject in measured]
    lines = view.radiation or (ready[0].pattern.radiation if ready else radiation(DEFAULT))
    width = PeakWidth(view.width**2)
    if ready:
        # Crystals are seen as the instrument of the first pattern would see them.
        assert ready[0].ready is not None
        width = ready[0].ready.width
    seen = view.two_theta or (_range_of(ready[0]) if ready else usual_range(lines))
    subjects = [*ready, *(_simulated(n, c, lines, seen, view.step, width, ready) for n, c in crystals)]
    return Study(subjects, _compared(subjects, width, view), width)


def _measured(file: str | Path, view: View) -> Subject:
    found = read_pattern(file, view.radiation, view.axis, view.scan)
    name = Path(file).name
    if isinstance(found, PeakList):
        width = LISTED * found.radiation.wavelength / 1.54
        pattern = found.pattern(width, width / 6)
        if view.two_theta is not None:
            pattern = pattern.between(*view.two_theta)
        return Subject(name, None, pattern, prepared(pattern, trust_radiation=True), lines_of(found), True)
    pattern = found if view.two_theta is None else found.between(*view.two_theta)
    ready = prepared(pattern, trust_radiation=view.radiation is not None)
    return Subject(name, None, ready.pattern, ready, peaks_in(ready))


def _crystals(files: Sequence[str | Path]) -> list[tuple[str, Crystal]]:
    """All crystals of files; those that cannot be read are warned of."""
    found: list[tuple[str, Crystal]] = []
    failed: list[str] = []
    for file in files:
        if not (is_server(file) or Path(file).exists()):
            raise PatternError(f"{file} does not exist; give a file of crystals or of a pattern")
        for name, crystal in named_crystals(str(file)).items():
            if isinstance(crystal, Failed):
                failed.append(f"{name} is left out: {crystal.reason}")
            else:
                found.append((name, crystal))
    warn_first(failed)
    return found


def _range_of(subject: Subject) -> tuple[float, float]:
    return float(subject.pattern.two_theta[0]), float(subject.pattern.two_theta[-1])


def _simulated(
    name: str,
    crystal: Crystal,
    lines: Radiation,
    seen: tuple[float, float],
    step: float,
    width: PeakWidth,
    measured: Sequence[Subject],
) -> Subject:
    mixing = 0.5
    if measured and measured[0].ready is not None:
        mixing = measured[0].ready.mixing
    optics = Optics(math.sqrt(width.constant), math.sqrt(width.slope), mixing)
    step = min(step, math.sqrt(width.constant) / 4)
    pattern = replace(simulate(crystal, lines, seen, step, optics), name=name)
    return Subject(name, crystal, pattern, None, reflections(crystal, lines, seen))


def _compared(subjects: list[Subject], width: PeakWidth, view: View) -> list[Comparison]:
    if len(subjects) < 2:
        return []
    first, others = subjects[0], subjects[1:]
    curve = first.curve(width)
    fits = _fitted(first, others, view)
    found = []
    for k, other in enumerate(others):
        second = other.curve(width)
        plain = compare(curve, second)
        crystals = first.crystal is not None or other.crystal is not None
        stretched = compare(curve, second, stretched=True) if crystals else None
        found.append(Comparison(other, plain, stretched, fits.get(k)))
    return sorted(found, key=lambda c: c.key)


def _fitted(first: Subject, others: Sequence[Subject], view: View) -> dict[int, Fit]:
    """Fits of all crystals to the first pattern, by place among the others."""
    places = [k for k, other in enumerate(others) if other.crystal is not None]
    if first.ready is None or not places or view.fit == "no":
        return {}
    crystals = [c for k in places if (c := others[k].crystal) is not None]
    settings = FitSettings(fitted=_FITTED)
    observed = observed_of(first.ready)
    fits = fit_candidates(crystals, observed, settings)
    if view.fit == "sites":
        fits = refine_candidates(fits, observed, settings)
    return dict(zip(places, fits, strict=True))


def fitted_curve(study: Study, comparison: Comparison) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Angles, observed and calculated intensities of a fit; None without one."""
    fit, ready = comparison.fit, study.first.ready
    if fit is None or fit.calculated is None or ready is None:
        return None
    observed = observed_of(ready)
    x = np.asarray(observed.grid.values())
    return x, observed.intensity * observed.scale, fit.calculated
