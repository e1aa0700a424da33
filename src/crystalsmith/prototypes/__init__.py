"""Known arrangements of atoms with their coordinates, and crystals made from them by an exchange of elements.

* `aligned`, `nearest_description`: the description of a crystal that is nearest to another one's.
* `PrototypeTable`: clusters of known crystals, statistics over two of them at least.
* `Library`: that table, files of known crystals and AFLOW's prototypes, asked for `Template`s.
"""

from crystalsmith.prototypes.alignment import aligned, nearest_description
from crystalsmith.prototypes.files import Aflow, KnownFile
from crystalsmith.prototypes.library import Library, Template
from crystalsmith.prototypes.table import PrototypeTable

__all__ = ["Aflow", "KnownFile", "Library", "PrototypeTable", "Template", "aligned", "nearest_description"]
