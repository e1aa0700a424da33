"""Inputs for density-functional theory, and finished calculations read back."""

from crystalsmith.discovery.dft.collect import Collected, collect
from crystalsmith.discovery.dft.qe_inputs import write_qe
from crystalsmith.discovery.dft.reference import Reference, read_entries
from crystalsmith.discovery.dft.results import Result, with_dft
from crystalsmith.discovery.dft.vasp_inputs import write_vasp

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
