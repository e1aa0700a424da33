"""Best of K drafts: which crystal comes out, in which files, and that a run survives whatever happens."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import pytest
from test_generation_output import carry_out, child, cif_names, cif_of, contents, die_at

import crystalsmith.cli.options
from crystalsmith.assignments import Request
from crystalsmith.cli.main import main
from crystalsmith.errors import OutputError
from crystalsmith.generation import (
    crystal_seed,
    generate,
    generate_batches,
    generate_records,
    generator,
    read_entries,
)
from crystalsmith.generation.drafts import LetterDrafter
from crystalsmith.generation.made import Made
from crystalsmith.orders import parse_orders
from crystalsmith.orders.frequencies import WyckoffPrior
from crystalsmith.orders.sources import Frequencies
from crystalsmith.ranking import Candidate, Ladder, verdicts
from fake_model import FakeModel

POTENTIAL = "ase.calculators.lj:LennardJones"
JUDGES = "agreement,energy"
ORDERS = parse_orders(
    [
        {"id": "salt", "space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 2},
        {"id": "rutile_2", "space_group": 136, "wyckoff": [["Ti", "a"], ["O", "f"]], "count": 3},
        {"id": "clino", "space_group": 14, "sites": {"Zr": 1, "O": 2}, "count": 2},
    ]
)
N, K = 7, 3


def run(folder: Path, model: FakeModel | None = None, **options: Any) -> int:
    options = {"orders": ORDERS, "seed": 5, "batch_atoms": 40, **options}
    return carry_out(folder, model, {"best_of": K, "potential": POTENTIAL, "judges": JUDGES, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder) == 0
    return folder


def test_files_of_a_ranked_run(whole: Path) -> None:
    assert cif_names(whole) == {f"{o.id}_{i}.cif" for o in ORDERS for i in range(o.count)}
    journal = [json.loads(line) for line in (whole / "crystals.jsonl").read_text().splitlines()]
    assert sum(line["final"] for line in journal) == N * K
    assert {line["index"] for line in journal if line["order"] == "salt"} == set(range(2 * K))
    scores = [json.loads(line) for line in (whole / "scores.jsonl").read_text().splitlines()]
    assert len(scores) == N and all(len(s["scores"]) == K for s in scores)
    manifest = json.loads((whole / "manifest.json").read_text())
    assert (manifest["crystals"], manifest["asked"], manifest["failures"]) == (N, N, [])
    assert manifest["run"]["best_of"] == K and manifest["run"]["potential"] == POTENTIAL
    assert manifest["run"]["judges"] == ["validity", "agreement", "energy"]
    assert set(manifest["timings"]["judges"]) == {"agreement", "energy"}
    assert manifest["timings"]["judges"]["agreement"]["crystals"] == N * K
    assert manifest["resampled"] == len(journal) - N * K


def test_best_draft_is_the_crystal_and_crystals_are_sorted(whole: Path) -> None:
    entries = {(e.order_id, e.index): e for e in read_entries(whole)}
    atoms = ase.io.read(whole / "crystals.extxyz", index=":")
    rows = list(csv.DictReader((whole / "crystals.csv").open(encoding="utf-8")))
    twins = {(r["order"], int(r["index"])) for r in rows if r["duplicate_of"] or r["symmetry_within_0.1A"]}
    assert [a.info["order"] for a in atoms] == [o.id for o in ORDERS for _ in range(o.count)]
    for order in ORDERS:
        of_order = [a for a in atoms if a.info["order"] == order.id]
        assert sorted(a.info["index"] for a in of_order) == list(range(order.count))
        behind = [(order.id, a.info["index"]) in twins for a in of_order]
        assert behind == sorted(behind)
        scores = [a.info["score"] for a, late in zip(of_order, behind, strict=True) if not late]
        assert scores == sorted(scores, reverse=True)
    drafts = {
        (r.order_id, r.index): r
        for batch in generate_batches(FakeModel(bad=0.25), ORDERS, seed=5, batch_atoms=40, best_of=K)
        for r in batch
        if r.final
    }
    ladder = Ladder.of(FakeModel(), JUDGES, POTENTIAL, K)  # type: ignore[arg-type]
    assert ladder is not None
    for a in atoms:
        order_id, index = a.info["order"], a.info["index"]
        three = [drafts[order_id, index * K + j] for j in range(K)]
        assert len({r.request.sites for r in three if r.tries == 1}) <= 1  # letters of a crystal are shared
        assert len({r.seed for r in three}) == K
        crystals = [r.crystal for r in three if r.crystal is not None]
        found = verdicts(crystals, ladder.judge([Candidate(c) for c in crystals]))
        best = max(zip(found, three, strict=True), key=lambda pair: pair[0].figure)[1]
        assert a.info["seed"] == best.seed
        crystal = entries[order_id, index].crystal
        assert crystal is not None
        assert cif_of(whole, order_id, index).read_text() == crystal.to_cif()
        energy = a.info["energy_per_atom"] * len(a)
        assert energy == pytest.approx(a.get_potential_energy(), abs=1e-5)  # one of them is rounded
        assert 0 < a.info["p_given_letters"] < 1 and "score_denoising" not in a.info
        assert 0 < a.info["p_right"] < 1


def test_api_gives_the_crystals_of_the_command_line(whole: Path) -> None:
    options: dict[str, Any] = {"seed": 5, "batch_atoms": 40, "best_of": K, "judges": JUDGES}
    options["potential"] = POTENTIAL
    records = list(generate_records(FakeModel(bad=0.25), ORDERS, **options))
    entries = {(e.order_id, e.index): e for e in read_entries(whole)}
    assert {(r.order_id, r.index) for r in records} == set(entries)
    for r in records:
        entry = entries[r.order_id, r.index]
        assert (r.seed, r.tries) == (entry.seed, entry.tries) and r.score is not None
    assert len(list(generate(FakeModel(bad=0.25), ORDERS, **options))) == N


def test_single_drafts_without_judges_are_what_they_always_were(tmp_path: Path) -> None:
    model = FakeModel()
    for r in generate_records(model, ORDERS, seed=5, best_of=1):
        assert r.seed == crystal_seed(5, r.order_id, r.index, r.tries) and r.score is None
    assert run(tmp_path / "a", best_of=1, potential=None, judges=None) == 0
    assert not (tmp_path / "a" / "scores.jsonl").exists()
    assert "log_prior" not in (tmp_path / "a" / "crystals.jsonl").read_text()
    # Scored, the same crystals come in another order.
    assert run(tmp_path / "b", best_of=1) == 0
    one, two = ({(e.order_id, e.index): e.crystal for e in read_entries(tmp_path / x)} for x in ("a", "b"))
    assert one == two
    assert (tmp_path / "b" / "scores.jsonl").exists()


def test_likelihood_of_assignments_is_journalled_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Likely(LetterDrafter):
        def draft(self, order: Any, index: int, rng: Any, number: int, *which: int) -> Request:
            made = super().draft(order, index, rng, number, *which)
            return replace(made, log_prior=-1000.0 if index == 0 else -0.5)

    frequencies = Frequencies(WyckoffPrior(FakeModel().wyckoff_counts))
    monkeypatch.setattr(generator, "drafter_of", lambda *_: Likely(frequencies, frequencies, 52))
    assert run(tmp_path / "out", potential=None, judges="agreement") == 0
    atoms = ase.io.read(tmp_path / "out" / "crystals.extxyz", index=":")
    for order in ORDERS:
        of_order = [a for a in atoms if a.info["order"] == order.id]
        worst = min(of_order, key=lambda a: a.info["score"])
        assert worst.info["index"] == 0 and worst.info["log_prior"] == -1000
        assert all(a.info["log_prior"] == -0.5 for a in of_order if a is not worst)


def test_front_runners_of_an_order_are_relaxed_once_all_its_crystals_are_judged(tmp_path: Path) -> None:
    orders = parse_orders([{"id": "salt", "space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 6}])
    folder = tmp_path / "out"
    options: dict[str, Any] = {"orders": orders, "judges": "energy,relaxation", "best_of": 1}
    assert run(folder, **options) == 0
    lines = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines[6:]] == list(range(6)) and len(lines) == 12
    assert not any("compared" in line["scores"][0] for line in lines[:6])
    relaxed = [line["scores"][0] for line in lines[6:]]
    assert all(score["compared"] for score in relaxed)
    assert sum("relaxed_energy" in score for score in relaxed) >= 2
    assert all(s["relaxed_energy"] <= s["energy"] + 1e-9 for s in relaxed if "relaxed_energy" in s)
    timings = json.loads((folder / "manifest.json").read_text())["timings"]["judges"]
    assert timings["energy"]["crystals"] == 6 and timings["relaxation"]["crystals"] == 4
    before = (folder / "scores.jsonl").read_bytes()
    assert run(folder, **options) == 0 and (folder / "scores.jsonl").read_bytes() == before

    def ranking() -> list[Any]:
        made = Made(folder, [("salt", 6)], 1, True)
        for _ in made.judge(Ladder(FakeModel(), ("validity", "energy", "relaxation"), POTENTIAL)):  # type: ignore[arg-type]
            pass
        return [(entry.index, figure, entry.score) for entry, figure in made.sound("salt")]

    whole = ranking()
    assert (folder / "scores.jsonl").read_bytes() == before
    # A process that died among these lines.
    (folder / "scores.jsonl").write_bytes(b"".join(before.splitlines(keepends=True)[:8]))
    assert ranking() == whole


def test_crystals_without_a_sound_draft_are_given_up(tmp_path: Path) -> None:
    assert run(tmp_path / "out", FakeModel(volume=1.0), max_tries=2) == 1
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["crystals"] == 0 and len(manifest["failures"]) == N
    assert {"order": "salt", "index": 1, "tries": 2 * K, "reason": "absurd density"} in manifest["failures"]
    assert (tmp_path / "out" / "crystals.extxyz").read_text() == ""
    records = list(generate_records(FakeModel(volume=1.0), ORDERS, best_of=K, max_tries=2))
    assert [r.crystal for r in records] == [None] * N


def test_one_sound_draft_is_enough(tmp_path: Path) -> None:
    assert run(tmp_path / "out", FakeModel(bad=0.6), max_tries=1) in (0, 1)
    lines = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert any(None in line["scores"] and line["scores"][line["draft"]] is not None for line in lines)


def test_finished_run_is_left_as_it_is(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    before = (folder / "manifest.json").read_bytes()
    cif_of(folder, "salt", 0).unlink()
    model = FakeModel(bad=0.25)
    assert run(folder, model) == 0
    assert model.batches == [] and (folder / "manifest.json").read_bytes() == before
    assert contents(folder) == contents(whole)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("moments", [range(0, 20, 3), range(20, 70, 7), [3, 6, 9, 12, 7, 14]])
def test_killed_at_any_write_the_run_goes_on_to_the_same_files(
    tmp_path: Path, whole: Path, moments: Any
) -> None:
    folder = tmp_path / "out"
    repeated = isinstance(moments, list)
    for moment in moments:

        def work(moment: int = moment) -> None:
            die_at(moment)
            run(folder)

        status = child(work)
        if not os.WIFSIGNALED(status):
            assert moment > 40  # the run was over before
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, moment
        if not repeated:
            assert run(folder) == 0
            assert contents(folder) == contents(whole), moment
            shutil.rmtree(folder)
    assert run(folder) == 0
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize("name", ["crystals.jsonl", "scores.jsonl"])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.8, 0.999])
def test_torn_journals_are_mended(tmp_path: Path, whole: Path, name: str, share: float) -> None:
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    os.truncate(folder / name, int((folder / name).stat().st_size * share))
    (folder / "crystals.extxyz").unlink()
    assert run(folder) == 0
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize("phase", ["drafts", "judging"])
def test_interrupt_leaves_what_is_finished_and_the_run_goes_on(
    tmp_path: Path, whole: Path, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tired(FakeModel):
        def sample(self, requests: Any, seeds: Any, **options: Any) -> Any:
            if phase == "drafts" and len(self.batches) == 5:
                raise KeyboardInterrupt
            return super().sample(requests, seeds, **options)

    real, calls = Ladder.judge, 0

    def judge(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if phase == "judging" and calls == 4:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    folder = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Ladder, "judge", judge)
        with pytest.raises(KeyboardInterrupt):
            run(folder, Tired(bad=0.25))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    done = len(ase.io.read(folder / "crystals.extxyz", index=":"))
    assert 0 < done == manifest["crystals"] == len(list((folder / "cif").iterdir())) < N
    assert len(read_entries(folder)) == done
    assert run(folder) == 0
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"best_of": 2}, "another best of: 3 there, 2 now"),
        ({"best_of": 1, "potential": None, "judges": None}, "another best of: 3 there, 1 now"),
        ({"judges": "agreement,energy,relaxation"}, "other judges"),
        ({"potential": "ase.calculators.emt:EMT"}, "another potential"),
    ],
)
def test_folder_of_another_run_is_refused(
    tmp_path: Path, whole: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(OutputError, match=words):
        run(whole, **options)


def test_overwriting_removes_the_scores(tmp_path: Path) -> None:
    assert run(tmp_path / "out") == 0
    assert run(tmp_path / "out", best_of=1, potential=None, judges=None, overwrite=True) == 0
    assert not (tmp_path / "out" / "scores.jsonl").exists()


def test_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crystalsmith.cli.options, "load", lambda args: FakeModel())
    salt = ["generate", "--space-group", "225", "--sites", "Na=1,Cl=1", "-o", str(tmp_path / "out")]
    assert main([*salt, "-n", "2", "--best-of", "4", "--potential", POTENTIAL]) == 0
    text = capsys.readouterr().out
    assert "2/2" in text and "best of 4 drafts by agreement" in text and "energy" in text
    for options, words in (
        (["--best-of", "0"], "--best-of"),
        (["--judges", "luck"], "unknown judge 'luck'"),
        (["--best-of", "2", "--judges", "energy"], "needs a potential"),
        (["--potential", "nothing"], "unknown potential"),
    ):
        assert main([*salt, *options]) == 2
        line = capsys.readouterr().err
        assert words in line and line.count("\n") == 1
