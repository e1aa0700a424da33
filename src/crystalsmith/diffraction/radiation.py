"""X-rays of one wavelength or several: tubes by their names, anything else by its wavelength or energy."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np

from crystalsmith.errors import PatternError

KEV_ANGSTROM = 12.398419843
"""Energy in keV times wavelength in Angstrom (CODATA 2018)."""

SHORTEST, LONGEST = 0.05, 5.0
"""Wavelengths in Angstrom between which powder patterns are measured."""

# K-alpha 1 and 2 in Angstrom: Hoelzer et al., Phys. Rev. A 56 (1997) 4554, for Cr to Cu; Deslattes et al.,
# Rev. Mod. Phys. 75 (2003) 35, for Ga, Mo and Ag.
_LINES = {
    "Cr": (2.289726, 2.293651),
    "Fe": (1.936041, 1.939973),
    "Co": (1.788996, 1.792835),
    "Ni": (1.657930, 1.661756),
    "Cu": (1.540593, 1.544427),
    "Ga": (1.340127, 1.344026),
    "Mo": (0.709317, 0.713607),
    "Ag": (0.559422, 0.563813),
}
_DOUBLET = (2 / 3, 1 / 3)  # K-alpha 1 : K-alpha 2 of every tube, from the occupation of the two shells
_SAME = 2e-4  # relative: two wavelengths so near are the same line, by other tables
_SYNCHROTRON = 0.05  # the part of a synchrotron's light that is polarised out of the ring's plane


@dataclass(frozen=True)
class Radiation:
    """X-rays of one wavelength or several.

    Attributes:
        name: "CuKa" (both lines), "CuKa1", ..., or the wavelengths as they were given.
        wavelengths: Angstrom; the first is the principal one.
        weights: relative intensities, sum 1.
        polarization: intensity polarised in the plane of scattering over that polarised normal to it: 1 for
            a tube, cos^2 of a monochromator's 2 theta behind one, nearly 0 for a synchrotron.

    Raises:
        PatternError: no wavelength, one that is impossible, or weights that do not fit them.
    """

    name: str
    wavelengths: tuple[float, ...]
    weights: tuple[float, ...] = (1.0,)
    polarization: float = 1.0

    def __post_init__(self) -> None:
        wavelengths = tuple(float(x) for x in self.wavelengths)
        weights = tuple(float(x) for x in self.weights)
        if not wavelengths:
            raise PatternError("radiation needs at least one wavelength")
        for wavelength in wavelengths:
            if not SHORTEST <= wavelength <= LONGEST:
                raise PatternError(
                    f"a wavelength of {wavelength:g} Angstrom is none of powder diffraction"
                    f" ({SHORTEST:g} to {LONGEST:g})"
                )
        if len(weights) != len(wavelengths) or not all(0 < w < math.inf for w in weights):
            raise PatternError("radiation needs one positive weight for each wavelength")
        if not 0 <= self.polarization <= 1:
            raise PatternError(f"a polarization of {self.polarization:g} is not between 0 and 1")
        object.__setattr__(self, "wavelengths", wavelengths)
        object.__setattr__(self, "weights", tuple(w / sum(weights) for w in weights))

    @property
    def wavelength(self) -> float:
        """The principal wavelength in Angstrom, by which angles are turned into distances."""
        return self.wavelengths[0]

    @property
    def mean(self) -> float:
        """The mean wavelength in Angstrom, where lines overlap."""
        return math.fsum(x * w for x, w in zip(self.wavelengths, self.weights, strict=True))

    @property
    def principal(self) -> Radiation:
        """The first line alone, as of a pattern from which K-alpha 2 was stripped."""
        name = self.name + "1" if re.fullmatch(r"[A-Z][a-z]Ka", self.name) else f"{self.wavelength:g}"
        return (
            self
            if len(self.wavelengths) == 1
            else replace(self, name=name, wavelengths=self.wavelengths[:1], weights=(1.0,))
        )

    def behind_monochromator(self, two_theta: float) -> Radiation:
        """The same lines behind a monochromator crystal.

        Args:
            two_theta: of the monochromator, in degrees (26.4 for graphite and Cu K-alpha).
        """
        return replace(self, polarization=math.cos(math.radians(two_theta)) ** 2)

    def d(self, two_theta: np.ndarray) -> np.ndarray:
        """Distances of lattice planes in Angstrom at angles 2 theta (degrees) of the principal line."""
        return self.wavelength / (2 * np.sin(np.radians(two_theta) / 2))

    def two_theta(self, d: np.ndarray) -> np.ndarray:
        """Angles 2 theta in degrees of the principal line; NaN where it cannot reach d (Angstrom)."""
        sine = self.wavelength / (2 * np.asarray(d, float))
        return 2 * np.degrees(np.arcsin(np.where(sine <= 1, sine, np.nan)))

    def lorentz_polarization(self, two_theta: np.ndarray) -> np.ndarray:
        """Lorentz and polarization factor of a powder at angles 2 theta (degrees), without a constant."""
        theta = np.radians(two_theta) / 2
        parallel = 1 + self.polarization * np.cos(2 * theta) ** 2
        return parallel / (np.sin(theta) ** 2 * np.cos(theta))


TUBES = tuple(f"{anode}Ka" for anode in _LINES)
"""Names of tubes, both K-alpha lines; a 1 or 2 behind them names one line."""

CHOICES = (
    f"{', '.join(TUBES[:-1])} or {TUBES[-1]} (both lines; CuKa1 is the first alone), a wavelength in Angstrom"
    " such as 0.4991, several with their weights such as 1.5406:2,1.5444:1, or an energy such as 20keV"
)
"""What ``radiation`` understands, in words."""


def radiation(value: str | float | Radiation) -> Radiation:
    """The radiation that a name or a number stands for.

    Args:
        value: a tube's name ("CuKa", "Mo K-alpha", "CuKα1"), a wavelength in Angstrom (a number or text), two
            of a K-alpha pair ("1.5406,1.5444", weights 2 to 1), any with their weights ("0.5:1,0.25:0.1"), or
            an energy ("20 keV"). The wavelength of a tube's line, or the mean of its two, stands for the
            tube; any other for a synchrotron.

    Raises:
        PatternError: it is none of them; names the choices.
    """
    if isinstance(value, Radiation):
        return value
    text = re.sub(r"\s|angstrom|Å", "", str(value))
    if tube := _tube(text):
        return tube
    if energy := re.fullmatch(r"([0-9.]+)(k?)eV", text, re.IGNORECASE):
        kev = _number(energy[1], value) * (1.0 if energy[2] else 1e-3)
        return _of_wavelength(KEV_ANGSTROM / kev if kev > 0 else math.inf)
    parts = [part.partition(":") for part in text.split(",")]
    wavelengths = [_number(part[0], value) for part in parts]
    if len(parts) == 1 and not parts[0][1]:
        decimals = len(parts[0][0].partition(".")[2])
        # 1.54 and 0.71 are a tube's in two decimals; 1.5400 is what somebody measured.
        return _of_wavelength(wavelengths[0], 0.005 if decimals == 2 else 0.0)
    if all(part[1] for part in parts):
        return _of_lines(wavelengths, [_number(part[2], value) for part in parts])
    if len(parts) == 2 and not any(part[1] for part in parts):
        if not 1 < wavelengths[1] / max(wavelengths[0], 1e-9) < 1.01:
            raise PatternError(
                f"{wavelengths[0]:g} and {wavelengths[1]:g} Angstrom are no K-alpha pair; give their weights"
                f" too, such as {wavelengths[0]:g}:1,{wavelengths[1]:g}:0.1"
            )
        return _of_lines(wavelengths, _DOUBLET)
    raise _unknown(value)


def _tube(text: str) -> Radiation | None:
    """A tube by its name; None if it is none."""
    text = re.sub(r"[_~\\-]", "", text).replace("α", "a").replace("alpha", "a").replace("Alpha", "a")
    found = re.fullmatch(r"([a-z]{2})(?:k(?:a(1|2|1,2|12|1\+2|1/2|1\+a2)?)?)?(?:radiation)?", text.lower())
    if found is None or (anode := found[1].capitalize()) not in _LINES:
        return None
    line = found[2]
    if line in ("1", "2"):
        return Radiation(f"{anode}Ka{line}", _LINES[anode][int(line) - 1 : int(line)])
    return Radiation(f"{anode}Ka", _LINES[anode], _DOUBLET)


def _of_wavelength(wavelength: float, rounded: float = 0.0) -> Radiation:
    """The tube one of whose lines, or whose mean, has this wavelength; else a synchrotron's."""
    for anode, lines in _LINES.items():
        mean = _DOUBLET[0] * lines[0] + _DOUBLET[1] * lines[1]
        if abs(wavelength - mean) < max(_SAME * mean, rounded):
            return Radiation(f"{anode}Ka", lines, _DOUBLET)
        for k, line in enumerate(lines, 1):
            if abs(wavelength - line) < _SAME * line:
                return Radiation(f"{anode}Ka{k}", (wavelength,))
    return Radiation(f"{wavelength:.6g}", (wavelength,), polarization=_SYNCHROTRON)


def _of_lines(wavelengths: list[float], weights: list[float] | tuple[float, ...]) -> Radiation:
    if any(not w > 0 for w in weights):
        raise PatternError("weights of wavelengths must be positive")
    names = ",".join(f"{x:.6g}:{w:.4g}" for x, w in zip(wavelengths, weights, strict=True))
    for anode, lines in _LINES.items():
        if len(wavelengths) == 2 and all(
            abs(x - line) < _SAME * line for x, line in zip(wavelengths, lines, strict=True)
        ):
            return Radiation(f"{anode}Ka", tuple(wavelengths), tuple(weights))
    polarization = 1.0 if any(_of_wavelength(x).polarization == 1 for x in wavelengths) else _SYNCHROTRON
    return Radiation(names, tuple(wavelengths), tuple(weights), polarization)


def _number(text: str, value: object) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _unknown(value) from None
    if not math.isfinite(number):
        raise _unknown(value)
    return number


def _unknown(value: object) -> PatternError:
    return PatternError(f"there is no radiation {str(value)[:60]!r}; give {CHOICES}")
