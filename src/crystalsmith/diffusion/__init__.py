"""Diffusion of positions and lattice together: fields, schedules, samplers, and the model that holds them."""

from crystalsmith.diffusion.checkpoint import default_checkpoint, load_model, save_model
from crystalsmith.diffusion.fields import Field, LatticeField, PositionField
from crystalsmith.diffusion.model import Model, Request, Statistics
from crystalsmith.diffusion.samplers import SAMPLERS
from crystalsmith.diffusion.schedules import LogSchedule, sampling_times

__all__ = [
    "SAMPLERS",
    "Field",
    "LatticeField",
    "LogSchedule",
    "Model",
    "PositionField",
    "Request",
    "Statistics",
    "default_checkpoint",
    "load_model",
    "sampling_times",
    "save_model",
]
