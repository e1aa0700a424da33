"""The record of a crystal and its conversions: pymatgen, ASE, CIF, plain arrays."""

from crystalsmith.crystal.crystal import Crystal, Site
from crystalsmith.crystal.elements import NUMBERS, SYMBOLS, reduced_formula
from crystalsmith.crystal.standardize import crystal_from_arrays

__all__ = ["NUMBERS", "SYMBOLS", "Crystal", "Site", "crystal_from_arrays", "reduced_formula"]
