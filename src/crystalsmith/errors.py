"""Every error that crystalsmith raises on purpose. Each message says what is wrong and what to do."""

from __future__ import annotations


class CrystalsmithError(Exception):
    """Base of all errors of this package; the command line prints it on one line and exits with status 2."""


class SymmetryError(CrystalsmithError, ValueError):
    """An unknown space group, Wyckoff letter or an impossible combination of them."""


class StructureError(CrystalsmithError, ValueError):
    """A structure that cannot be described: disordered, empty, overlapping, or of unverified symmetry."""


class DataError(CrystalsmithError, ValueError):
    """A source or data file that is missing, unreadable, empty or of another version."""


class FetchError(CrystalsmithError, OSError):
    """A download that failed, with the reason and where to put the file by hand."""


class OrderError(CrystalsmithError, ValueError):
    """An order that cannot be understood or that no crystal can satisfy."""


class ImpossibleOrder(OrderError):
    """An order that is well formed but that no crystal can satisfy; other orders beside it still can be."""


class CheckpointError(CrystalsmithError, ValueError):
    """A checkpoint that is missing, truncated, damaged or of another version."""


class ConfigError(CrystalsmithError, ValueError):
    """An unknown or impossible setting."""


class OutputError(CrystalsmithError, OSError):
    """An output folder that cannot be written or that belongs to another run."""


class EvaluationError(CrystalsmithError, ValueError):
    """Sets of crystals that cannot be compared, or a measure that lacks what it needs."""


class RelaxationError(CrystalsmithError, ValueError):
    """A potential that is unknown or not installed, or that cannot be loaded."""


class HullError(CrystalsmithError, ValueError):
    """Reference phases that are missing, damaged, or of another potential."""


class TrainingError(CrystalsmithError, RuntimeError):
    """Processes that train together and do not find each other, or lost one of them."""


class DiscoveryError(CrystalsmithError, ValueError):
    """A run of the funnel that cannot begin or go on."""


class PhononError(CrystalsmithError, ValueError):
    """Phonons or elastic constants that cannot be had: a library, time or a sound potential is missing."""


class PatternError(CrystalsmithError, ValueError):
    """A powder pattern, its radiation or its axis that cannot be read or used."""


class EngineError(CrystalsmithError, RuntimeError):
    """An engine that cannot be started, or whose workers give no results; mended, the run goes on."""
