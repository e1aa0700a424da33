"""What one command writes, every other one reads: folders that the commands themselves have written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_generation_output import EVERY_KIND

from crystals import KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import named_crystals, read_records
from crystalsmith.data import pack
from crystalsmith.generation import GenerateSettings, generate_into
from crystalsmith.potentials import Resources
from crystalsmith.prototypes import PrototypeTable
from joints import CONDITIONED, assert_every_command_reads, conditioned, orders_of_every_kind
from metals import EMT, SEARCH, emt_references, fcc
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

    assert_every_command_reads(tmp_path / "out", expected.elements(), tmp_path)


METALS = {"cu": fcc("Cu", 3.7), "au": fcc("Au", 4.2)}


def discovered(folder: Path) -> list[Crystal]:
    """The short list of a search through copper and gold."""
    from crystalsmith.discovery.run import discover_into
    from crystalsmith.hull import Hull

    hull = Hull(emt_references())
    return [*discover_into(SEARCH, folder, hull=hull, workers=1).crystals]


def listed(folder: Path) -> list[Crystal]:
    """The short lists of a search through a list of systems."""
    from crystalsmith.discovery.many import discover_systems_into
    from crystalsmith.discovery.systems import named_systems
    from crystalsmith.hull import Hull

    hull, systems = Hull(emt_references()), named_systems(["Cu-Au", "Au-Pd"])
    made = discover_systems_into(systems, SEARCH, folder, hull=hull, workers=1)
    assert not made.failures
    return [c.crystal for name in ("Cu-Au", "Au-Pd") for c in made.summary(name).shortlist]


def vibrating(folder: Path) -> list[Crystal]:
    """Copper and gold at rest, with phonons."""
    from crystalsmith.phonons import PhononSettings, phonons_into

    small = PhononSettings(length=4.0, max_atoms=8, elastic=False)
    run = phonons_into(METALS, folder, small, Resources(EMT, 1))
    return [study.phonons.crystal for study in run.studies.values() if study.phonons is not None]


def rediscovered(folder: Path) -> list[Crystal]:
    """Copper and gold found again from their letters, relaxed."""
    from crystalsmith.rediscovery.run import rediscover_into
    from crystalsmith.rediscovery.settings import RediscoverySettings
    from crystalsmith.rediscovery.targets import Target

    targets = [Target(name, crystal) for name, crystal in METALS.items()]
    settings = RediscoverySettings(settings=("wyckoff",), count=2, potential=EMT, workers=1)
    found = rediscover_into(targets, folder, settings, model=clever())  # type: ignore[arg-type]
    matching = [
        a
        for f in found.findings
        for a in f.attempts
        if a.rms("before") is not None or a.rms("after") is not None
    ]
    return [(a.outcome.after or a.outcome.before).crystal for a in matching]


@pytest.mark.parametrize(
    ("write", "competing"), [(discovered, 2), (listed, 0), (vibrating, 0), (rediscovered, 0)]
)
def test_what_long_commands_leave_is_read_by_every_command(
    write: Callable[[Path], list[Crystal]], competing: int, tmp_path: Path
) -> None:
    """Folders that discover, phonons and rediscover themselves have written."""
    crystals = write(tmp_path / "out")
    assert crystals
    assert_every_command_reads(tmp_path / "out", crystals, tmp_path, competing)


@pytest.mark.parametrize("name", CONDITIONED)
def test_what_obeys_conditions_is_read_by_every_command(name: str, tmp_path: Path) -> None:
    order = conditioned(name, tmp_path)
    settings = GenerateSettings(prototypes="none")
    made = generate_into([order], tmp_path / "out", settings, model=clever())  # type: ignore[arg-type]
    assert made.ranked
    assert_every_command_reads(tmp_path / "out", (r.crystal for r in made.ranked), tmp_path)


@pytest.mark.parametrize("formula", ["NaCl", "TiO2", "SrTiO3"])
def test_known_arrangements_are_among_what_is_read(formula: str, table: str, tmp_path: Path) -> None:
    order = {"id": "known", "formula": formula, "count": 8}
    made = generate_into([order], tmp_path / "out", GenerateSettings(prototypes=table), model=clever())
    assert {"prototype", "refined"} & {r.entry.kind for r in made.ranked}
    assert Counter(named_crystals(tmp_path / "out").values()) == Counter(r.crystal for r in made.ranked)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of orders of every kind that writes shards."""
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    folder = tmp_path_factory.mktemp("shards")
    settings = GenerateSettings(prototypes="none", format="parquet")
    made = generate_into(orders_of_every_kind(folder), folder / "out", settings, model=clever())  # type: ignore[arg-type]
    assert made.complete
    return folder / "out" / "crystals.parquet"


@pytest.mark.parametrize("name", [*(order["id"] for order in EVERY_KIND), *CONDITIONED])
def test_shards_hold_what_was_made_to_every_kind_of_order(name: str, shards: Path) -> None:
    own = [(r.index, r.crystal) for r in read_records(shards.parent) if r.id == name]
    found = [(r.index, r.crystal) for r in read_records(shards) if r.id == name]
    assert found and sorted(found) == sorted(own) and all(crystal is not None for _, crystal in found)


def test_shards_of_every_kind_of_order_are_read_by_every_command(shards: Path, tmp_path: Path) -> None:
    crystals = [record.symmetrized() for record in read_records(shards)]
    assert_every_command_reads(shards, crystals, tmp_path)
