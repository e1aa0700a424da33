"""What one command writes, every other one reads: folders that the commands themselves have written."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from test_generation_output import EVERY_KIND

from crystals import KNOWN
from crystalsmith.cli.show import read_panels
from crystalsmith.crystal.io import named_crystals
from crystalsmith.data import pack
from crystalsmith.data.build import build
from crystalsmith.dft import DftSettings
from crystalsmith.discovery.calculations import write_run_inputs
from crystalsmith.evaluation import read_samples
from crystalsmith.evaluation.targets import target_orders
from crystalsmith.generation import GenerateSettings, generate_into
from crystalsmith.orders import parse_order
from crystalsmith.potentials import Engine, RelaxSettings
from crystalsmith.potentials.run import relax_into
from crystalsmith.prototypes import PrototypeTable
from crystalsmith.rediscovery.targets import read_targets
from priors import clever


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Known arrangements, each from two crystals."""
    path = tmp_path_factory.mktemp("table") / "table.safetensors"
    larger = [replace(c, cell=(*(1.01 * x for x in c.cell[:3]), *c.cell[3:])) for c in KNOWN.values()]
    PrototypeTable.build(pack([*KNOWN.values(), *larger])).save(path)
    return str(path)


@pytest.mark.parametrize(("best_of", "known"), [(1, False), (2, False), (1, True), (2, True)])
@pytest.mark.parametrize("order", EVERY_KIND, ids=lambda order: order["id"])
def test_what_was_made_is_read_by_every_command(
    order: dict, best_of: int, known: bool, table: str, tmp_path: Path
) -> None:
    """Each kind of order: the folder of ``generate`` itself, and the one that ``relax`` makes of it."""
    settings = GenerateSettings(
        best_of=best_of, judges="agreement" if best_of > 1 else None, prototypes=table if known else "none"
    )
    made = generate_into([order], tmp_path / "out", settings, model=clever())  # type: ignore[arg-type]
    expected = Counter(r.crystal for r in made.ranked)
    assert sum(expected.values()) == made.orders[0].count

    assert Counter(named_crystals(tmp_path / "out").values()) == expected
    samples = read_samples(tmp_path / "out")
    assert Counter(s.standard for s in samples) == expected
    assert [parse_order(o).count for o in target_orders(samples)] == [1] * len(samples)
    assert Counter(target.crystal for target in read_targets(tmp_path / "out")) == expected
    assert build(tmp_path / "out", tmp_path / "data", workers=1).kept == len(samples)
    written, failed = write_run_inputs([tmp_path / "out"], tmp_path / "dft", DftSettings(code=("qe",)))
    assert len(written.codes["qe"].jobs) == len(samples) and not failed
    assert len(read_panels([tmp_path / "out"])) == len(samples)

    few = RelaxSettings(only="symmetric", max_calls=1)
    relax_into(tmp_path / "out", tmp_path / "relaxed", few, Engine("ase.calculators.lj:LennardJones", 1))
    assert Counter(named_crystals(tmp_path / "relaxed").values()) == expected


@pytest.mark.parametrize("formula", ["NaCl", "TiO2", "SrTiO3"])
def test_known_arrangements_are_among_what_is_read(formula: str, table: str, tmp_path: Path) -> None:
    order = {"id": "known", "formula": formula, "count": 8}
    made = generate_into([order], tmp_path / "out", GenerateSettings(prototypes=table), model=clever())
    assert {"prototype", "refined"} & {r.entry.kind for r in made.ranked}
    assert Counter(named_crystals(tmp_path / "out").values()) == Counter(r.crystal for r in made.ranked)
