"""The folder of a run: what is in it, and that it survives whatever happens to the process."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.io.cif import CifFile
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.diffusion import LatticeField, Model, PositionField, Statistics
from crystalsmith.errors import OutputError
from crystalsmith.generation import GenerateSettings, generate_into, generate_records, read_entries
from crystalsmith.generation.made import Made
from crystalsmith.networks import Denoiser, DenoiserConfig
from crystalsmith.orders import parse_orders
from crystalsmith.runs.lock import FolderLock
from crystalsmith.runs.progress import Display
from crystalsmith.runs.stop import Stopped
from crystalsmith.symmetry import space_group
from fake_model import FakeModel
from priors import clever

ORDERS = parse_orders(
    [
        {"id": "salt", "space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 4},
        {"id": "rutile_2", "space_group": 136, "wyckoff": [["Ti", "a"], ["O", "f"]], "count": 3},
        {"id": "clino", "space_group": 14, "sites": {"Zr": 1, "O": 2}, "count": 4},
    ]
)
N = 11


def run(folder: Path, model: FakeModel | None = None, **options: Any) -> int:
    """A model that fails for every fourth crystal; 1 where crystals are missing."""
    return carry_out(folder, model, {"orders": ORDERS, "seed": 5, "batch_atoms": 24, **options})


def carry_out(folder: Path, model: FakeModel | None, options: dict[str, Any]) -> int:
    orders, overwrite = options.pop("orders"), options.pop("overwrite", False)
    result = generate_into(
        orders,
        folder,
        GenerateSettings(**options),
        model=model or FakeModel(bad=0.25),  # type: ignore[arg-type]
        overwrite=overwrite,
    )
    return 0 if result.complete else 1


def cif_names(folder: Path) -> set[str]:
    """Names of the CIFs without the ranks that they begin with, which must be 1, 2, 3, ..."""
    names = sorted(p.name for p in (folder / "cif").iterdir())
    assert [int(name.partition("_")[0]) for name in names] == list(range(1, len(names) + 1))
    return {name.partition("_")[2] for name in names}


def cif_of(folder: Path, order: str, index: int) -> Path:
    (path,) = (folder / "cif").glob(f"*_{order}_{index}.cif")
    return path


def contents(folder: Path) -> dict[str, Any]:
    """All files but the log; of the manifest all but the timings."""
    files: dict[str, Any] = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "run.log"
    }
    files["manifest.json"] = json.loads(files["manifest.json"])
    assert files["manifest.json"].pop("timings")["seconds"] > 0
    return files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder) == 0
    return folder


def test_files_of_a_run(whole: Path) -> None:
    assert cif_names(whole) == {f"{o.id}_{i}.cif" for o in ORDERS for i in range(o.count)}
    assert {p.name for p in whole.iterdir()} >= {
        "cif",
        "crystals.extxyz",
        "crystals.jsonl",
        "manifest.json",
        "run.log",
        ".lock",
    }
    made = {
        (r.order_id, r.index): r
        for r in generate_records(FakeModel(bad=0.25), ORDERS, seed=5, batch_atoms=24)
    }
    atoms = ase.io.read(whole / "crystals.extxyz", index=":")
    assert [(a.info["order"], a.info["index"]) for a in atoms] == [
        (o.id, i) for o in ORDERS for i in range(o.count)
    ]
    for a in atoms:
        record = made[a.info["order"], a.info["index"]]
        crystal = record.crystal
        assert crystal is not None
        assert a.info["seed"] == record.seed
        assert a.info["space_group"] == crystal.space_group
        assert a.info["formula"] == crystal.formula
        assert a.info["wyckoff"] == crystal.wyckoff
        assert len(a) == crystal.n_atoms and a.pbc.all()
        assert a.get_volume() == pytest.approx(abs(np.linalg.det(crystal.primitive_lattice)))


def test_cifs_carry_all_operators_and_the_crystal_of_the_extxyz(whole: Path) -> None:
    for a in ase.io.read(whole / "crystals.extxyz", index=":"):
        path = cif_of(whole, a.info["order"], a.info["index"])
        (block,) = CifFile.from_file(path).data.values()
        (operators,) = (
            block[key] for key in block.data if key.endswith(("symop_operation_xyz", "pos_as_xyz"))
        )
        group = space_group(a.info["space_group"])
        assert len(operators) == len(group.rotations) * len(group.centring)
        as_cif = Structure.from_file(path)
        as_extxyz = Structure(a.cell[:], a.symbols, a.positions, coords_are_cartesian=True)
        assert len(as_cif) == len(a) * len(group.centring)
        assert StructureMatcher(stol=0.01, ltol=0.001, angle_tol=0.1, scale=False).fit(as_cif, as_extxyz)
        assert SpacegroupAnalyzer(as_cif, symprec=1e-3).get_space_group_number() >= group.number


def test_manifest_tells_what_was_run(whole: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["run"] == {
        "version": __version__,
        "checkpoint": "f" * 64,
        "seed": 5,
        "sampler": "multistep",
        "steps": 14,
        "max_tries": 10,
        "letters": "likely",
        "orders": [o.to_mapping() for o in ORDERS],
    }
    assert {"crystalsmith", "python", "torch"} <= set(manifest["versions"])
    assert (manifest["crystals"], manifest["asked"], manifest["failures"]) == (N, N, [])
    lines = [json.loads(line) for line in (whole / "crystals.jsonl").read_text().splitlines()]
    assert manifest["resampled"] == len(lines) - N > 0
    assert sum(manifest["failed_tries"].values()) == manifest["resampled"]
    assert set(manifest["timings"]) == {"seconds", "ended"}


def test_failures_are_in_the_manifest_and_in_the_exit_status(tmp_path: Path) -> None:
    assert run(tmp_path / "out", FakeModel(volume=1.0), max_tries=2) == 1
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["crystals"] == 0 and len(manifest["failures"]) == N
    assert {"order": "salt", "index": 3, "tries": 2, "reason": "absurd density"} in manifest["failures"]
    assert manifest["resampled"] == N and manifest["failed_tries"] == {"absurd density": 2 * N}
    assert (tmp_path / "out" / "crystals.extxyz").read_text() == ""


def test_finished_run_is_left_as_it_is(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    before = (folder / "manifest.json").read_bytes()
    cif_of(folder, "salt", 0).unlink()
    model = FakeModel(bad=0.25)
    assert run(folder, model) == 0
    assert model.batches == []
    assert (folder / "manifest.json").read_bytes() == before
    assert contents(folder) == contents(whole)


def child(work: Callable[[], object]) -> int:
    """Do something in a forked process; its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(9)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def die_at(moment: int) -> None:
    """Make the process kill itself at the n-th write to disk: just before, or just after it."""
    seen = 0

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            for before in (True, False):
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1
                if before:
                    result = function(*args, **kwargs)
            return result

        return call

    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)  # type: ignore[assignment]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("moments", [range(0, 12), range(12, 46, 3), [3, 6, 4, 9, 5, 8, 6, 7]])
def test_killed_at_any_write_the_run_goes_on_to_the_same_files(
    tmp_path: Path, whole: Path, moments: Any
) -> None:
    folder = tmp_path / "out"
    repeated = isinstance(moments, list)  # killed again and again, or a fresh run for each moment
    for moment in moments:

        def work(moment: int = moment) -> None:
            die_at(moment)
            run(folder)

        status = child(work)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, moment
        if not repeated:
            assert run(folder) == 0
            assert contents(folder) == contents(whole), moment
            shutil.rmtree(folder)
    if repeated:
        assert run(folder) == 0
        assert contents(folder) == contents(whole)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.3, 0.5, 0.8, 0.999])
def test_torn_journal_is_mended(tmp_path: Path, whole: Path, share: float) -> None:
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    journal = folder / "crystals.jsonl"
    os.truncate(journal, int(journal.stat().st_size * share))
    (folder / "crystals.extxyz").unlink()
    assert run(folder) == 0
    assert contents(folder) == contents(whole)


def test_interrupt_leaves_what_is_finished_and_the_run_goes_on(tmp_path: Path, whole: Path) -> None:
    class Tired(FakeModel):
        def sample(self, requests: Any, seeds: Any, **options: Any) -> Any:
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().sample(requests, seeds, **options)

    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder, Tired(bad=0.25))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    done = len(ase.io.read(folder / "crystals.extxyz", index=":"))
    assert 0 < done == manifest["crystals"] < N
    assert len(list((folder / "cif").iterdir())) == done
    assert len(read_entries(folder)) == done
    assert run(folder) == 0
    assert contents(folder) == contents(whole)
    assert (
        json.loads((folder / "manifest.json").read_text())["timings"]["seconds"]
        > manifest["timings"]["seconds"]
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": 6}, "another seed: 5 there, 6 now"),
        ({"steps": 7}, "another steps: 14 there, 7 now"),
        ({"sampler": "heun"}, "another sampler"),
        ({"orders": ORDERS[:2]}, "other orders"),
    ],
)
def test_folder_of_another_run_is_refused(
    tmp_path: Path, whole: Path, options: dict[str, Any], words: str
) -> None:
    before = contents(whole)
    with pytest.raises(OutputError, match=words):
        run(whole, **options)
    assert contents(whole) == before


def test_another_checkpoint_is_refused(whole: Path) -> None:
    class Other(FakeModel):
        hash = "0" * 64

    with pytest.raises(OutputError, match=r"another checkpoint: f+ there, 0+ now"):
        run(whole, Other())


def test_foreign_folder_is_refused_and_overwriting_keeps_foreign_files(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "out"
    (folder / "cif").mkdir(parents=True)
    mine = {"notes.txt": "mine", "cif/my_7.cif": "mine too"}
    for name, text in mine.items():
        (folder / name).write_text(text)
    with pytest.raises(OutputError, match=r"not empty and holds no generated crystals.*--overwrite"):
        run(folder)
    assert run(folder, overwrite=True, seed=1) == 0
    assert run(folder, overwrite=True) == 0
    files = contents(folder)
    assert {name: files.pop(name).decode() for name in mine} == mine
    assert files == contents(whole)


def test_overwriting_a_longer_run_leaves_none_of_its_crystals(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert run(folder) == 0
    assert run(folder, orders=ORDERS[1:2], overwrite=True) == 0
    assert cif_names(folder) == {f"rutile_2_{n}.cif" for n in range(3)}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("manifest.json", "{", "not of generated crystals of this version"),
        ("manifest.json", "[]", "not of generated crystals of this version"),
        ("manifest.json", '{"format": 99, "run": {}}', "not of generated crystals of this version"),
        ("crystals.jsonl", "nonsense\n", "line 1 is damaged.*--overwrite"),
        ("crystals.jsonl", "{}\n", "line 1 is damaged"),
    ],
)
def test_damaged_files_are_refused_in_one_line(
    tmp_path: Path, whole: Path, name: str, text: str, words: str
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    (folder / name).write_text(text)
    with pytest.raises(OutputError, match=words):
        run(folder)
    assert run(folder, overwrite=True) == 0
    assert contents(folder) == contents(whole)


def test_two_processes_do_not_share_a_folder(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    lock = FolderLock.take(folder / ".lock")
    with pytest.raises(OutputError, match="another process is at work"):
        run(folder)
    lock.release()
    lock.release()
    assert run(folder) == 0


def test_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        run(tmp_path / "out")
    with pytest.raises(OutputError, match="choose another folder"):
        run(tmp_path / "out" / "deeper")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs users of POSIX")
def test_folder_that_may_not_be_written(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    (tmp_path / "locked").mkdir(mode=0o500)

    def work() -> None:
        if os.geteuid() == 0:  # may write anywhere
            os.setuid(65534)
        try:
            run(tmp_path / "locked" / "out")
        except OutputError as error:
            os.write(writing, str(error).encode())

    assert child(work) == 0
    message = os.read(reading, 4096).decode()
    assert message.endswith("Permission denied; choose a folder that you may write to")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("limit", [300, 2000, 5000])
def test_disk_that_fills_up(tmp_path: Path, whole: Path, limit: int) -> None:
    """A limit on file sizes stops writes half way through, as a full disk does."""
    import resource

    folder, heard = tmp_path / "out", tmp_path / "heard"

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            run(folder)
        except OutputError as error:
            heard.write_text(str(error)[:290])

    assert child(work) == 0
    assert heard.read_text().startswith(f"cannot write {folder}") and "\n" not in heard.read_text()
    assert not list(folder.rglob("*.partial"))
    assert run(folder) == 0
    assert contents(folder) == contents(whole)


def test_full_disk_is_named_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    made = Made(tmp_path, [(o.id, o.count) for o in ORDERS])
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OutputError, match="No space left on device; free some space and run the same command again"
    ):
        made.record(list(generate_records(FakeModel(), ORDERS)))


def test_entries_of_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no run"):
        read_entries(tmp_path)


def test_crystals_survive_the_journal_to_the_digit(tmp_path: Path) -> None:
    """Cubic cells are averages of three equal lengths, which rounding may change by the last bit."""
    orders = parse_orders([{"space_group": 221, "sites": {"Po": 1}, "count": 200}])
    assert run(tmp_path / "out", orders=orders, batch_atoms=1000) == 0
    for entry in read_entries(tmp_path / "out"):
        assert entry.crystal is not None
        text = cif_of(tmp_path / "out", entry.order_id, entry.index).read_text()
        assert text == entry.crystal.to_cif()


EVERY_KIND: list[dict[str, Any]] = [
    {"id": "salts", "space_group": [221, 225], "sites": {"K": "1-2", "Cl": 1}, "count": 2},
    {"id": "rutile", "space_group": "P4_2/mnm", "wyckoff": [["Ti", "a"], ["O", "f"]]},
    {"id": "oxide", "formula": "MgO", "z": 4, "space_group": 225},
    {"id": "any", "formula": "MgO", "atoms": 4, "count": 2},
    {"id": "small", "formula": "Mg2O", "max_atoms": 6},
    {"id": "search", "system": "Mg-O", "max_sites": 4, "max_atoms": 8, "count": 2},
    {"id": "wide", "system": "Mg-O", "space_group": [2, 14, 225]},
]


def test_orders_of_every_kind_read_back_from_the_manifest(tmp_path: Path) -> None:
    orders = parse_orders(EVERY_KIND)
    result = generate_into(orders, tmp_path / "out", model=clever())  # type: ignore[arg-type]
    assert result.complete and len(result.crystals) == sum(o.count for o in orders)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert parse_orders(manifest["run"]["orders"]) == orders
    assert [r.order for r in result.ranked] == [o for o in orders for _ in range(o.count)]
    assert list(result.crystals.names) == sorted(p.stem for p in (tmp_path / "out" / "cif").iterdir())
    again = generate_into(manifest["run"]["orders"], tmp_path / "out", model=clever())  # type: ignore[arg-type]
    assert again.made_now == 0 and again.crystals == result.crystals


def test_in_double_precision_no_crystal_sees_its_batch(tmp_path: Path) -> None:
    """In single precision rounding does, and now and then it grows to a hundredth of an Angstrom."""
    orders = [{"id": "zirconia", "space_group": 14, "sites": {"Zr": 1, "O": 2}, "count": 5}]
    found = []
    for batch in (10, 400):
        settings = GenerateSettings(batch_atoms=batch, steps=8, max_tries=1, precision="double")
        generate_into(orders, tmp_path / str(batch), settings, model=untrained())
        rows = (tmp_path / str(batch) / "crystals.jsonl").read_text().splitlines()
        crystals = {r["index"]: r["crystal"] for r in map(json.loads, rows)}
        found.append([crystals[i] and Crystal.from_dict(crystals[i]).positions()[1] for i in range(5)])
    pairs = [(a, b) for a, b in zip(*found, strict=True) if a is not None]
    assert pairs and all(np.allclose(a, b, rtol=0, atol=1e-10) for a, b in pairs)
    with pytest.raises(OutputError, match="another precision"):
        generate_into(orders, tmp_path / "10", GenerateSettings(steps=8, max_tries=1), model=untrained())


def untrained() -> Model:
    """A real, tiny network."""
    torch.manual_seed(0)
    network = Denoiser(DenoiserConfig(scalars=8, vectors=4, edges=4, layers=1, form_factors=2))
    counts, elements = np.ones((1731, 6), np.int32), np.ones(119, np.int32)
    return Model(
        network, PositionField(), LatticeField(), Statistics(np.full(119, 15.0), counts, elements, 20)
    )


def test_several_processes_make_the_same_crystals(tmp_path: Path, whole: Path) -> None:
    assert run(tmp_path / "out", workers=2) == 0
    assert contents(tmp_path / "out") == contents(whole)


def test_a_run_of_several_processes_goes_on_with_one(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    lines = (folder / "crystals.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "crystals.jsonl").write_bytes(b"".join(lines[:4]))
    assert run(folder, workers=2) == 0
    assert contents(folder) == contents(whole)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_sigterm_ends_a_call_like_ctrl_c(tmp_path: Path, whole: Path) -> None:
    class Ended(FakeModel):
        def sample(self, requests: Any, seeds: Any, **options: Any) -> Any:
            if len(self.batches) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().sample(requests, seeds, **options)

    folder = tmp_path / "out"

    def work() -> None:
        try:
            run(folder, Ended(bad=0.25))
        except Stopped as stop:
            assert stop.status == 143
            return
        raise AssertionError("went on")

    assert child(work) == 0
    assert json.loads((folder / "manifest.json").read_text())["status"] == "interrupted"
    assert run(folder) == 0
    assert contents(folder) == contents(whole)


def test_a_folder_of_an_earlier_version_is_taken_up(tmp_path: Path, whole: Path) -> None:
    """Without kind, checksums and log, its CIFs named without ranks."""
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["kind"]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"status": "interrupted"}))
    (folder / "run.log").unlink()
    for path in (folder / "cif").iterdir():
        path.rename(path.with_name(path.name.partition("_")[2]))
    lines = [json.loads(line) for line in (folder / "crystals.jsonl").read_text().splitlines()]
    for line in lines:
        del line["crc"]
    (folder / "crystals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[:6]))
    assert len(read_entries(folder)) == sum(line["final"] for line in lines[:6])
    assert run(folder) == 0
    again, before = contents(folder), contents(whole)
    for files in (again, before):
        del files["crystals.jsonl"]
    assert again == before


@pytest.mark.parametrize("model", [FakeModel(volume=1.0), FakeModel(bad=0.5)], ids=["never", "often"])
def test_each_line_of_progress_is_told_once_however_many_tries_there_are(
    model: FakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = GenerateSettings(seed=5, batch_atoms=24)
    with Display() as progress:
        generate_into(ORDERS, tmp_path / "out", settings, model=model, progress=progress)  # type: ignore[arg-type]
    lines = capsys.readouterr().err.splitlines()
    assert f"crystals: {N} of {N}" in lines and len(lines) == len(set(lines))
