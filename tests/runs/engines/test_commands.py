"""Every command on an engine that loses, delays, doubles and halves its tasks: the files of a quiet run."""

import re
from pathlib import Path

import pytest
from hostile import Hostile, engine

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.generation import GenerateSettings, generate_into
from crystalsmith.potentials import RelaxSettings, Resources
from crystalsmith.potentials.run import relax_into
from crystalsmith.runs.engines import Local, remote
from fake_model import FakeModel
from priors import clever

EMT = "emt_potential:make"
FAULTS = ["lost", "late", "twice", "half", "refused", "swapped", "lost", "late"]
METALS = {symbol: 3.5 + 0.1 * k for k, symbol in enumerate(("Cu", "Ni", "Pd", "Ag", "Au", "Al"))}


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(remote, "_LOOK_SECONDS", 0.01)


@pytest.fixture
def hostile(tmp_path):
    """An engine whose first tasks all go wrong."""
    executor = Hostile(["fine", *FAULTS])
    one = engine(tmp_path, executor)
    yield one
    assert executor.sizes, "the command did not use its engine"
    one.close()


def fcc(symbol: str) -> Crystal:
    a = METALS[symbol]
    return Crystal(225, (a, a, a, 90, 90, 90), (Site(symbol, "a", ()),))


def files(folder: Path, *names: str) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for n in names for p in folder.glob(n) if p.is_file()}
    assert found
    return found


def test_relax(hostile, tmp_path):
    crystals = {symbol: fcc(symbol) for symbol in METALS}
    for name, chosen in (("here", Local(1)), ("there", hostile)):
        relax_into(crystals, tmp_path / name, RelaxSettings(max_calls=10), Resources(EMT, engine=chosen))
    names = ("cif/*", "relaxed.csv", "relaxed.extxyz")
    assert files(tmp_path / "there", *names) == files(tmp_path / "here", *names)
    rows = (tmp_path / "there" / "journal.jsonl").read_text().splitlines()
    assert len(rows) == len(crystals)


def test_phonons(hostile, tmp_path):
    from crystalsmith.phonons import PhononSettings, phonons_into

    small = PhononSettings(length=4.0, max_atoms=8, elastic=False, relax=False)
    for name, chosen in (("here", Local(1)), ("there", hostile)):
        phonons_into({s: fcc(s) for s in ("Cu", "Ni")}, tmp_path / name, small, Resources(EMT, engine=chosen))
    here, there = (
        {n: re.sub(rb'"seconds": [^,}]+', b"", text) for n, text in files(tmp_path / f, "??.json").items()}
        for f in ("here", "there")
    )
    assert here == there and [*here] == ["Cu.json", "Ni.json"]


def test_generate(hostile, tmp_path):
    orders = [
        {"id": "salt", "space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 4},
        {"id": "rutile", "space_group": 136, "wyckoff": [["Ti", "a"], ["O", "f"]], "count": 3},
    ]
    for name, chosen in (("here", "local"), ("there", hostile)):
        settings = GenerateSettings(seed=5, batch_atoms=8, engine=chosen)
        generate_into(orders, tmp_path / name, settings, model=FakeModel(bad=0.25))
    names = ("cif/*", "crystals.csv", "crystals.jsonl", "crystals.extxyz")
    assert files(tmp_path / "there", *names) == files(tmp_path / "here", *names)


def test_rediscover(hostile, tmp_path):
    from crystalsmith.rediscovery.run import rediscover_into
    from crystalsmith.rediscovery.settings import RediscoverySettings
    from crystalsmith.rediscovery.targets import Target

    targets = [Target(symbol, fcc(symbol)) for symbol in ("Cu", "Au")]
    for name, chosen in (("here", "local"), ("there", hostile)):
        settings = RediscoverySettings(
            settings=("wyckoff",), count=2, potential=EMT, workers=1, engine=chosen
        )
        rediscover_into(targets, tmp_path / name, settings, model=clever())
    names = ("results.csv", "results.json", "cif/*/*")
    assert files(tmp_path / "there", *names) == files(tmp_path / "here", *names)


def test_discover(hostile, tmp_path):
    from crystalsmith.discovery.run import discover_into
    from crystalsmith.discovery.settings import DiscoverySettings
    from crystalsmith.hull import Hull, Phase, References
    from crystalsmith.potentials import load_calculator

    phases = []
    for symbol in ("Cu", "Au"):
        atoms = fcc(symbol).to_atoms()
        atoms.calc = load_calculator(EMT)
        phases.append(Phase(f"{symbol}-fcc", {symbol: 1}, float(atoms.get_potential_energy()), 225, 1))
    small = DiscoverySettings(
        system=("Cu", "Au"),
        crystals=4,
        competitors=0,
        max_atoms=4,
        potential=EMT,
        keep_energies=3,
        keep_relaxed=2,
        shortlist=2,
        phonons=0,
        max_above_hull=2.0,
        max_calls=(3, 5),
    )
    found = []
    for name, chosen in (("here", Local(1)), ("there", hostile)):
        hull = Hull(References.of(phases, {"potential": EMT}))
        found.append(discover_into(small, tmp_path / name, hull=hull, engine=chosen))
    here, there = ([(n, c.states) for n, c in outcome.candidates.items()] for outcome in found)
    assert here == there
    assert files(tmp_path / "there", "*.csv", "cif/*") == files(tmp_path / "here", "*.csv", "cif/*")


def test_hull_build(hostile, tmp_path):
    from crystalsmith.data import pack
    from crystalsmith.hull.build import BuildSettings, build_references

    dataset = pack([fcc(symbol) for symbol in METALS], list(METALS), [0.0] * len(METALS))
    found = [
        build_references(dataset, tmp_path / f"{name}.npz", BuildSettings(EMT, engine=chosen, max_calls=3))
        for name, chosen in (("here", Local(1)), ("there", hostile))
    ]
    here, there = ([(p.id, p.energy, p.calls) for p in one] for one in found)
    assert here == there


def test_data_build(hostile, tmp_path):
    from crystalsmith.data.build import build

    source = tmp_path / "cifs"
    source.mkdir()
    for name, crystal in KNOWN.items():
        (source / f"{name.replace(' ', '_')}.cif").write_text(crystal.to_cif())
    for name, chosen in (("here", Local(1)), ("there", hostile)):
        assert build(source, tmp_path / name, engine=chosen).kept == len(KNOWN)
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert not (tmp_path / "there.engine").exists()


def test_evaluate(hostile, tmp_path):
    from crystalsmith.evaluation.run import evaluate_sets
    from crystalsmith.evaluation.settings import Settings

    sets = [("known", dict(KNOWN))]
    settings = Settings(metrics=("validity", "uniqueness"))
    here, there = (
        evaluate_sets(sets, dict(KNOWN), settings=settings, engine=chosen) for chosen in (Local(1), hostile)
    )
    assert repr(here.columns) == repr(there.columns) and here.columns[0].figures


def test_solve(hostile, tmp_path):
    """Its candidates, which are what an engine makes."""
    from crystalsmith.orders import parse_orders
    from crystalsmith.runs.progress import silent
    from crystalsmith.solving.candidates import make_candidates
    from crystalsmith.solving.settings import SolveSettings

    orders = parse_orders([{"id": "a", "formula": "TiO2", "count": 6}])
    settings = SolveSettings(formula="TiO2")
    found = []
    for name, chosen in (("here", Local(1)), ("there", hostile)):
        (tmp_path / name).mkdir()
        found.append(make_candidates(tmp_path / name, orders, settings, clever(), None, None, chosen, silent))
    here, there = ([(entry.index, entry.crystal, entry.seed) for entry, _ in one] for one in found)
    assert here == there and here
