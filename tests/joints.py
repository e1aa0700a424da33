"""What every command reads of a folder that another one has written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from test_generation_output import EVERY_KIND

from crystalsmith.cli.show import read_panels
from crystalsmith.crystal import Crystal, Site
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

SALT = [4.2, 4.2, 4.2, 90, 90, 90]
CONDITIONED: dict[str, dict[str, Any]] = {
    "cell": {"formula": "MgO", "z": 4, "cell": SALT},
    "sites-in-a-cell": {"space_group": 225, "sites": {"K": 1, "Cl": 1}, "cell": [6.3, 6.3, 6.3, 90, 90, 90]},
    "primitive-cell": {"formula": "MgO", "atoms": 2, "primitive_cell": [2.97, 2.97, 2.97, 60, 60, 60]},
    "volume": {"formula": "MgO", "atoms": 2, "volume": 75.0},
    "density": {
        "space_group": 136,
        "wyckoff": [["Ti", "a"], ["O", "f"]],
        "density": 4.2,
        "cell_tolerance": 0.02,
    },
    "distances": {"system": "Mg-O", "space_group": 225, "max_atoms": 4, "min_distance": 1.6},
    "neighbours": {"formula": "MgO", "atoms": 2, "space_group": 225, "coordination": {"Mg-O": 6}},
    "host": {"add": {"Cl": 1}},
}


def conditioned(name: str, folder: Path) -> dict[str, Any]:
    """An order with one of the conditions; its host is written there."""
    order: dict[str, Any] = {"id": name, "count": 2, **CONDITIONED[name]}
    if name == "host":
        host = Crystal(225, (5.64, 5.64, 5.64, 90.0, 90.0, 90.0), (Site("Na", "a", ()),))
        (folder / "host.cif").write_text(host.to_cif(), encoding="utf-8")
        order["host"] = str(folder / "host.cif")
    return order


def orders_of_every_kind(folder: Path) -> list[dict[str, Any]]:
    """Sites, letters, formulas, systems, and each of the conditions."""
    return [*EVERY_KIND, *(conditioned(name, folder) for name in CONDITIONED)]


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
