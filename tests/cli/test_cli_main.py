"""The command line: what a stranger types, and what he reads when it is wrong."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import yaml

import crystalsmith.cli.options
from crystals import KNOWN
from crystalsmith.cli.demo import ORDERS, _as_called
from crystalsmith.cli.main import build_parser, main
from crystalsmith.cli.train import parse_settings
from crystalsmith.crystal import Crystal
from crystalsmith.errors import ConfigError, OrderError
from crystalsmith.orders import parse_orders
from crystalsmith.orders.words import parse_sites, parse_wyckoff
from fake_model import FakeModel
from held import AT_LINES, Held

SALT = ["generate", "--space-group", "225", "--sites", "Na=1,Cl=1"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """Commands get a model without a network."""
    model = FakeModel()
    monkeypatch.setattr(crystalsmith.cli.options, "load", lambda args: model)
    return model


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, tiny, untrained model."""
    import torch

    from crystalsmith.diffusion import LatticeField, Model, PositionField, Statistics, save_model
    from crystalsmith.networks import Denoiser, DenoiserConfig

    torch.manual_seed(0)
    network = Denoiser(DenoiserConfig(scalars=8, vectors=4, edges=4, layers=1, form_factors=2))
    counts, elements = np.ones((1731, 6), np.int32), np.ones(119, np.int32)
    statistics = Statistics(np.full(119, 15.0), counts, elements, 20)
    model = Model(network, PositionField(), LatticeField(), statistics)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_model(model, path, {"crystals_seen": "17", "training": json.dumps({"seed": 3})})


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused; its line on standard error."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("crystalsmith: error: ") and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["generate"],
        ["show"],
        ["wyckoff"],
        ["demo"],
        ["data"],
        ["data", "build"],
        ["train"],
        ["train-prior"],
        ["info"],
    ],
)
def test_help(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main([*command, "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: crystalsmith")


def test_help_answers_at_once() -> None:
    """By what is imported for it: some hundred modules, nothing heavy."""
    code = "import sys; from crystalsmith.cli.main import main; main(['generate', '--help'])"
    done = python("-c", f"{code}; print(len(sys.modules), *sys.modules)")
    number, *names = done.stdout.splitlines()[-1].split()
    heavy = ("torch", "pymatgen", "matplotlib", "ase", "spglib", "moyopy", "scipy", "rich.progress")
    assert int(number) < 500 and not {*heavy} & {*names}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"crystalsmith \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_importing_the_package_loads_no_torch() -> None:
    code = "import crystalsmith, sys; crystalsmith.Order; print('torch' in sys.modules)"
    assert python("-c", code).stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["forge"], "forge"),
        (["generate"], "-o/--output"),
        ([*SALT], "-o/--output"),
        (["generate", "-o", "x"], "nothing to make"),
        (["generate", "--space-group", "225", "-o", "x"], "needs --formula, --system, --sites"),
        (["generate", "--sites", "Na=1", "-o", "x"], "space_group is missing"),
        ([*SALT, "--wyckoff", "Na:a", "-o", "x"], "not allowed with"),
        (["generate", "orders.yaml", "--space-group", "225", "-o", "x"], "exclude each other"),
        (["generate", "no-such.yaml", "-o", "x"], "no such file"),
        ([*SALT, "-n", "0", "-o", "x"], "at least 1"),
        ([*SALT, "-n", "many", "-o", "x"], "'many'"),
        ([*SALT, "--seed", "x", "-o", "x"], "whole number"),
        (["generate", "--space-group", "225", "--sites", "Na", "-o", "x"], "Na=1,Cl=1"),
        (["generate", "--space-group", "225", "--sites", "Na=1,Na=1", "-o", "x"], "named twice"),
        (["generate", "--space-group", "225", "--sites", "Na=1.5", "-o", "x"], "whole number"),
        (["generate", "--space-group", "225", "--sites", "Nq=1", "-o", "x"], "unknown element"),
        (["generate", "--space-group", "225", "--sites", "", "-o", "x"], "sites is empty"),
        (["generate", "--space-group", "Fm3x", "--sites", "Na=1", "-o", "x"], "did you mean"),
        (["generate", "--space-group", "225", "--wyckoff", "Na:a,Cl:a", "-o", "x"], "no free parameter"),
        (["generate", "--space-group", "225", "--wyckoff", "Na=a", "-o", "x"], "Na:a,Cl:b"),
        (["show", "no-such.cif"], "no file or folder no-such.cif"),
        (["data", "fetch", "mp21"], "unknown data set"),
        (["data", "build", "no-such", "-o", "x"], "no-such"),
        (["data", "build", "x", "-o", "x", "--symprec", "-1"], "tolerance"),
        (["data", "stats", "no-such"], "no-such"),
        (["train", "--config", "no-such.yaml"], "no-such.yaml"),
        (["train", "--set", "crystals"], "NAME=VALUE"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_sites_and_letters_as_typed() -> None:
    assert parse_sites(" Na=1, Cl = 12 ,") == {"Na": 1, "Cl": 12}
    assert parse_sites("Na=x") == {"Na": "x"}
    assert parse_wyckoff("Sr:a,Ti:b , O:3c") == [["Sr", "a"], ["Ti", "b"], ["O", "3c"]]
    for text in ("Na", "=1", "Na=", "Na:1"):
        with pytest.raises(OrderError):
            parse_sites(text)
    for text in ("Na", ":a", "Na:"):
        with pytest.raises(OrderError):
            parse_wyckoff(text)


def test_generate_writes_crystals_a_picture_and_a_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel
) -> None:
    out = tmp_path / "out"
    assert main([*SALT, "-n", "3", "--seed", "4", "-o", str(out), "--picture"]) == 0
    text = capsys.readouterr().out
    assert "225-Na-Cl" in text and "Fm-3m (225)" in text and "3/3" in text
    assert f"3 of 3 crystals in {out}" in text
    assert len(ase.io.read(out / "crystals.extxyz", index=":")) == 3
    assert (out / "crystals.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["arguments"]["sites"] == "Na=1,Cl=1" and manifest["arguments"]["count"] == 3
    assert main([*SALT, "-n", "3", "--seed", "4", "-o", str(out)]) == 0
    assert "all of them made before" in capsys.readouterr().out
    assert "another seed" in refused(capsys, *SALT, "-n", "3", "-o", str(out))
    assert main([*SALT, "-n", "3", "-o", str(out), "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert not (out / "crystals.png").exists()


def test_generate_from_a_file_with_warnings_and_failures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel
) -> None:
    fake.volume = 1.0
    orders = [{"id": f"o{n}", "space_group": 225, "sites": {"Fm": 1}} for n in range(50)]
    (tmp_path / "orders.yaml").write_text(yaml.safe_dump(orders))
    assert main(["generate", str(tmp_path / "orders.yaml"), "-o", str(tmp_path / "out"), "--tries", "2"]) == 1
    captured = capsys.readouterr()
    assert "warning: the model has never seen Fm in training" in captured.err
    assert "and 10 more orders" in captured.out
    assert "50 given up" in captured.out


def test_order_too_large_for_the_model_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel
) -> None:
    line = refused(capsys, "generate", "--space-group", "62", "--sites", "O=16", "-o", str(tmp_path / "out"))
    assert "at least 64 atoms" in line and "52" in line
    assert list(tmp_path.iterdir()) == []


def test_real_model_from_command_to_the_same_files_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, checkpoint: Path
) -> None:
    model = ["--checkpoint", str(checkpoint), "--steps", "3"]
    one, two = tmp_path / "one", tmp_path / "two"
    for out, batch in ((one, "10"), (two, "400")):
        arguments = ["generate", "--space-group", "P2_1/c", "--sites", "Zr=1,O=2", "-n", "6", "-o", str(out)]
        assert main([*arguments, "--batch", batch, *model]) == 0
    first, second = (ase.io.read(out / "crystals.extxyz", index=":") for out in (one, two))
    for a, b in zip(first, second, strict=True):
        for key in a.info.keys() | b.info.keys():
            x, y = a.info[key], b.info[key]  # of scores, the last digits depend on the batch
            assert x == (pytest.approx(y, rel=1e-3) if isinstance(y, float) else y), key
        assert np.allclose(a.cell, b.cell, atol=1e-3) and np.allclose(a.positions, b.positions, atol=1e-2)
    assert json.loads((one / "manifest.json").read_text())["run"]["steps"] == 3


def test_checkpoints_and_devices_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, checkpoint: Path
) -> None:
    out = ["-o", str(tmp_path / "out")]
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(checkpoint.read_bytes()[:1000])
    for path in (torn, tmp_path / "nothing.safetensors", tmp_path):
        assert str(path) in refused(capsys, *SALT, *out, "--checkpoint", str(path))
    for device in ("cuda:99", "abacus"):
        assert device in refused(capsys, *SALT, *out, "--checkpoint", str(checkpoint), "--device", device)
    assert "magic" in refused(capsys, *SALT, *out, "--checkpoint", str(checkpoint), "--sampler", "magic")
    assert not (tmp_path / "out").exists()


def test_info(capsys: pytest.CaptureFixture[str], checkpoint: Path) -> None:
    assert main(["info", "--checkpoint", str(checkpoint)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"sha256\s+[0-9a-f]{20}", text) and re.search(r"training.seed\s+3", text)
    assert main(["info", "--json", "--checkpoint", str(checkpoint)]) == 0
    facts = json.loads(capsys.readouterr().out)["result"]
    assert facts["crystals_seen"] == "17" and facts["config"]["network"]["layers"] == 1
    assert "heun" in facts["samplers"] and facts["max_atoms"] == 20


def test_demo(capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel) -> None:
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 0
    text = capsys.readouterr().out
    assert "rock-salt" in text and "crystals.png" in text
    *_, page, serve = text.splitlines()
    assert page == f"page to open: {tmp_path / 'demo' / 'report.html'}" and "serve --runs" in serve
    assert (tmp_path / "demo" / "report.html").is_file()
    words = shlex.split(serve.partition(": ")[2])
    assert build_parser().parse_args(words[1:]).runs == tmp_path
    atoms = ase.io.read(tmp_path / "demo" / "crystals.extxyz", index=":")
    assert 12 <= len(atoms) <= 16
    assert len({a.info["space_group"] for a in atoms}) >= 4
    assert all(order.content.check(order.bounds, 20) <= 20 for order in parse_orders(ORDERS))


def test_show_draws_files_and_folders_and_says_what_it_cannot_draw(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel
) -> None:
    salt, corundum = KNOWN["rock salt"], KNOWN["corundum"]
    (tmp_path / "salt.cif").write_text(salt.to_cif())
    ase.io.write(tmp_path / "two.extxyz", [salt.to_atoms(), corundum.to_atoms()], format="extxyz")
    ase.io.write(tmp_path / "POSCAR_corundum", corundum.to_atoms(), format="vasp")
    assert main([*SALT, "-n", "2", "-o", str(tmp_path / "run"), "--quiet"]) == 0
    sheet = tmp_path / "sheet.svg"
    files = [str(tmp_path / name) for name in ("salt.cif", "two.extxyz", "POSCAR_corundum", "run")]
    assert main(["show", *files, "-o", str(sheet), "--columns", "3", "--title", "Known"]) == 0
    assert "6 crystals drawn" in capsys.readouterr().out
    assert "<svg" in sheet.read_text()
    assert main(["show", str(tmp_path), "-o", str(tmp_path / "folder.png")]) == 0
    assert "6 crystals drawn" in capsys.readouterr().out  # the run's folder within it, too
    (tmp_path / "bad.cif").write_text("not a crystal")
    (tmp_path / "molecule.xyz").write_text("1\n\nH 0 0 0\n")
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for name in ("bad.cif", "text.txt", "empty"):
        assert name in refused(capsys, "show", str(tmp_path / name), "-o", str(sheet))
    assert "plain XYZ has no cell" in refused(
        capsys, "show", str(tmp_path / "molecule.xyz"), "-o", str(sheet)
    )
    assert ".gif" in refused(capsys, "show", str(tmp_path / "salt.cif"), "-o", str(tmp_path / "sheet.gif"))
    assert "cannot write" in refused(
        capsys, "show", str(tmp_path / "salt.cif"), "-o", str(tmp_path / "no" / "sheet.png")
    )


def test_show_labels_by_the_symmetry_found(tmp_path: Path) -> None:
    from crystalsmith.cli.show import read_panels

    ase.io.write(tmp_path / "x.extxyz", KNOWN["perovskite"].to_atoms(), format="extxyz")
    (panel,) = read_panels([str(tmp_path / "x.extxyz")])
    assert panel.label == "SrTiO3 Pm-3m (221)\nframe 1"
    distorted = KNOWN["rock salt"].to_atoms(primitive=False)
    distorted.rattle(0.05, seed=1)
    ase.io.write(tmp_path / "y.vasp", distorted)
    (panel,) = read_panels([str(tmp_path / "y.vasp")])
    assert panel.label.startswith("NaCl P1 (1)")


def test_data_build_and_stats(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "cifs"
    folder.mkdir()
    for name in ("rock salt", "corundum", "quartz"):
        (folder / f"{name}.cif").write_text(KNOWN[name].to_cif())
    (folder / "bad.cif").write_text("data_x\n")
    file = tmp_path / "data.safetensors"
    assert main(["data", "build", str(folder), "-o", str(file), "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"kept\s+3", text) and "left out" in text and "3 of 4 structures" in text
    assert main(["data", "stats", str(file), "-o", str(tmp_path / "stats")]) == 0
    pictures = capsys.readouterr().out.split()
    assert len(pictures) >= 4 and all(Path(p).stat().st_size > 1000 for p in pictures)


def test_train_and_generate_with_what_was_trained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from crystalsmith.data import pack

    crystals = [KNOWN[name] for name in ("rock salt", "perovskite", "rutile", "zinc blende")]
    pack(crystals * 4).save(tmp_path / "data.safetensors")
    settings = {"crystals": 32, "orbits": 16, "warm_up": 1, "validate_every": 2, "save_every": 2}
    network = {"scalars": 8, "vectors": 4, "edges": 4, "layers": 1, "form_factors": 2}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**settings, "network": network}))
    data = str(tmp_path / "data.safetensors")
    arguments = ["train", "--config", str(tmp_path / "config.yaml"), "--train", data, "--validation", data]
    assert main([*arguments, "-o", str(tmp_path / "run"), "--set", "seed=3", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    trained = tmp_path / "run" / "model.safetensors"
    out = str(tmp_path / "out")
    assert main([*SALT, "-o", out, "--checkpoint", str(trained), "--steps", "2", "--quiet"]) == 0
    assert "seed" in refused(capsys, *arguments, "--set", "seed=x")


def test_a_network_without_context(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from crystalsmith.data import pack
    from crystalsmith.diffusion import load_model

    pack([KNOWN["rutile"]] * 4).save(tmp_path / "data.safetensors")
    data, run = str(tmp_path / "data.safetensors"), tmp_path / "run"
    arguments = ["train", "--train", data, "--validation", data, "-o", str(run), "--quiet", "--no-context"]
    small = ["crystals=8", "orbits=4", "network.scalars=8", "network.vectors=4", "network.layers=1"]
    assert main([*arguments, *(word for s in small for word in ("--set", s))]) == 0
    network = load_model(run / "model.safetensors").network
    assert network.config.context is False and network.config.scalars == 8
    assert "exclude" in refused(capsys, *arguments, "--set", "network=1")


def test_settings_as_typed() -> None:
    assert parse_settings(["a=1", "network.layers=2", "network.context=false", "out=x=y"]) == {
        "a": 1,
        "network": {"layers": 2, "context": False},
        "out": "x=y",
    }
    for pairs in (["a"], ["=1"], ["a=[", "b=1"], ["a=1", "a.b=2"]):
        with pytest.raises(ConfigError):
            parse_settings(pairs)


def test_interrupt_is_one_line_and_status_130(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fake: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> list[Crystal]:
        raise KeyboardInterrupt

    monkeypatch.setattr(fake, "sample", interrupt)
    assert main([*SALT, "-o", str(tmp_path / "out")]) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "crystalsmith: interrupted; the same command goes on where it stopped"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["status"] == "interrupted"


def test_interrupt_of_a_command_that_does_not_resume(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(crystalsmith.cli.options, "load", interrupt)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "crystalsmith: interrupted\n"


def test_memory_and_disk_that_run_out_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def failing(error: Exception) -> Any:
        def load(args: Any) -> Any:
            raise error

        return load

    for error, words in (
        (MemoryError(), "not enough memory"),
        (OSError(errno.ENOSPC, "full", "f"), "disk is full (f)"),
    ):
        monkeypatch.setattr(crystalsmith.cli.options, "load", failing(error))
        assert words in refused(capsys, *SALT, "-o", "never-made")
    monkeypatch.setattr(crystalsmith.cli.options, "load", failing(OSError(errno.EIO, "a fault of its own")))
    with pytest.raises(OSError, match="fault of its own"):
        main([*SALT, "-o", "never-made"])


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_reader_that_goes_away_gets_no_traceback(checkpoint: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "crystalsmith", "info", "--checkpoint", str(checkpoint)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("where", ["on the path", "elsewhere", "python -m"])
def test_the_program_is_named_as_it_can_be_called(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "a folder" / "crystalsmith"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) if where == "on the path" else str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["__main__.py" if where == "python -m" else str(program)])
    assert _as_called() == (shlex.quote(str(program)) if where == "elsewhere" else "crystalsmith")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_process_and_going_on(tmp_path: Path, checkpoint: Path, number: int) -> None:
    command = "generate --space-group 136 --wyckoff Ti:a,O:f -n 15 --batch 6 --steps 30 --tries 1 --threads 1"
    command = [*command.split(), "--checkpoint", str(checkpoint), "-o", str(tmp_path / "out")]
    journal = tmp_path / "out" / "crystals.jsonl"
    held = Held(tmp_path, AT_LINES.format(journal=str(journal), lines=1), command)
    held.process.send_signal(number)
    status, _, error = held.end()
    assert status == 128 + number
    assert error.splitlines()[-1] == "crystalsmith: interrupted; the same command goes on where it stopped"
    assert "Traceback" not in error
    before = (tmp_path / "out" / "crystals.jsonl").read_bytes()
    assert 0 < before.count(b"\n") < 15
    assert main(command) in (0, 1)  # untrained, the model may have given a crystal up
    assert journal.read_bytes().startswith(before) and journal.read_bytes().count(b"\n") == 15
