"""Known arrangements of atoms with their coordinates, and how crystals of one are laid on each other."""

from crystalsmith.prototypes.alignment import aligned

__all__ = ["aligned"]
