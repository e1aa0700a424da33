"""The funnel: what it keeps, what it writes, and that a killed run ends as an undisturbed one."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sqlite3
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase.db
import numpy as np
import pytest
from kills import Killed, killed_at

import postgresql
from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.cli.output import plain as to_json
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.io import read_records
from crystalsmith.data import pack
from crystalsmith.diffusion import Model, load_model
from crystalsmith.discovery.candidate import Candidate, Novelty, State
from crystalsmith.discovery.clock import Clock
from crystalsmith.discovery.database import CrystalDatabase
from crystalsmith.discovery.orders import common_groups, make_orders
from crystalsmith.discovery.run import Outcome, discover_into
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.discovery.stages.duplicates import first_alike, first_matching
from crystalsmith.discovery.stages.relaxation import relax_symmetric, symmetric
from crystalsmith.discovery.stages.work import Member, Work
from crystalsmith.errors import DiscoveryError, HullError, OutputError
from crystalsmith.generation.known import KnownPhases
from crystalsmith.hull import Hull, Phase, References
from crystalsmith.potentials import Outcome as Relaxed
from crystalsmith.potentials import Relaxation
from crystalsmith.potentials.relaxation import SOUND
from crystalsmith.prior import KnownCrystals, Prototypes
from crystalsmith.runs.addresses import shown
from crystalsmith.runs.manifest import read_manifest
from metals import EMT, SEARCH, emt_energy, emt_references, fcc

SMALL = replace(
    SEARCH,
    crystals=10,
    max_atoms=6,
    keep_energies=6,
    keep_relaxed=4,
    shortlist=3,
    max_above_hull=1.0,
    max_calls=(15, 25),
)


@pytest.fixture(scope="module")
def model() -> Model:
    loaded = load_model()
    assert isinstance(loaded, Model)
    return loaded


def run(model: Model, folder: Path, settings: DiscoverySettings = SMALL, **options: Any) -> Outcome:
    return discover_into(settings, folder, model=model, hull=Hull(emt_references()), workers=1, **options)


@pytest.fixture(scope="module")
def undisturbed(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(model, tmp_path_factory.mktemp("discovery") / "run")


def plain(outcome: Outcome) -> dict[str, Any]:
    return {name: c.to_dict() for name, c in outcome.candidates.items()}


# --- the whole of it -------------------------------------------------------------------------------------


def test_the_stages_count_every_candidate(undisturbed: Outcome):
    stages = undisturbed.summary.stages
    assert stages[0].name == "generation" and stages[0].came == 10
    for before, after in pairwise(stages):
        assert after.came == before.went
    assert all(s.came - s.went == sum(s.reasons.values()) for s in stages)
    assert stages[-1].went == len(undisturbed.summary.shortlist) > 0
    gone = [c for c in undisturbed.candidates.values() if c.dropped is not None]
    assert len(gone) == sum(s.came - s.went for s in stages[1:])


def test_energies_and_hull_distances_are_what_ase_and_pymatgen_say(undisturbed: Outcome):
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    entries = [PDEntry(Composition(dict(p.counts)), p.energy * p.n_atoms) for p in emt_references()]
    diagram = PhaseDiagram([e for e in entries if set(e.composition.as_dict()) <= {"Cu", "Au"}])
    for c in undisturbed.summary.shortlist:
        assert [s.stage for s in c.states] == ["generated", "symmetric", "free"]
        for s in c.states:
            # The free relaxation's energy is of the crystal before its symmetry was made exact.
            assert s.energy == pytest.approx(emt_energy(s.crystal), abs=2e-3 if s.stage == "free" else 1e-5)
        assert c.states[0].energy >= c.states[1].energy >= c.states[2].energy - 1e-3
        entry = PDEntry(Composition(c.crystal.counts), c.energy * c.crystal.n_atoms)
        assert c.above_hull == pytest.approx(
            diagram.get_decomp_and_e_above_hull(entry, allow_negative=True)[1], abs=1e-5
        )
        assert c.formation == pytest.approx(diagram.get_form_energy_per_atom(entry), abs=1e-5)
        assert sum(c.decomposition.values()) == pytest.approx(1)


def test_the_short_list_is_sorted_and_holds_the_lowest(undisturbed: Outcome):
    above = [c.above_hull for c in undisturbed.summary.shortlist]
    assert above == sorted(above)
    placed = [
        c
        for c in undisturbed.candidates.values()
        if c.above_hull is not None and (c.dropped is None or c.dropped[1] == "beyond the short list")
    ]
    assert above == sorted(c.above_hull for c in placed)[: len(above)]


def test_the_database_is_read_by_ase_with_the_lineage(undisturbed: Outcome):
    with ase.db.connect(undisturbed.folder / "crystals.db") as db:
        assert db.count(stage="generated") == 10
        free = list(db.select("stage=free,above_hull<1.0"))
        assert len(free) >= len(undisturbed.summary.shortlist)
        for row in free:
            parent = db.get(row.parent)
            first = db.get(parent.parent)
            assert (parent.stage, first.stage) == ("symmetric", "generated")
            assert row.candidate == parent.candidate == first.candidate
            assert first.order in row.candidate
            c = undisturbed.candidates[row.candidate]
            assert row.energy == pytest.approx(c.energy * row.natoms)
            assert row.space_group == c.crystal.space_group
            assert row.above_hull == c.above_hull
            assert sorted(row.toatoms().symbols) == sorted(c.crystal.to_atoms().symbols)


def test_the_output_folder_has_the_files_that_users_read(undisturbed: Outcome):
    folder = undisturbed.folder
    with (folder / "candidates.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == len(undisturbed.summary.shortlist) == len(undisturbed.to_dataframe())
    assert list(undisturbed.crystals.names) == [
        c["name"] for c in to_json(undisturbed.to_dict())["shortlist"]
    ]
    for k, c in enumerate(undisturbed.summary.shortlist, 1):
        (cif,) = (folder / "cif").glob(f"{k:02d}-*.cif")
        assert Crystal.from_cif(cif.read_text()).space_group == c.crystal.space_group
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(c.name in page for c in undisturbed.summary.shortlist)
    assert (folder / "dft" / "vasp").is_dir() and (folder / "dft" / "qe").is_dir()


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 8, 11, 14])
def test_a_run_cut_off_anywhere_ends_as_an_undisturbed_one(
    model: Model, undisturbed: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
):
    """The process ends at the so manieth write, which is lost, as kill -9 would have it."""
    killed_at(stop, monkeypatch)
    try:
        run(model, tmp_path / "run")
        cut = False
    except Killed:
        cut = True
    assert cut or stop > 5
    monkeypatch.undo()
    again = run(model, tmp_path / "run")
    assert plain(again) == plain(undisturbed)
    assert (tmp_path / "run" / "candidates.csv").read_bytes() == (
        undisturbed.folder / "candidates.csv"
    ).read_bytes()


def test_nothing_is_computed_twice(model: Model, undisturbed: Outcome, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("crystalsmith.runs.engines.local.parallel_each", refuse)
    monkeypatch.setattr("crystalsmith.discovery.stages.generation.generate_parts", refuse)
    monkeypatch.setattr(CrystalDatabase, "update", refuse)
    assert plain(run(model, undisturbed.folder)) == plain(undisturbed)


def test_a_run_of_an_earlier_version_is_gone_on_with(
    model: Model, undisturbed: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It wrote ``run.json`` in place of a manifest."""
    old = shutil.copytree(undisturbed.folder, tmp_path / "run")
    manifest = json.loads((old / "manifest.json").read_text())
    (old / "manifest.json").unlink()
    earlier = {"format": "crystalsmith.discovery", "id": manifest["id"], "identity": manifest["run"]}
    (old / "run.json").write_text(json.dumps({**earlier, "arguments": {}, "versions": {}}))
    with pytest.raises(OutputError, match="another seed: 0 there, 1 now"):
        run(model, old, replace(SMALL, seed=1))
    monkeypatch.setattr(CrystalDatabase, "add_generated", None)
    monkeypatch.setattr(CrystalDatabase, "update", None)
    assert plain(run(model, old)) == plain(undisturbed)
    assert read_manifest(old)["id"] == manifest["id"] and read_manifest(old)["status"] == "finished"


def test_calculations_are_never_replaced(model: Model, undisturbed: Outcome, tmp_path: Path):
    folder = shutil.copytree(undisturbed.folder, tmp_path / "run")
    output = next(folder.glob("dft/vasp/01-*/relax")) / "OUTCAR"
    output.write_text("days of work")
    assert any("holds calculations and is left as it is" in note for note in run(model, folder).notes)
    with pytest.raises(OutputError, match="holds calculations already"):
        run(model, folder, overwrite=True)
    assert output.read_text() == "days of work" and (folder / "crystals.db").exists()


def test_references_that_dft_lacks_are_named_at_the_end(model: Model, tmp_path: Path):
    """A phase of the hull has no structure here; a file may bring it."""
    low = Phase("ref-7", {"Cu": 1, "Au": 1}, emt_energy(fcc("Cu", 3.61)) - 0.5, 123, 1)
    hull = Hull(References.of([*emt_references(), low], {"potential": EMT}))
    settings = replace(SMALL, max_above_hull=9.0)
    options: dict[str, Any] = {"model": model, "hull": hull, "workers": 1}
    outcome = discover_into(settings, tmp_path / "named", **options)
    text = "\n".join(outcome.notes)
    assert "CuAu (ref-7)" in text and "would fall into" in text
    assert "CuAu (ref-7)" in (tmp_path / "named/dft/README.txt").read_text()
    layered = Crystal(123, (2.8, 2.8, 3.7, 90, 90, 90), (Site("Cu", "a", ()), Site("Au", "d", ())))
    (tmp_path / "phases.cif").write_text(layered.to_cif())
    again = discover_into(settings, tmp_path / "named", structures=[tmp_path / "phases.cif"], **options)
    assert "CuAu (ref-7)" not in "\n".join(again.notes)
    assert any("CuAu" in name for name, _ in again.summary.references)


def test_a_potential_that_throws_costs_its_crystals_only(model: Model, tmp_path: Path):
    settings = replace(SMALL, potential="emt_potential:fragile")
    hull = Hull(References.of(list(emt_references()), {"potential": settings.potential}))
    outcome = discover_into(settings, tmp_path / "run", model=model, hull=hull, workers=1)
    lost = [c for c in outcome.candidates.values() if c.dropped and c.dropped[1].startswith("no energy")]
    large = [c for c in outcome.candidates.values() if c.states[0].crystal.n_atoms > 4]
    asked = {c.name for c in large if c.dropped is None or c.dropped[0] not in ("duplicates", "score")}
    assert {c.name for c in lost} == asked and asked
    assert all("too large for me" in c.dropped[1] for c in lost)


def test_time_that_is_over_ends_the_stages_but_not_the_run(model: Model, tmp_path: Path):
    outcome = run(model, tmp_path / "run", replace(SMALL, minutes=1e-6))
    reasons = {r for s in outcome.summary.stages for r in s.reasons}
    assert "no time left" in reasons
    assert plain(run(model, tmp_path / "run", replace(SMALL, minutes=1e-6))) == plain(outcome)


UNSOUND = (
    "collapsed",
    "left the bounds",
    "too close",
    "not finite",
    "the potential failed: ouch",
    "atoms overlap",
)


@pytest.mark.parametrize("reason", [*UNSOUND, *SOUND])
def test_a_relaxation_counts_where_it_is_sound_and_only_there(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    crystal = fcc("Cu", 3.61)
    done = Relaxation(crystal, -3.5, 7, reason == "converged", reason, -3.0, 0.1, 0.01)
    outcome = Relaxed(crystal, ("symmetric",), {"symmetric": done}, -3.0)

    def relax(crystals: Any, *args: Any, on_done: Any, **options: Any) -> None:
        for name in crystals:
            on_done(name, outcome, 0.1)

    monkeypatch.setattr("crystalsmith.discovery.stages.relaxation.relax_many", relax)
    whole = {"a": Candidate("a", {"id": "a"}, 1, (State("generated", crystal),))}
    nobody: Any = SimpleNamespace(update=lambda pairs: None)
    hull = Hull(References.of([Phase("cu", {"Cu": 1}, -3.6, 225, 1)], {"potential": EMT}))
    clock = Clock(tmp_path / "c.json")
    work = Work(SMALL, nobody, [], hull, nobody, nobody, clock, whole, [], folder=tmp_path)
    relax_symmetric([Member(work, ["a"])])
    gone = symmetric(work, ["a"])
    if reason in SOUND:
        assert gone == {} and work.energy("a", "symmetric") == -3.5
    else:
        assert gone == {"a": f"relaxation failed: {reason}"} and work.state("a", "symmetric").energy is None


# --- what is refused -------------------------------------------------------------------------------------


def test_folders_and_databases_that_are_refused(model: Model, undisturbed: Outcome, tmp_path: Path):
    with pytest.raises(OutputError, match="another seed"):
        run(model, undisturbed.folder, replace(SMALL, seed=1))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match="is not empty and holds no run of discover"):
        run(model, tmp_path / "foreign")
    with pytest.raises(OutputError, match="is a file"):
        run(model, tmp_path / "foreign" / "thesis.tex")
    with pytest.raises(HullError, match="Ag"):
        run(model, tmp_path / "silver", replace(SMALL, system=("Cu", "Ag")))
    with pytest.raises(DiscoveryError, match="1 elements"):
        replace(SMALL, system=("Cu",))


def test_what_is_missing_is_told_before_anything_is_done(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "phonopy", None)
    monkeypatch.setitem(sys.modules, "seekpath", None)
    monkeypatch.setitem(sys.modules, "mp_api", None)
    with pytest.raises(DiscoveryError, match=r"phonopy and seekpath and mp-api.* install"):
        run(model, tmp_path / "run", replace(SMALL, phonons=1), materials_project=True)
    assert not (tmp_path / "run").exists()


def test_a_damaged_database_is_told_and_left_alone(model: Model, tmp_path: Path):
    run(model, tmp_path / "run", replace(SMALL, crystals=2))
    file = tmp_path / "run" / "crystals.db"
    damaged = b"no database at all" + file.read_bytes()[18:]
    file.write_bytes(damaged)
    with pytest.raises(DiscoveryError, match=r"crystals\.db is damaged"):
        run(model, tmp_path / "run", replace(SMALL, crystals=2))
    assert file.read_bytes() == damaged
    run(model, tmp_path / "run", replace(SMALL, crystals=2), overwrite=True)


def test_a_row_that_cannot_be_understood_is_named(tmp_path: Path):
    store = CrystalDatabase(str(tmp_path / "x.db"), "r")
    with ase.db.connect(tmp_path / "x.db") as db:
        db.write(KNOWN["diamond"].to_atoms(), run="r", stage="generated", candidate="c-1")
    with pytest.raises(DiscoveryError, match="row 1 is damaged"):
        store.load()


def test_a_folder_in_use_is_refused(model: Model, tmp_path: Path):
    from crystalsmith.runs.lock import FolderLock

    (tmp_path / "run").mkdir()
    lock = FolderLock.take(tmp_path / "run" / ".lock")
    try:
        with pytest.raises(OutputError, match="another process"):
            run(model, tmp_path / "run")
    finally:
        lock.release()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Cu"], "1 element; give 2 to 6"),
        (["Cu-Ag-Au-Ni-Pd-Pt-Al-H"], "8 elements; give 2 to 6"),
        (["Cu-Xx"], "'Xx' is no element"),
        (["Cu-Au-Cu"], "names an element twice"),
        (["Cu-Au", "--potential", "nonsense"], "unknown potential"),
        (["Cu-Au", "--potential", "mace:none.model"], "mace"),
        (["Cu-Au", "--potential", EMT], "no reference phases come with the package"),
        (["Cu-Au", "--formulas", "CuAu3,NaCl"], "which the system lacks"),
        (["Cu-Au", "--space-groups", "231"], "231"),
        (["Cu-Au", "--method", "paper"], "--method paper"),
        (["Cu-Au", "--references", "none.npz"], "no file none.npz"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
):
    monkeypatch.chdir(tmp_path)
    assert main(["discover", *arguments, "-o", "out"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_command_line_prints_the_funnel_and_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    emt_references().save("emt.npz")
    command = ["discover", "Cu-Au", "-n", "6", "--max-atoms", "4", "--potential", EMT]
    command += [
        "--references",
        "emt.npz",
        "--phonons",
        "0",
        "--workers",
        "1",
        "--max-above-hull",
        "2",
        "-o",
        "o",
    ]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "generation" in out and "free relaxation" in out and "report.html" in out
    with (tmp_path / "o" / "candidates.csv").open() as f:
        assert all(row["formula"] in out for row in csv.DictReader(f))


# --- the parts -------------------------------------------------------------------------------------------


def a_candidate() -> Candidate:
    states = (
        State("generated", KNOWN["rutile"], -8.0, None, "single point"),
        State("symmetric", KNOWN["rutile"], -8.5, True, "converged", 12),
    )
    return Candidate(
        "TiO2-0001",
        {"id": "TiO2", "formula": "TiO2", "count": 3, "index": 1, "attempt": 1},
        77,
        states,
        score=1.5,
        log_prior=-2.0,
        above_hull=-0.01,
        formation=-3.0,
        decomposition={"Ti (x)": 0.25, "O2 (y)": 0.75},
        novelty=Novelty("known", "TiO2 (P4_2/mnm)", "", "nothing"),
        phonons={"stable": True, "min_frequency": -0.01},
        dropped=("novelty", "known: TiO2"),
    )


def test_candidates_survive_json():
    c = a_candidate()
    assert Candidate.from_dict(json.loads(json.dumps(c.to_dict()))) == c
    assert c.energy == -8.5 and c.crystal is c.states[-1].crystal


class _Record:
    """What the generator tells of a try."""

    def __init__(self, order_id: str, index: int, tries: int, failure: str | None) -> None:
        self.order_id, self.index, self.tries, self.failure = order_id, index, tries, failure


def test_the_database_gives_back_what_it_was_given(tmp_path: Path):
    store = CrystalDatabase(str(tmp_path / "x.db"), "run-a")
    other = CrystalDatabase(str(tmp_path / "x.db"), "run-b")
    whole = a_candidate()
    first = Candidate(
        whole.name, whole.order, whole.seed, (State("generated", KNOWN["rutile"]),), log_prior=-2.0
    )
    store.add_generated(
        [(_Record("TiO2", 0, 1, "flat cell"), None), (_Record("TiO2", 1, 1, None), first)]  # type: ignore[list-item]
    )
    assert store.load() == ({first.name: first}, [("TiO2", 0, 1, "flat cell")])
    store.update([(first, whole)])
    assert CrystalDatabase(str(tmp_path / "x.db"), "run-a").load()[0] == {whole.name: whole}
    back = replace(whole, dropped=None, above_hull=0.02)
    store.update([(whole, back)])
    assert store.load()[0] == {whole.name: back}
    with ase.db.connect(tmp_path / "x.db") as db:
        assert db.count("dropped_at") == 0 and db.get(stage="symmetric").above_hull == 0.02
    assert other.load() == ({}, [])


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path):
    store = CrystalDatabase(str(tmp_path / "x.db"), "r")
    good = Candidate("a", {"id": "a"}, 1, (State("generated", KNOWN["rutile"]),))
    bad = Candidate("b", {"id": object()}, 1, (State("generated", KNOWN["rutile"]),))
    with pytest.raises(DiscoveryError):
        store.add_generated([(_Record("a", 0, 1, None), good), (_Record("b", 0, 1, None), bad)])  # type: ignore[list-item]
    assert store.load() == ({}, [])


def test_a_locked_database_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = CrystalDatabase(str(tmp_path / "x.db"), "r")

    def locked(*arguments: Any, **options: Any) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(store._db, "select", locked)
    with pytest.raises(DiscoveryError, match="another process is at work"):
        store.load()


def test_duplicates_are_found_whatever_their_setting():
    rutile = KNOWN["rutile"]
    moved = Crystal(
        136, rutile.cell, (Site("Ti", "b", ()), Site("O", "f", (0.8057,)))
    )  # origin at the other Ti
    near = Crystal(136, rutile.cell, (Site("Ti", "a", ()), Site("O", "f", (0.3067,))))
    crystals = [rutile, KNOWN["anatase"], near, KNOWN["marcasite"], moved, KNOWN["anatase"]]
    assert first_alike(crystals) == [0, 1, 0, 3, 0, 1]
    assert first_matching(crystals, [-1.0, -1.1, -1.0, -2.0, -1.0, -1.1]) == [0, 1, 0, 3, 0, 1]
    assert first_matching(crystals[:1] + crystals[2:3], [-1.0, -0.9]) == [0, 1]


def index() -> Prototypes:
    from crystalsmith.data.wyckoff import Occupations

    data = pack([KNOWN["rock salt"], KNOWN["rutile"], KNOWN["perovskite"]])
    a = data.arrays
    return Prototypes(
        KnownCrystals.read(
            Occupations(
                space_group=np.array(a["space_group"]),
                start=np.array(a["start"]),
                element=np.array(a["element"]),
                wyckoff=np.array(a["wyckoff"]),
            )
        )
    )


def test_novelty_tells_known_from_new(tmp_path: Path):
    known = KnownPhases(index(), [Phase("mp-1", {"Ti": 1, "O": 2}, -1.0, 136)])
    rutile = known.judge(KNOWN["rutile"])
    assert not rutile.is_new and "mp-1" in rutile.nearest
    shifted = Crystal(136, KNOWN["rutile"].cell, (Site("Ti", "b", ()), Site("O", "f", (0.8057,))))
    assert not known.judge(shifted).is_new
    anatase = known.judge(KNOWN["anatase"])
    assert anatase.verdict == "new structure" and "P4_2/mnm" in anatase.nearest
    salt = Crystal(225, (6.6, 6.6, 6.6, 90, 90, 90), (Site("K", "a", ()), Site("Br", "b", ())))
    found = known.judge(salt)
    assert found.verdict == "new composition" and found.prototype == "NaCl (Fm-3m)"
    assert known.judge(KNOWN["diamond"]).prototype == ""
    (tmp_path / "mine.cif").write_text(KNOWN["anatase"].to_cif())
    mine = KnownPhases(index(), files=[tmp_path / "mine.cif"])
    assert mine.judge(KNOWN["anatase"]).verdict == "known"


def test_the_grid_is_the_papers(model: Model):
    groups = common_groups(model)
    assert len(groups) == len(set(groups)) == 32 and min(groups) >= 16 and {225, 62, 139} <= set(groups)
    settings = DiscoverySettings(("Cu", "K", "Si"), common=True, competitors=0)
    orders, _ = make_orders(settings, model)
    # One or two sites of each of three elements, at most four together: 4 ways; 60 of each.
    numbers = {tuple(o.sites.values()) for o in orders}
    assert numbers <= {(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)} and len(orders) > 100
    assert {o.space_group for o in orders} <= set(groups) and {o.count for o in orders} == {60}


def test_orders_of_subsystems_and_formulas(model: Model):
    settings = DiscoverySettings(
        ("Cu", "K", "Si"), crystals=50, competitors=7, formulas=("Cu2KSi",), samples=9
    )
    orders, _ = make_orders(settings, model)
    assert {o.id: o.count for o in orders} == {
        "Cu2KSi": 9,
        "Cu-K-Si": 50,
        "Cu-K": 7,
        "Cu-Si": 7,
        "K-Si": 7,
    }


def test_the_clock_shares_time_out_and_remembers(tmp_path: Path):
    time = 0.0
    clock = Clock(tmp_path / "c.json", 1.0, now=lambda: time)
    with clock.stage("generation"):
        time = 14.0
        assert not clock.over
        time = 16.0
        assert clock.over  # a quarter of a minute
    again = Clock.open(tmp_path / "c.json", 1.0)
    assert again.seconds == {"generation": 16.0} and again.closed == {"generation"}
    with pytest.raises(KeyboardInterrupt), again.stage("score"):
        raise KeyboardInterrupt
    assert Clock.open(tmp_path / "c.json", 1.0).closed == {"generation"}
    (tmp_path / "c.json").write_text("{")
    assert Clock.open(tmp_path / "c.json", None).seconds == {}


def test_a_run_on_a_server_is_that_of_a_file(model: Model, undisturbed: Outcome, tmp_path: Path):
    """Cut off after a stage as well, and gone on with."""
    pytest.importorskip(
        "ase_db_backends", reason="ase-db-backends, of the extra postgresql, is not installed"
    )
    if reason := postgresql.lacking():
        pytest.skip(reason)

    def stop(count: Any) -> None:
        if count.name == "score":
            raise KeyboardInterrupt

    with postgresql.running() as server:
        with pytest.raises(KeyboardInterrupt):
            run(model, tmp_path / "run", database=server.url, finished=stop)
        outcome = run(model, tmp_path / "run", database=server.url)
    assert plain(outcome) == plain(undisturbed)
    tables = [(o.folder / "candidates.csv").read_bytes() for o in (outcome, undisturbed)]
    assert tables[0] == tables[1]
    written = [f for f in (tmp_path / "run").rglob("*") if f.is_file()]
    assert not [f for f in written if postgresql.PASSWORD.encode() in f.read_bytes()]
    assert not (tmp_path / "run" / "crystals.db").exists()


def test_shards_hold_every_candidate(model: Model, undisturbed: Outcome, tmp_path: Path):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    shutil.copytree(undisturbed.folder, tmp_path / "run")
    outcome = run(model, tmp_path / "run", replace(SMALL, format="parquet"))
    records = {r.id: r for r in read_records(tmp_path / "run" / "crystals.parquet")}
    assert {n: r.crystal for n, r in records.items()} == {n: c.crystal for n, c in outcome.candidates.items()}
    for name, candidate in outcome.candidates.items():
        told = [None if math.isnan(x) else x for x in (records[name].energy, records[name].e_above_hull)]
        assert told == [candidate.energy, candidate.above_hull]


def test_a_password_is_not_written_down():
    assert shown("postgresql://me:secret@host:5432/db") == "postgresql://me@host:5432/db"
    assert shown("runs/crystals.db") == "runs/crystals.db"
    with pytest.raises(DiscoveryError) as caught:
        CrystalDatabase("postgresql://me:secret@localhost:1/db", "r").load()
    assert "secret" not in str(caught.value)


def test_the_short_list_is_examined_for_phonons(model: Model, tmp_path: Path):
    """EMT's gold and copper mix: phonons by phonopy, their files beside the report, verdicts in the list."""
    pytest.importorskip("phonopy")
    settings = replace(SMALL, crystals=6, max_atoms=4, phonons=1, seed=3)
    outcome = run(model, tmp_path / "run", settings)
    (studied,) = [c for c in outcome.summary.shortlist if c.phonons is not None]
    assert studied.phonons.get("failure") is None
    assert studied.phonons["stable"] in (True, False, None)
    assert studied.elastic["stable"] == (np.linalg.eigvalsh(np.array(studied.elastic["tensor"])).min() > 0)
    for suffix in (".png", ".json", "_phonopy_params.yaml"):
        assert (tmp_path / "run" / "phonons" / f"{studied.name}{suffix}").stat().st_size > 100
    with ase.db.connect(tmp_path / "run" / "crystals.db") as db:
        (row,) = db.select("min_frequency<100")
        assert row.candidate == studied.name and row.min_frequency == studied.phonons["min_frequency"]
    assert plain(run(model, tmp_path / "run", settings)) == plain(outcome)
