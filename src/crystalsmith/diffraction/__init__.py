"""Powder patterns of X-rays: read, simulated, compared with crystals and fitted by them."""

from crystalsmith.diffraction.pattern import Pattern, PeakList
from crystalsmith.diffraction.radiation import Radiation, radiation

__all__ = ["Pattern", "PeakList", "Radiation", "radiation"]
