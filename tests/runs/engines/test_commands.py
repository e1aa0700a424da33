"""Every command on an engine that loses, delays, doubles and halves its tasks: the files of a quiet run."""

import re
from pathlib import Path

import pytest
from hostile import Hostile, engine
from test_generation_output import EVERY_KIND

from crystals import KNOWN
from crystalsmith.crystal.io import read_records
from crystalsmith.generation import GenerateSettings, generate_into
from crystalsmith.potentials import RelaxSettings, Resources
from crystalsmith.potentials.run import relax_into
from crystalsmith.runs.engines import Local, remote
from fake_model import FakeModel
from joints import CONDITIONED, orders_of_every_kind
from metals import EMT, SEARCH, emt_references, fcc
from priors import clever

FAULTS = ["lost", "late", "twice", "half", "refused", "swapped", "lost", "late"]
METALS = {s: fcc(s, 3.5 + 0.1 * k) for k, s in enumerate(("Cu", "Ni", "Pd", "Ag", "Au", "Al"))}


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


def files(folder: Path, *names: str) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for n in names for p in folder.glob(n) if p.is_file()}
    assert found
    return found


def test_relax(hostile, tmp_path):
    for name, chosen in (("here", Local(1)), ("there", hostile)):
        relax_into(METALS, tmp_path / name, RelaxSettings(max_calls=10), Resources(EMT, engine=chosen))
    names = ("cif/*", "relaxed.csv", "relaxed.extxyz")
    assert files(tmp_path / "there", *names) == files(tmp_path / "here", *names)
    rows = (tmp_path / "there" / "journal.jsonl").read_text().splitlines()
    assert len(rows) == len(METALS)


def test_phonons(hostile, tmp_path):
    from crystalsmith.phonons import PhononSettings, phonons_into

    small = PhononSettings(length=4.0, max_atoms=8, elastic=False, relax=False)
    two = {symbol: METALS[symbol] for symbol in ("Cu", "Ni")}
    for name, chosen in (("here", Local(1)), ("there", hostile)):
        phonons_into(two, tmp_path / name, small, Resources(EMT, engine=chosen))
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


@pytest.fixture(scope="module")
def orders_made(tmp_path_factory):
    """Runs of orders of every kind that write shards: of a quiet one, and of an engine that loses tasks."""
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    folder = tmp_path_factory.mktemp("orders")
    executor = Hostile(["fine", *FAULTS])
    orders, there = orders_of_every_kind(folder), engine(folder, executor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "_LOOK_SECONDS", 0.01)
        for name, chosen in (("here", "local"), ("there", there)):
            settings = GenerateSettings(
                prototypes="none",
                batch_atoms=8,
                best_of=2,
                judges="agreement",
                format="parquet",
                engine=chosen,
            )
            assert generate_into(orders, folder / name, settings, model=clever()).complete
        there.close()
    assert len(executor.sizes) > len(FAULTS)
    return folder


@pytest.mark.parametrize("name", [*(order["id"] for order in EVERY_KIND), *CONDITIONED])
def test_every_kind_of_order(name, orders_made):
    here, there = (
        [
            (r.index, r.crystal, r.failure)
            for r in read_records(orders_made / run / "crystals.parquet")
            if r.id == name
        ]
        for run in ("here", "there")
    )
    assert here == there and here


def test_shards_of_every_kind_of_order(orders_made):
    names = ("crystals.parquet/*", "crystals.csv")
    assert files(orders_made / "there", *names) == files(orders_made / "here", *names)


def test_rediscover(hostile, tmp_path):
    from crystalsmith.rediscovery.run import rediscover_into
    from crystalsmith.rediscovery.settings import RediscoverySettings
    from crystalsmith.rediscovery.targets import Target

    targets = [Target(symbol, METALS[symbol]) for symbol in ("Cu", "Au")]
    for name, chosen in (("here", "local"), ("there", hostile)):
        settings = RediscoverySettings(
            settings=("wyckoff",), count=2, potential=EMT, workers=1, engine=chosen
        )
        rediscover_into(targets, tmp_path / name, settings, model=clever())
    names = ("results.csv", "results.json", "cif/*/*")
    assert files(tmp_path / "there", *names) == files(tmp_path / "here", *names)


def test_discover(hostile, tmp_path):
    from crystalsmith.discovery.run import discover_into
    from crystalsmith.hull import Hull

    found = []
    hull = Hull(emt_references())
    for name, chosen in (("here", Local(1)), ("there", hostile)):
        found.append(discover_into(SEARCH, tmp_path / name, hull=hull, engine=chosen))
    here, there = ([(n, c.states) for n, c in outcome.candidates.items()] for outcome in found)
    assert here == there
    assert files(tmp_path / "there", "*.csv", "cif/*") == files(tmp_path / "here", "*.csv", "cif/*")


def test_hull_build(hostile, tmp_path):
    from crystalsmith.data import pack
    from crystalsmith.hull.build import BuildSettings, build_references

    dataset = pack([*METALS.values()], list(METALS), [0.0] * len(METALS))
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
