"""Training: settings, examples, loss, loop."""

from crystalsmith.training.config import TrainConfig, read_config
from crystalsmith.training.train import train

__all__ = ["TrainConfig", "read_config", "train"]
