"""Data sets: sources of structures, the compact training file, its statistics and public downloads."""

from crystalsmith.data.dataset import Dataset, concatenate, pack

__all__ = ["Dataset", "concatenate", "pack"]
