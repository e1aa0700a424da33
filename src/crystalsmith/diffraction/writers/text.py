"""Patterns as columns of text."""

from __future__ import annotations

from crystalsmith.diffraction.pattern import Pattern
from crystalsmith.runs.csv_text import csv_text


def xy_text(pattern: Pattern) -> str:
    """Angle and intensity in each line, the wavelengths before them as a comment."""
    head = f"# {pattern.name}\n# radiation {pattern.radiation.name}\n"
    rows = zip(pattern.two_theta, pattern.intensity, strict=True)
    return head + "".join(f"{x:.5f} {y:.6g}\n" for x, y in rows)


def xye_text(pattern: Pattern, comments: bool = True) -> str:
    """Angle, intensity and its uncertainty in each line; the comments are as ``xy_text`` writes them."""
    head = f"# {pattern.name}\n# radiation {pattern.radiation.name}\n" if comments else ""
    rows = zip(pattern.two_theta, pattern.intensity, pattern.sigma, strict=True)
    return head + "".join(f"{x:.5f} {y:.6g} {s:.6g}\n" for x, y, s in rows)


def csv_of_pattern(pattern: Pattern) -> str:
    """A table with a heading: 2theta, d, intensity, sigma."""
    columns = ("2theta", "d", "intensity", "sigma")
    rows = zip(pattern.two_theta, pattern.d, pattern.intensity, pattern.sigma, strict=True)
    digits = ("{:.5f}", "{:.6f}", "{:.6g}", "{:.6g}")
    return csv_text(
        ({c: f.format(v) for c, f, v in zip(columns, digits, row, strict=True)} for row in rows), columns
    )
