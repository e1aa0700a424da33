"""Networks on the symmetry-reduced multigraph."""

from crystalsmith.networks.denoiser import Denoiser, DenoiserConfig
from crystalsmith.networks.dimenet import DimeNet, DimeNetConfig

__all__ = ["Denoiser", "DenoiserConfig", "DimeNet", "DimeNetConfig"]
