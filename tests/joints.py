"""What every command reads of a folder that another one has written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from crystalsmith.cli.show import read_panels
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import named_crystals
from crystalsmith.data.build import build
from crystalsmith.dft import DftSettings
from crystalsmith.discovery.calculations import write_run_inputs
from crystalsmith.evaluation import read_samples
from crystalsmith.evaluation.targets import target_orders
from crystalsmith.orders import parse_order
from crystalsmith.potentials import RelaxSettings, Resources
from crystalsmith.potentials.run import relax_into
from crystalsmith.rediscovery.targets import read_targets


def assert_every_command_reads(
    folder: Path, crystals: Iterable[Crystal], scratch: Path, competing: int = 0
) -> None:
    """All readers find these crystals; ``scratch`` is an empty place.

    DFT inputs are written for so many competing phases beside them.
    """
    expected = Counter(crystals)
    assert Counter(named_crystals(folder).values()) == expected
    samples = read_samples(folder)
    assert Counter(s.standard for s in samples) == expected
    assert [parse_order(o).count for o in target_orders(samples)] == [1] * len(samples)
    assert Counter(target.crystal for target in read_targets(folder)) == expected
    assert build(folder, scratch / "data", workers=1).kept == len(samples)
    written, failed = write_run_inputs([folder], scratch / "dft", DftSettings(code=("qe",)))
    assert len(written.codes["qe"].jobs) == len(samples) + competing and not failed
    assert len(read_panels([folder])) == len(samples)

    few = RelaxSettings(only="symmetric", max_calls=1)
    relax_into(folder, scratch / "relaxed", few, Resources("ase.calculators.lj:LennardJones", 1))
    assert Counter(named_crystals(scratch / "relaxed").values()) == expected
