"""Input of GSAS-II: instrument parameters, and a script for its scripting interface."""

from __future__ import annotations

import math

from crystalsmith.diffraction.writers.start import Start, widths_of_parts


def instrument_parameters(start: Start) -> str:
    """The text of an .instprm file; widths are in hundredths of degrees, Gaussian ones as variances."""
    radiation = start.pattern.radiation
    base = math.sqrt(start.width.constant)
    gaussian, lorentzian = (100 * w for w in widths_of_parts(base, start.mixing))
    at_90 = float(start.width(90.0))
    wider = [100 * w for w in widths_of_parts(at_90, start.mixing)]
    variance = 8 * math.log(2)
    values: list[tuple[str, object]] = [("Type", "PXC"), ("Bank", 1.0)]
    if start.ratio:
        values += [("Lam1", radiation.wavelengths[0]), ("Lam2", radiation.wavelengths[1])]
        values += [("I(L2)/I(L1)", round(start.ratio, 6))]
    else:
        values += [("Lam", radiation.wavelength)]
    values += [
        ("Zero", round(start.zero, 6)),
        ("Polariz.", round(1 / (1 + radiation.polarization), 6)),
        ("Azimuth", 0.0),
        ("U", round(max(wider[0] ** 2 - gaussian**2, 0.0) / variance, 4)),
        ("V", 0.0),
        ("W", round(max(gaussian**2 / variance, 0.01), 4)),
        ("X", round(lorentzian, 4)),
        ("Y", round(max(wider[1] - lorentzian * math.sqrt(2), 0.0), 4)),  # X goes with 1 / cos(theta)
        ("Z", 0.0),
        ("SH/L", 0.002),
    ]
    head = "#GSAS-II instrument parameter file; do not add/delete items!\n"
    return head + "".join(f"{key}:{value}\n" for key, value in values)


def gsas2_script(start: Start, name: str, data: str, instrument: str, cif: str) -> str:
    """A Python script that refines step by step: scale and background, cell and zero, coordinates, widths."""
    low, high = start.limits
    free = any(site.free for site in start.crystal.sites)
    atoms = '    {"set": {"Atoms": {"all": "XU"}}},\n' if free else '    {"set": {"Atoms": {"all": "U"}}},\n'
    return f'''\
"""Rietveld refinement of {name} with GSAS-II: run it with the Python that GSAS-II came with."""

try:
    from GSASII import GSASIIscriptable as G2sc
except ImportError:
    import GSASIIscriptable as G2sc

project = G2sc.G2Project(newgpx="{name}.gpx")
histogram = project.add_powder_histogram("{data}", "{instrument}", fmthint="xye")
phase = project.add_phase("{cif}", phasename="{name}", histograms=[histogram], fmthint="CIF")
histogram.set_refinements({{"Limits": [{low:.4f}, {high:.4f}]}})
steps = [
    {{
        "set": {{
            "Background": {{"type": "chebyschev-1", "no. coeffs": 10, "refine": True}},
            "Sample Parameters": ["Scale"],
        }}
    }},
    {{"set": {{"Cell": True, "Instrument Parameters": ["Zero"]}}}},
{atoms}    {{"set": {{"Instrument Parameters": ["U", "W", "X", "Y"]}}}},
]
project.do_refinements(steps)
print("Rwp", histogram.get_wR())
project.save()
'''
