"""Diffusion of positions and lattice together: fields, schedules, samplers, and the model that holds them."""

from crystalsmith.assignments import Request
from crystalsmith.diffusion.checkpoint import default_checkpoint, load_model, save_model
from crystalsmith.diffusion.fields import Field, LatticeField, PositionField
from crystalsmith.diffusion.model import Model, Statistics
from crystalsmith.diffusion.paper import Levels, PaperModel
from crystalsmith.diffusion.sampler_choice import resolve_sampler, sampler_names
from crystalsmith.diffusion.samplers import SAMPLERS
from crystalsmith.diffusion.schedules import LogSchedule, sampling_times

AnyModel = Model | PaperModel
"""A model of any method."""

__all__ = [
    "SAMPLERS",
    "AnyModel",
    "Field",
    "LatticeField",
    "Levels",
    "LogSchedule",
    "Model",
    "PaperModel",
    "PositionField",
    "Request",
    "Statistics",
    "default_checkpoint",
    "load_model",
    "resolve_sampler",
    "sampler_names",
    "sampling_times",
    "save_model",
]
