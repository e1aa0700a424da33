"""Networks on the symmetry-reduced multigraph."""

from crystalsmith.networks.denoiser import Denoiser, DenoiserConfig

__all__ = ["Denoiser", "DenoiserConfig"]
