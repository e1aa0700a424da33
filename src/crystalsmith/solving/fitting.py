"""The pattern as a run looks at it, and its candidates fitted to it, block by block."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction import Pattern, PeakList, radiation
from crystalsmith.diffraction.background import Prepared, prepared
from crystalsmith.diffraction.readers import read_pattern
from crystalsmith.errors import ConfigError
from crystalsmith.runs.progress import Progress
from crystalsmith.solving.kept import Kept
from crystalsmith.solving.settings import SolveSettings
from crystalsmith.solving.trials import OWN, Fitted, Trial

if TYPE_CHECKING:
    from crystalsmith.diffraction.fit import Fit
    from crystalsmith.diffraction.observed import Observed
    from crystalsmith.ranking import Ladder

BLOCK = 400
"""Trials that are fitted together; the best of them go on from the blurred pattern to the pattern itself."""

CLOSELY = 40
"""Of a block that go on, or one in eight where that is more."""

REFINED_TOGETHER = 4
"""Trials that are refined together, so that not all is lost when a run is stopped."""

WORST = 1e6
"""Misfit of a fit that went astray."""

PEAK_WIDTH, PEAK_STEP = 0.12, 0.02
"""Degrees, of the pattern that is made of a list of peaks."""


@dataclass(frozen=True, eq=False)
class Observation:
    """A pattern as a run looks at it.

    Attributes:
        pattern: as measured, or made of a list of peaks.
        prepared: on even steps, without its background.
        source: name of the file, or of the pattern.
        notes: what the user should know of it.
    """

    pattern: Pattern
    prepared: Prepared
    source: str
    notes: tuple[str, ...] = ()

    @staticmethod
    def read(source: str | os.PathLike[str] | Pattern | PeakList, settings: SolveSettings) -> Observation:
        """Read a pattern, or take one.

        Raises:
            PatternError: it is none, its radiation is unknown, or nothing rises above its background.
        """
        stated = None if settings.radiation is None else radiation(settings.radiation)
        if isinstance(source, Pattern | PeakList):
            if settings.axis not in (None, "2theta"):
                raise ConfigError("a pattern of Python is in 2theta; leave axis out")
            found, name = source, source.name
        else:
            found, name = read_pattern(Path(source), stated, cast(Any, settings.axis)), Path(source).name
        notes: list[str] = []
        if isinstance(found, PeakList):
            found = found.pattern(PEAK_WIDTH, PEAK_STEP)
            notes.append("a list of peaks: intensities and widths of lines say less than a pattern does")
        if settings.two_theta is not None:
            found = found.between(*settings.two_theta)
        ready = prepared(found, trust_radiation=stated is not None)
        return Observation(ready.pattern, ready, name, (*notes, *ready.notes))

    @cached_property
    def hash(self) -> str:
        """Of everything that is looked at."""
        digest = hashlib.sha256()
        for values in (self.pattern.two_theta, self.pattern.intensity, self.pattern.sigma):
            digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
        digest.update(repr((self.pattern.radiation.wavelengths, self.pattern.radiation.weights)).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def background(self) -> np.ndarray:
        """(N,) at the points of the pattern."""
        return np.interp(self.pattern.two_theta, self.prepared.two_theta, self.prepared.background)

    @property
    def width(self) -> float:
        """Full width of a line at half maximum in the middle of the pattern, degrees."""
        x = self.prepared.two_theta
        return float(self.prepared.width(np.array([float(x[len(x) // 2])]))[0])

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types: what stands in the results."""
        x = self.pattern.two_theta
        return {
            "name": self.source,
            "radiation": self.pattern.radiation.name,
            "wavelength": self.pattern.radiation.wavelength,
            "two_theta": [float(x[0]), float(x[-1])],
            "points": len(x),
            "width": round(self.width, 4),
            "hash": self.hash,
        }


def fit_all(
    observation: Observation,
    trials: Sequence[Trial],
    fits: Kept[Fitted],
    progress: Progress,
    tolerance: float = 0.003,
) -> None:
    """Fit cells, shifts, scale and widths of trials; what is found is on the disk block by block.

    Args:
        observation: the pattern.
        trials: all of the run; those that have a fit are not fitted again.
        fits: the journal.
        progress: told how far it is.
        tolerance: of given and indexed cells, a relative standard deviation.

    Raises:
        OutputError: what was found could not be written.
    """
    from crystalsmith.diffraction.fit import FitSettings, fit_candidates

    for cell in ("fixed", "free"):
        own = [t for t in trials if (t.cell != OWN) == (cell == "fixed")]
        for start in range(0, len(own), BLOCK):
            block = own[start : start + BLOCK]
            progress("fits", len(fits.found), len(trials))
            if all(t.key in fits.found for t in block):
                continue
            # All of a block that was cut off half way: which of them are fitted closely hangs on the others.
            settings = FitSettings(cell=cell, tolerance=tolerance, fitted=max(CLOSELY, len(block) // 8))
            found = fit_candidates([t.crystal for t in block], observation.prepared, settings)
            fits.append({t.key: _fitted(t.crystal, f) for t, f in zip(block, found, strict=True)})
    progress("fits", len(trials), len(trials))


def refine_all(
    observation: Observation,
    trials: Sequence[Trial],
    fits: Mapping[str, Fitted],
    refined: Kept[Fitted],
    progress: Progress,
    ladder: Ladder | None = None,
    tell: Callable[[Mapping[str, Fitted]], None] = lambda newest: None,
) -> None:
    """Refine free coordinates of trials that were fitted; one by one, so that what is done is kept.

    Args:
        observation: the pattern.
        trials: that are to be refined; those that were are not refined again.
        fits: of the trials, by key.
        refined: the journal.
        progress: told how far it is.
        ladder: judges what comes out, without the pattern.
        tell: called with what came of each block, by key.

    Raises:
        OutputError: what was found could not be written.
    """
    from crystalsmith.diffraction.fit import Fit, observed_of, refine_candidates

    observed = observed_of(observation.prepared)
    todo = [t for t in trials if t.key not in refined.found]
    for start in range(0, len(todo), REFINED_TOGETHER):
        progress("refinements", len(trials) - len(todo) + start, len(trials))
        block = todo[start : start + REFINED_TOGETHER]
        before = [
            Fit(
                crystal=fits[t.key].crystal,
                index=k,
                stage=fits[t.key].stage,
                misfit=fits[t.key].misfit,
                rwp=fits[t.key].rwp or math.nan,
                overlap=fits[t.key].overlap or math.nan,
                missing=math.nan,
                foreign=math.nan,
                values=np.array(fits[t.key].values) if fits[t.key].values else None,
            )
            for k, t in enumerate(block)
        ]
        found = refine_candidates(before, observed)
        kept = _profiled(observation, observed, block, found)
        refined.append(_judged(kept, [t for t in block if t.key in kept], ladder))
        tell(kept)
    progress("refinements", len(trials), len(trials))


def search_all(
    observation: Observation,
    trials: Mapping[Trial, Fitted],
    fits: Kept[Fitted],
    refined: Kept[Fitted],
    progress: Progress,
    tolerance: float,
    ladder: Ladder | None = None,
) -> None:
    """Look from many starts for the coordinates of trials, all together, as the best from afar go on.

    Args:
        observation: the pattern.
        trials: on cells that are known, with the fits that they began with; see ``starts``.
        fits: the journal, which gets these fits, and so says of each trial that it was looked for.
        refined: the journal, which gets those that were among the best.
        progress: told how far it is.
        tolerance: of the cells, a relative standard deviation.
        ladder: judges what comes out, without the pattern.

    Raises:
        OutputError: what was found could not be written.
    """
    from crystalsmith.diffraction.fit import observed_of
    from crystalsmith.diffraction.multistart import search_coordinates

    if all(t.key in fits.found for t in trials):
        return
    progress("coordinates", 0, len(trials))
    observed = observed_of(observation.prepared)
    seeds = [crc32(t.key.encode()) for t in trials]
    found = search_coordinates([t.crystal for t in trials], observed, seeds, tolerance)
    carried = [(t, f) for t, f in zip(trials, found, strict=True) if f is not None]
    kept = _profiled(observation, observed, [t for t, _ in carried], [f for _, f in carried])
    refined.append(_judged(kept, [t for t, _ in carried if t.key in kept], ladder))
    fits.append({t.key: fit for t, fit in trials.items()})
    progress("coordinates", len(trials), len(trials))


def _profiled(
    observation: Observation, observed: Observed, trials: Sequence[Trial], found: Sequence[Fit]
) -> dict[str, Fitted]:
    """Fits of trials with their profiles, but those that went astray."""
    angles, points = np.asarray(observed.grid.values(), float), observation.prepared.two_theta
    return {
        t.key: _fitted(t.crystal, f, np.interp(points, angles, f.calculated))
        for t, f in zip(trials, found, strict=True)
        if f.calculated is not None and math.isfinite(f.misfit)
    }


def _judged(fits: dict[str, Fitted], trials: Sequence[Trial], ladder: Ladder | None) -> dict[str, Fitted]:
    """Refined fits with what the network thinks of their crystals."""
    if ladder is None or not fits:
        return fits
    from crystalsmith.ranking import Candidate

    own = [t.entry for t in trials]
    candidates = [
        Candidate(fits[t.key].crystal, e.log_prior, e.kind, e.weight, e.members)
        for t, e in zip(trials, own, strict=True)
    ]
    scores = ladder.alone(candidates)
    return {t.key: replace(fits[t.key], likely=float(s.likely)) for t, s in zip(trials, scores, strict=True)}


def _fitted(tried: Crystal, found: Fit, profile: np.ndarray | None = None) -> Fitted:
    """A fit as it is kept."""

    def figure(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    lengths = np.array(found.crystal.cell[:3]) / np.array(tried.cell[:3])
    optics = found.optics
    near = found.stage != "afar"
    return Fitted(
        crystal=found.crystal,
        stage=found.stage,
        misfit=min(float(found.misfit), WORST) if not math.isnan(found.misfit) else WORST,
        rwp=figure(found.rwp),
        overlap=figure(found.overlap),
        missing=figure(found.missing),
        foreign=figure(found.foreign),
        moved=float(found.moved),
        stretch=float(np.abs(np.log(lengths)).max()),
        zero=float(optics.zero) if near else 0.0,
        displacement=float(optics.displacement) if near else 0.0,
        width=float(optics.width) if near else 0.1,
        texture=float(optics.texture) if near else 1.0,
        axis=tuple(int(x) for x in optics.axis),
        values=() if found.values is None else tuple(float(x) for x in found.values),
        profile=profile,
    )
