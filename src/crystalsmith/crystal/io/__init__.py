"""Reading and writing crystals, one door for every kind of file."""

from crystalsmith.crystal.io.limits import Limits
from crystalsmith.crystal.io.read import (
    NothingReadable,
    named_crystals,
    read_records,
    readable_records,
    spooled_crystals,
    warn_first,
)
from crystalsmith.crystal.io.records import Record
from crystalsmith.crystal.io.write import write_crystals

__all__ = [
    "Limits",
    "NothingReadable",
    "Record",
    "named_crystals",
    "read_records",
    "readable_records",
    "spooled_crystals",
    "warn_first",
    "write_crystals",
]
