"""The paper's method behind the same orders and in the same output as the default one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from test_diffusion_paper import small_model

from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal
from crystalsmith.diffusion import PaperModel, default_checkpoint, load_model, save_model
from crystalsmith.generation import generate, generate_records
from crystalsmith.generation.drafts import ATOMS_PER_SITE
from crystalsmith.orders import OrderWarning

ORDERS = [
    {"id": "salt", "space_group": 25, "sites": {"Na": 1, "Cl": 1}, "count": 3},
    {"id": "other", "space_group": 16, "sites": {"Na": 1, "Cl": 2}, "count": 2},
]


@pytest.fixture(autouse=True)
def bonds_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that learned nothing knows nothing of bonds."""
    monkeypatch.setattr("crystalsmith.crystal.validity.short_bond", lambda crystal: None)


@pytest.fixture(scope="module")
def model() -> PaperModel:
    return small_model()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    path = tmp_path_factory.mktemp("paper") / "tiny.safetensors"
    return save_model(small_model(dtype=torch.float32), path, {})


def test_orders_of_sites(model: PaperModel) -> None:
    records = list(generate_records(model, ORDERS, seed=3, steps=2))
    assert [(r.order_id, r.index) for r in sorted(records, key=lambda r: (r.order_id, r.index))] == [
        *(("other", k) for k in range(2)),
        *(("salt", k) for k in range(3)),
    ]
    for r in records:
        assert r.crystal is not None and r.failure is None
        expected = {"salt": ["Na", "Cl"], "other": ["Na", "Cl", "Cl"]}[r.order_id]
        assert [s.element for s in r.crystal.sites] == expected
        assert r.crystal.space_group == {"salt": 25, "other": 16}[r.order_id]
        assert all(letter == "*" for _, letter in r.request.sites)
        assert r.crystal.shortest_distance() > 0.5


def test_a_crystal_does_not_depend_on_the_batch(model: PaperModel) -> None:
    together = {(r.order_id, r.index): r for r in generate_records(model, ORDERS, seed=3, steps=2)}
    apart = generate_records(model, ORDERS[::-1], seed=3, steps=2, batch_atoms=2 * ATOMS_PER_SITE)
    for r in apart:
        other = together[r.order_id, r.index]
        assert r.seed == other.seed
        assert isinstance(r.crystal, Crystal) and isinstance(other.crystal, Crystal)
        assert r.crystal.wyckoff == other.crystal.wyckoff
        assert r.crystal.cell == pytest.approx(other.crystal.cell, abs=1e-6)


def test_letters_are_not_taken(model: PaperModel) -> None:
    order = {"space_group": 47, "wyckoff": [["Na", "a"], ["Cl", "b"]], "count": 1}
    with pytest.warns(OrderWarning, match="finds the letters of its sites itself"):
        (crystal,) = generate(model, [order], steps=1)
    assert [s.element for s in crystal.sites] == ["Na", "Cl"]


def test_command_line(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--checkpoint", str(checkpoint), "--space-group", "25", "--sites", "Na=1,Cl=1", "--steps", "2"]
    out = tmp_path / "out"
    assert main(["generate", "--method", "paper", *common, "-n", "2", "-o", str(out)]) == 0
    assert "found" in capsys.readouterr().out
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["run"]["sampler"], manifest["run"]["steps"]) == ("annealed", 2)
    assert len(read(out / "crystals.extxyz", ":")) == 2 == len(list((out / "cif").iterdir()))
    # Again: nothing is left to be made.
    assert main(["generate", "--method", "paper", *common, "-n", "2", "-o", str(out)]) == 0
    assert "all of them made before" in capsys.readouterr().out
    assert main(["info", "--checkpoint", str(checkpoint)]) == 0
    assert "80 steps at each level" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--method", "default", "--space-group", "225"],
            "is of the paper method; leave --method default out",
        ),
        (["--space-group", "14"], "makes crystals of space groups 16 to 230, not 14; use the default method"),
        (["--space-group", "225", "--sampler", "euler"], "unknown sampler 'euler' of the paper method"),
    ],
)
def test_bad_input(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    out = tmp_path / "out"
    command = [
        "generate",
        "--checkpoint",
        str(checkpoint),
        "--sites",
        "Na=1,Cl=1",
        *arguments,
        "-o",
        str(out),
    ]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not out.exists()


def test_the_checkpoint_that_ships() -> None:
    """As many crystals seen as the published model at least, small, and good for crystals in a few steps."""
    path = default_checkpoint("paper")
    assert path.stat().st_size < 8e6
    shipped = load_model("paper")
    assert isinstance(shipped, PaperModel)
    assert int(shipped.metadata["crystals_seen"]) >= 32 * 16_000
    assert shipped.max_atoms == 20 and len(shipped.elements) > 80 and not shipped.joint
    orders = [
        {"id": "salt", "space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 12},
        {"id": "perovskite", "space_group": 221, "sites": {"Sr": 1, "Ti": 1, "O": 1}, "count": 12},
    ]
    records = list(generate_records(shipped, orders, seed=0, steps=3))
    crystals = [r.crystal for r in records if r.crystal is not None]
    assert len(crystals) >= 22
    # Sites find special positions: in general position a site has 48 atoms in these groups.
    sizes = [c.n_atoms / len(c.sites) for c in crystals]
    assert sorted(sizes)[len(sizes) // 2] <= 8
    density = [abs(np.linalg.det(c.primitive_lattice)) / c.n_atoms for c in crystals]
    assert 8 < sorted(density)[len(density) // 2] < 40
