"""Patterns, and inputs of the programs with which people refine crystals: GSAS-II, TOPAS, FullProf."""

from crystalsmith.diffraction.writers.inputs import refinement_inputs, write_inputs
from crystalsmith.diffraction.writers.start import Start
from crystalsmith.diffraction.writers.text import csv_of_pattern, xy_text, xye_text

__all__ = ["Start", "csv_of_pattern", "refinement_inputs", "write_inputs", "xy_text", "xye_text"]
