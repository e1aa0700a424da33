"""Tables of prototypes from files."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from crystalsmith.data.dataset import concatenate
from crystalsmith.errors import DataError
from crystalsmith.prototypes.files import KnownFile
from crystalsmith.prototypes.table import PrototypeTable
from crystalsmith.runs.progress import Progress, silent


def make_prototypes(
    sources: Sequence[str | os.PathLike[str]], *, progress: Progress = silent
) -> PrototypeTable:
    """The table of the crystals of some files together.

    Args:
        sources: training files of ``data build``, or crystals in any form.
        progress: told how many crystals are done.

    Raises:
        DataError: a file is missing, damaged or without a crystal; no two crystals are alike.
    """
    files = [KnownFile.open(path, np.ones(119)).dataset for path in sources]
    table = PrototypeTable.build(files[0] if len(files) == 1 else concatenate(files), progress=progress)
    if not len(table):
        raise DataError(
            f"no two of the {sum(map(len, files))} crystals are of one prototype, and a table holds no single"
            " crystal; give more crystals, or use the file itself as --known"
        )
    return table
