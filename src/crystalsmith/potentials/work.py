"""What worker processes do with one crystal; each loads the potential once."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.crystal import Crystal
from crystalsmith.potentials.calculators import load_calculator
from crystalsmith.potentials.stages import Outcome, Settings, relax_crystal

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def relax_with(potential: str, settings: Settings, crystal: Crystal) -> Outcome:
    """``relax_crystal`` with a potential by name.

    Raises:
        RelaxationError: it cannot be loaded.
    """
    return relax_crystal(crystal, process_calculator(potential), settings)


@lru_cache(maxsize=1)
def process_calculator(potential: str) -> Calculator:
    """The potential of this process, which is made ready for it: one thread, memory kept.

    Raises:
        RelaxationError: it cannot be loaded.
    """
    import scipy.optimize  # noqa: F401  # or the first crystal would spend its time on it

    keep_freed_memory()
    calculator = load_calculator(potential)
    if "torch" in sys.modules:  # not imported for potentials that do without
        sys.modules["torch"].set_num_threads(1)  # one process a core
    return calculator
