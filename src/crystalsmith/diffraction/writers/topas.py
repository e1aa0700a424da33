"""Input of TOPAS: a Rietveld refinement in launch mode."""

from __future__ import annotations

import math
from fractions import Fraction

from crystalsmith.crystal.hall import hermann_mauguin
from crystalsmith.diffraction.writers.start import Atom, Start, atoms_of, tied_cell

_CELL = ("a", "b", "c", "al", "be", "ga")
_MOST_COEFFICIENTS = 9  # of the background


def topas_input(start: Start, name: str, data: str) -> str:
    """The text of an .inp file.

    Args:
        start: where to begin.
        name: of the phase.
        data: name of the file with the pattern, .xye.
    """
    crystal, radiation = start.crystal, start.pattern.radiation
    low, high = start.limits
    # Unpolarised light without a monochromator is 0; 90 is a synchrotron (Technical Reference, LP_Factor).
    monochromator = math.degrees(math.acos(math.sqrt(radiation.polarization)))
    lines = [
        f"' {name}: {crystal.formula}, {crystal.group.symbol} ({crystal.space_group})",
        "' scale, background, zero point, cell, widths and coordinates are free",
        "iters 100",
        f'xdd "{data}"',
        f"  start_X {low:.4f}",
        f"  finish_X {high:.4f}",
        f"  bkg @ {' '.join([f'{_mean_background(start):.6g}', *['0'] * (_MOST_COEFFICIENTS - 1)])}",
        f"  Zero_Error(@, {start.zero:.5f})",
        f"  LP_Factor({monochromator:.3f})",
        "  lam",
        "    ymin_on_ymax 0.0001",
        *(
            f"    la {weight:.6f} lo {wavelength:.6f} lh 0.1"
            for wavelength, weight in zip(radiation.wavelengths, radiation.weights, strict=True)
        ),
        "  str",
        f'    phase_name "{name}"',
        f'    space_group "{hermann_mauguin(crystal.space_group).replace(" :", ":")}"',
        "    scale @ 0.0001",
        *_cell_lines(start),
        _widths(start),
        *(line for atom in atoms_of(crystal) for line in _site_lines(atom, start.thermal)),
    ]
    return "\n".join(lines) + "\n"


def _widths(start: Start) -> str:
    """Full width = ha + hb tan(theta) + hc / cos(theta), and the Lorentzian part likewise."""
    base, slope = math.sqrt(start.width.constant), math.sqrt(start.width.slope)
    mixing = min(max(start.mixing, 0.05), 0.95)
    fixed = "!lorb, 0, !lorc, 0"
    return f"    PV_Peak_Type(@, {base:.5f}, @, {slope:.5f}, !hc, 0, @, {mixing:.4f}, {fixed})"


def _mean_background(start: Start) -> float:
    return float(start.background[:, 1].mean())


def _cell_lines(start: Start) -> list[str]:
    """The cell; what symmetry makes equal is an equation, what it fixes has no name."""
    lines: list[str] = []
    named: dict[int, str] = {}
    for key, value, free in zip(_CELL, start.crystal.cell, tied_cell(start.crystal), strict=True):
        if free is None:
            lines.append(f"    {key} {value:.6f}")
        elif free in named:
            lines.append(f"    {key} ={named[free]};")
        else:
            named[free] = f"cell_{key}"
            lines.append(f"    {key} cell_{key} {value:.6f}")
    return lines


def _site_lines(atom: Atom, thermal: float) -> list[str]:
    """A site; its coordinates are numbers, fractions, free, or equations of the site's parameters."""
    lines: list[str] = []
    parts = []
    for k, axis in enumerate("xyz"):
        slopes = [(f"{atom.label}_{'uvw'[j]}", int(s)) for j, s in enumerate(atom.slopes[k]) if s]
        if not slopes:
            parts.append(f"{axis} {_fraction(atom.place[k])}")
            continue
        terms = "".join(f"{'-' if s < 0 else '+'}{'' if abs(s) == 1 else f'{abs(s)}*'}{n}" for n, s in slopes)
        offset = Fraction(atom.offsets[k]).limit_denominator(48)
        constant = "" if not offset else f"{'+' if offset > 0 else '-'}{abs(offset)}"
        parts.append(f"{axis} ={terms.removeprefix('+')}{constant};")
    for j, value in enumerate(atom.free):
        lines.append(f"    prm {atom.label}_{'uvw'[j]} {value:.6f}")
    head = f"    site {atom.label} num_posns {atom.multiplicity}"
    lines.append(f"{head} {' '.join(parts)} occ {atom.element} 1 beq {thermal:.2f}")
    return lines


def _fraction(value: float) -> str:
    """A number, or an equation where it is a third or a sixth, which decimals are not."""
    found = Fraction(value).limit_denominator(48)
    if abs(float(found) - value) > 1e-9:
        return f"{value:.6f}"
    return f"={found};" if found.denominator % 3 == 0 else f"{value:g}"
