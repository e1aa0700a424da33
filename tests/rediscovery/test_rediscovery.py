"""Known crystals found again: what is told of them, what counts as found, and runs that are cut off."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from test_generation_output import child, die_at

import crystalsmith.cli.options
from crystals import FORMULAS, KNOWN
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffusion import Request
from crystalsmith.errors import ConfigError, DataError, EvaluationError, OutputError, RelaxationError
from crystalsmith.orders import parse_order
from crystalsmith.potentials import Relaxation
from crystalsmith.rediscovery import trials as rediscovery_trials
from crystalsmith.rediscovery.findings import Finding, count, to_csv
from crystalsmith.rediscovery.match import cell_like, cell_text, displacements
from crystalsmith.rediscovery.run import rediscover_into
from crystalsmith.rediscovery.settings import RediscoverySettings
from crystalsmith.rediscovery.targets import Target, read_targets
from crystalsmith.rediscovery.trials import Outcome, State, Trial, Trials, assess
from crystalsmith.runs.engines import Local
from crystalsmith.runs.folder import Journal
from crystalsmith.runs.pool import Failed
from fake_model import FakeModel
from priors import known_occupations, small_network

NAMES = ("rutile", "rock salt", "zinc blende")
DENSE = 16.0  # Angstrom^3 per atom where the potential of these tests is lowest; no bond is too short there


class Volume(Calculator):
    """A potential that knows only one thing: how much room an atom should have."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        n, volume = len(atoms), atoms.get_volume()
        off = volume / n - DENSE
        self.results = {
            "energy": n * off**2 / 10,
            "forces": np.zeros((n, 3)),
            "stress": np.array([1, 1, 1, 0, 0, 0]) * off / 5,
        }


class Nothing(Calculator):
    """A potential without an answer."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": np.nan, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


POTENTIAL = f"{__name__}:Volume"


class Memory(FakeModel):
    """Makes published crystals, a few percent too large, where it is asked for their letters."""

    def __init__(self) -> None:
        super().__init__(prior=small_network(), occupations=known_occupations())

    def _crystal(self, request: Request, seed: int) -> Crystal:
        wanted = sorted(request.sites)
        for known in KNOWN.values():
            if known.space_group == request.space_group and wanted == sorted(
                (s.element, s.letter) for s in known.sites
            ):
                scale = 1.02 + 0.02 * np.random.default_rng(seed).random()
                return stretched(known, scale)
        return super()._crystal(request, seed)


def stretched(crystal: Crystal, scale: float) -> Crystal:
    a, b, c, *angles = crystal.cell
    return Crystal(crystal.space_group, (a * scale, b * scale, c * scale, *angles), crystal.sites)  # type: ignore[arg-type]


def write_targets(path: Path, names: Sequence[str] = NAMES) -> Path:
    rows = []
    for name in names:
        symbols, fractional = KNOWN[name].positions(primitive=False)
        row = {"cell": KNOWN[name].cell, "species": symbols, "frac": fractional.tolist()}
        rows.append({"id": name.replace(" ", "-"), **row})
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.fixture
def targets(tmp_path: Path) -> list[Target]:
    return read_targets(write_targets(tmp_path / "known.jsonl"))


def plan(**changes: Any) -> RediscoverySettings:
    return RediscoverySettings(**{"count": 4, "potential": POTENTIAL, "workers": 1, **changes})


def find(targets: list[Target], folder: Path, model: FakeModel | None = None, **changes: Any):
    found = rediscover_into(targets, folder, plan(**changes), model=model or Memory())  # type: ignore[arg-type]
    return {(f.setting, f.target.id): f for f in found.findings}


# --- what is told of a target ---


def test_each_setting_tells_what_it_says_and_nothing_else(targets: list[Target]) -> None:
    rutile = targets[0]
    assert rutile.crystal.formula == FORMULAS["rutile"]
    assert rutile.order("sites", 5) == {
        "id": "rutile",
        "space_group": 136,
        "sites": {"Ti": 1, "O": 1},
        "count": 5,
    }
    assert rutile.order("formula", 5) == {"id": "rutile", "formula": "TiO2", "count": 5}
    assert rutile.order("formula", 5, max_atoms=24)["max_atoms"] == 24
    assert rutile.order("formula+group", 1) == {
        "id": "rutile",
        "formula": "TiO2",
        "space_group": 136,
        "count": 1,
    }
    assert rutile.order("wyckoff", 1)["wyckoff"] == [["Ti", "a"], ["O", "f"]]
    for setting in ("sites", "formula", "formula+group", "wyckoff"):
        parse_order(rutile.order(setting, 2, max_atoms=None))
    with pytest.raises(EvaluationError, match="unknown setting 'colour'"):
        rutile.order("colour", 1)


def test_targets_that_cannot_be_used_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_targets(tmp_path / "twice.jsonl", ["rutile", "rutile"])
    assert [target.id for target in read_targets(path)] == ["rutile_0", "rutile_1"]
    path.write_text(path.read_text().replace("rutile", "Rutile", 1))
    with pytest.raises(EvaluationError, match="two targets have the id rutile but for case"):
        read_targets(path)
    good = path.read_text().splitlines()[1]
    path.write_text(
        good + "\n" + json.dumps({"id": "odd", "cell": [1, 2], "species": ["Na"], "frac": []}) + "\n"
    )
    assert [target.id for target in read_targets(path)] == ["rutile"]
    assert "odd is left out: unreadable" in caplog.text
    with pytest.raises(DataError):
        read_targets(tmp_path / "missing.jsonl")


# --- what counts as found ---


def test_loose_tolerances_let_zinc_blende_pass_for_rock_salt_and_strict_ones_do_not() -> None:
    blende = KNOWN["zinc blende"]
    salt = Crystal(225, (5.2,) * 3 + (90,) * 3, (Site("Zn", "a", ()), Site("S", "b", ())))  # type: ignore[arg-type]
    loose, strict = displacements(salt, blende)
    assert loose is not None and loose > 0.4 and strict is None
    assert displacements(stretched(blende, 1.1), blende) == pytest.approx((0, 0), abs=1e-6)
    assert displacements(KNOWN["anatase"], KNOWN["rutile"])[1] is None


def test_cells_are_compared_in_the_axes_of_the_reference() -> None:
    marcasite = KNOWN["marcasite"]
    a, b, c, *_ = marcasite.cell
    # The same crystal with its axes in another order, without symmetry.
    symbols, fractional = marcasite.positions(primitive=False)
    sites = tuple(Site(s, "a", tuple(f)) for s, f in zip(symbols, fractional[:, [2, 0, 1]], strict=True))
    turned = Crystal(1, (c * 1.01, a * 1.02, b * 1.03, 90, 90, 90), sites)
    assert cell_like(turned, marcasite) == pytest.approx((a * 1.02, b * 1.03, c * 1.01, 90, 90, 90))
    # Rutile as a cell twice as long, nearly: its translation is found, and the cells are alike again.
    rutile = KNOWN["rutile"]
    symbols, fractional = rutile.positions(primitive=False)
    halves = [
        (s, (x, y, (z + k) / 2)) for s, (x, y, z) in zip(symbols, fractional, strict=True) for k in (0, 1)
    ]
    halves[0] = halves[0][0], (0.001, 0.0, 0.0)
    a, b, c, *_ = rutile.cell
    long = Crystal(1, (a, b, 2.1 * c, 90, 90, 90), tuple(Site(s, "a", tuple(f)) for s, f in halves))
    assert cell_like(long, rutile) == pytest.approx((a, b, 1.05 * c, 90, 90, 90))
    salt = stretched(KNOWN["rock salt"], 1.05)  # primitive against conventional
    assert cell_like(salt, KNOWN["rock salt"]) == pytest.approx((5.6402 * 1.05,) * 3 + (90,) * 3)


def test_a_cell_is_named_by_what_its_family_leaves_open() -> None:
    assert cell_text((4, 4, 4, 90, 90, 90), 225) == "4.000"
    assert cell_text((4, 4, 5.5, 90, 90, 120), 194) == "4.000, 5.500"
    assert cell_text((4, 4.2, 5.5, 90, 90, 119), 194) == "4.000, 4.200, 5.500, γ 119.0"
    assert cell_text((4, 5, 6, 90, 99.23, 90), 14) == "4.000, 5.000, 6.000, β 99.2"
    assert cell_text((4, 5, 6, 90, 90, 90), 1) == "4.000, 5.000, 6.000, α 90.0, β 90.0, γ 90.0"


def test_relaxation_moves_the_lattice_and_what_cannot_be_relaxed_stays_as_it_was() -> None:
    target = stretched(KNOWN["rock salt"], (DENSE / (5.6402**3 / 8)) ** (1 / 3))
    start = stretched(target, 1.06)
    done = assess(Trial(start, target, POTENTIAL, 60))
    assert done.before.crystal == start and done.after is not None and done.reason == "converged"
    assert done.after.crystal.cell == pytest.approx(target.cell, rel=2e-3)
    assert done.energy == pytest.approx(0, abs=1e-3)
    assert Outcome.from_dict(json.loads(json.dumps(done.to_dict()))) == done
    lost = assess(Trial(start, target, f"{__name__}:Nothing", 60))
    assert lost.after is None and lost.reason == "not finite" and lost.before == done.before
    unrelaxed = assess(Trial(start, target, None, 60))
    assert unrelaxed.after is None and unrelaxed.before == done.before


@pytest.mark.parametrize(
    "reason",
    ["collapsed", "left the bounds", "too close", "not finite", "the potential failed", "stalled"],
)
def test_only_sound_relaxations_have_an_energy(reason: str, monkeypatch: Any) -> None:
    salt = KNOWN["rock salt"]
    ended = Relaxation(salt, -9.0, 5, False, reason, -3.0, 0.1, 0.1)
    monkeypatch.setattr(rediscovery_trials, "relax_symmetric", lambda *args: ended)
    done = assess(Trial(salt, salt, POTENTIAL, 60))
    assert (done.after is None, done.energy) == ((False, -9.0) if reason == "stalled" else (True, None))
    assert done.reason == reason and done.calls == 5


def found(*rms: tuple[float | None, float | None, float]) -> Finding:
    """Attempts with displacements before and after, at both tolerances alike, and energies, by rank."""
    from crystalsmith.rediscovery.findings import Attempt

    crystal = KNOWN["rutile"]
    attempts = [
        Attempt(
            2 * k + 1,
            10 + k,
            Outcome(State(crystal, (x, None)), State(crystal, (y, y)), e),
        )
        for k, (x, y, e) in enumerate(rms)
    ]
    return Finding(Target("t", crystal), "sites", 50, tuple(attempts))


def test_counts_and_ranks() -> None:
    f = found((None, None, -1.0), (0.2, 0.1, -3.0), (0.1, None, -4.0))
    assert [f.first_rank("before"), f.first_rank("after"), f.first_rank("before", 1)] == [3, 3, None]
    assert len(f.matches("before")) == 2 and not f.recovered("before", 1) and f.recovered("after", 1)
    assert f.lowest_matches() is False  # the lowest lost its match
    assert (
        f.shown is not None and f.shown.index == 11
    )  # matches before and after, though not the nearest before
    top = found((0.3, 0.3, -1.0))
    field, strict = count([f, top, found((None, None, 0.0))])
    assert (field.targets, field.before, field.after, field.top_before, field.lowest) == (3, 2, 2, 1, 1)
    assert (strict.before, strict.after, strict.top_before, strict.top_after) == (0, 2, 0, 1)
    assert found((None, None, 0.0)).shown is None


# --- runs ---


def test_known_crystals_are_found_and_other_compositions_do_not_count(
    tmp_path: Path, targets: list[Target]
) -> None:
    folder = tmp_path / "out"
    by = find(targets, folder)
    assert list(by) == [(s, t.id) for s in ("sites", "formula") for t in targets]
    for finding in by.values():
        assert finding.made == 4 and not finding.failures
        assert all(
            a.outcome.before.crystal.formula == finding.target.crystal.formula for a in finding.attempts
        )
    rutile = by["sites", "rutile"]
    assert rutile.recovered("before", 1) and rutile.recovered("after", 1)
    assert by["formula", "rutile"].recovered("before", 1)
    assert len(by["formula", "rutile"].attempts) == 4
    results = json.loads((folder / "results.json").read_text())
    assert [(c["setting"], c["tolerances"]) for c in results["counts"]] == [
        (s, t) for s in ("sites", "formula") for t in ("field", "strict")
    ]
    assert results["counts"][1]["before"] == 3
    rows = list(csv.DictReader((folder / "results.csv").open()))
    assert len(rows) == 6 and rows[0]["id"] == "rutile" and rows[0]["setting"] == "sites"
    assert float(rows[0]["c_reference"]) == pytest.approx(2.9589)
    assert 1.02 < float(rows[0]["a_generated"]) / 4.5941 < 1.04
    cifs = {p.name for p in (folder / "matches" / "rutile").iterdir()}
    attempt = rutile.matches("before")[0]
    assert {"reference.cif", f"sites_{attempt.index}.cif", f"sites_{attempt.index}_relaxed.cif"} <= cifs
    text = (folder / "matches" / "rutile" / f"sites_{attempt.index}.cif").read_text()
    assert Crystal.from_cif(text).wyckoff == "Ti:a O:f"


def test_crystals_of_another_composition_keep_their_rank_and_are_not_compared(
    tmp_path: Path, targets: list[Target]
) -> None:
    perovskite = read_targets(write_targets(tmp_path / "one.jsonl", ["perovskite"]))
    (finding,) = find(perovskite, tmp_path / "out", settings=("sites",), count=12).values()
    assert finding.made == 12 and 0 < len(finding.attempts) < 12  # oxygen may have 1, 3, 6 ... atoms
    assert len((tmp_path / "out" / "trials.jsonl").read_text().splitlines()) == len(finding.attempts)
    ranks = [a.rank for a in finding.attempts]
    assert ranks == sorted(set(ranks)) and max(ranks) <= 12


def test_a_second_run_only_reads(tmp_path: Path, targets: list[Target], monkeypatch: Any) -> None:
    folder = tmp_path / "out"
    find(targets, folder, settings=("sites",))
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "run.log"}
    monkeypatch.setattr(rediscovery_trials, "assess", lambda trial: pytest.fail("assessed twice"))
    model = Memory()
    find(targets, folder, model, settings=("sites",))
    assert model.batches == []
    assert {p: p.read_bytes() for p in folder.rglob("*") if p in before} == before


def test_only_the_best_are_relaxed_where_asked(tmp_path: Path, targets: list[Target]) -> None:
    by = find(targets, tmp_path / "out", relax=1, settings=("wyckoff",))
    for finding in by.values():
        assert [a.outcome.after is not None for a in finding.attempts] == [True, False, False, False]
        assert finding.first_rank("after") == 1 and len(finding.matches("before")) == 4
    by = find(targets, tmp_path / "out", settings=("wyckoff",))  # the rest, in the same folder
    assert all(a.outcome.after is not None for f in by.values() for a in f.attempts)
    by = find(targets, tmp_path / "none", potential=None, settings=("wyckoff",))
    assert all(f.recovered("before") and not f.recovered("after") and f.lowest() is None for f in by.values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_write_the_run_goes_on_to_the_same_results(
    tmp_path: Path, targets: list[Target]
) -> None:
    def run(folder: Path) -> None:
        find(targets[:2], folder, count=2)

    run(tmp_path / "whole")
    names = [
        p.relative_to(tmp_path / "whole") for p in sorted((tmp_path / "whole").rglob("*")) if p.is_file()
    ]
    names = [n for n in names if n.name not in ("manifest.json", ".lock", "run.log")]
    folder, killed = tmp_path / "out", 0
    for moment in (2, 9, 17, 30, 41, 55, 70, 90):

        def work(moment: int = moment) -> None:
            die_at(moment)
            run(folder)

        status = child(work)
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed >= 4
    run(folder)
    assert [n for n in names if not (folder / n).exists()] == []
    for name in names:
        if name.name != "trials.jsonl":  # lines may come in another order
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert sorted((folder / "trials.jsonl").read_text().splitlines()) == sorted(
        (tmp_path / "whole" / "trials.jsonl").read_text().splitlines()
    )


def test_a_journal_drops_a_line_that_was_cut_off_and_refuses_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    salt = KNOWN["rock salt"]
    trials = [Trial(stretched(salt, s), salt, None, 60) for s in (1.0, 1.02, 1.0)]
    told: list[float] = []

    def tell(stage: str, done: float, total: float) -> None:
        assert (stage, total) == ("matching", 3)
        told.append(done)

    Trials(Journal(path)).carry_out(trials, Local(1), "matching", tell)
    assert told == sorted(told) and told[0] == 0 and told[-1] == 3
    text = path.read_bytes()
    assert len(text.splitlines()) == 2  # equal trials are one
    path.write_bytes(text[:-30])
    journal = Trials(Journal(path))
    assert len(journal.rows) == 1
    outcomes = journal.carry_out(trials, Local(1), "matching", tell)
    assert path.read_bytes() == text and not any(isinstance(o, Failed) for o in outcomes)
    path.write_bytes(text[: len(text) // 3] + b"\n" + text)
    with pytest.raises(OutputError, match="line 1 is damaged"):
        Trials(Journal(path))


def test_a_trial_that_dies_costs_itself_only(tmp_path: Path, targets: list[Target], monkeypatch: Any) -> None:
    def fragile(trial: Trial) -> Outcome:
        if trial.target.space_group == 225:
            raise ValueError("ouch")
        return assess(trial)

    monkeypatch.setattr(rediscovery_trials, "assess", fragile)
    by = find(targets, tmp_path / "out", settings=("wyckoff",))
    assert len(by["wyckoff", "rock-salt"].failures) == 4 and not by["wyckoff", "rock-salt"].attempts
    assert "ValueError: ouch" in by["wyckoff", "rock-salt"].failures[0]
    assert by["wyckoff", "rutile"].recovered("after")
    assert '"same_composition": 4' in (tmp_path / "out" / "results.json").read_text()


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"settings": ("sites", "colour")}, ConfigError, "unknown setting 'colour'"),
        ({"settings": ("sites", "sites")}, ConfigError, "each of them once"),
        ({"settings": ()}, ConfigError, "at least one setting"),
        ({"count": 0}, ConfigError, "count: .*at least 1"),
        ({"potential": "alchemy"}, RelaxationError, "unknown potential 'alchemy'"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_is_written(
    tmp_path: Path, targets: list[Target], changes: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        find(targets, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


# --- the command ---


@pytest.fixture
def command(tmp_path: Path, monkeypatch: Any):
    write_targets(tmp_path / "known.jsonl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crystalsmith.cli.options, "load", lambda args: Memory())

    def run(*more: str) -> int:
        return main(
            ["rediscover", "known.jsonl", "-n", "3", "--potential", POTENTIAL, "--workers", "1", *more]
        )

    return run


def test_the_command_prints_lattices_and_counts(command: Any, capsys: Any) -> None:
    assert command() == 0
    out = capsys.readouterr().out
    assert Path("rediscovered/results.json").exists()
    lines = out.splitlines()
    (salt, _) = [line for line in lines if line.startswith("rock-salt ")]
    assert "NaCl" in salt and "cubic, 225" in salt and "5.640" in salt
    sampled = float(salt.split()[4])
    assert 5.6402 * 1.02 < sampled < 5.6402 * 1.04
    (strict,) = [line for line in lines if line.startswith("sites, of 3") and "strict" in line]
    assert strict.split()[7:9] == ["3", "3"], strict
    assert command("--quiet") == 0 and capsys.readouterr().out == ""


def test_wrong_input_is_one_line(command: Any, capsys: Any) -> None:
    def complaint(*more: str) -> str:
        assert command(*more) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("crystalsmith: error: ")
        return lines[0]

    assert "unknown setting 'colour'" in complaint("--settings", "colour")
    assert "add --settings sites" in complaint("--method", "paper")
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    assert "holds no run of rediscover" in complaint("-o", "mine")
    assert sorted(p.name for p in Path("mine").iterdir()) in (["letter.txt"], [".lock", "letter.txt"])
    Path("file").write_text("")
    assert "is a file" in complaint("-o", "file")
    assert command("--settings", "sites", "--quiet") == 0
    assert "belongs to a run with another seed" in complaint("--settings", "sites", "--seed", "7")
    assert command("--settings", "sites", "--seed", "7", "--overwrite", "--quiet") == 0


def test_a_target_that_cannot_be_ordered_is_left_out_and_named(command: Any, capsys: Any) -> None:
    write_targets(Path("known.jsonl"), ["rock salt", "boric acid"])
    assert command("--settings", "sites", "--max-atoms", "7") == 1
    captured = capsys.readouterr()
    assert "left out: boric-acid, sites: " in captured.err
    (row,) = [line for line in captured.out.splitlines() if line.startswith("boric-acid")]
    assert "not found" in row
    results = json.loads(Path("rediscovered/results.json").read_text())
    assert results["counts"][0]["targets"] == 2 and results["targets"][1]["refused"]


def test_the_table_as_csv_has_a_row_for_each_target_and_setting() -> None:
    rows = list(csv.DictReader(to_csv([found((0.1, 0.2, -1.0)), found((None, None, 0.0))]).splitlines()))
    assert [r["first_rank_before_field"] for r in rows] == ["1", ""]
    assert [r["rms_before"] for r in rows] == ["0.1", ""] and rows[1]["a_generated"] == ""
