"""Inputs for density-functional theory, and finished calculations read back."""

from crystalsmith.dft.collect import Collected, collect
from crystalsmith.dft.qe_inputs import write_qe
from crystalsmith.dft.reference import Reference, read_entries
from crystalsmith.dft.results import Result, with_dft
from crystalsmith.dft.vasp_inputs import write_vasp

__all__ = [
    "Collected",
    "Reference",
    "Result",
    "collect",
    "read_entries",
    "with_dft",
    "write_qe",
    "write_vasp",
]
