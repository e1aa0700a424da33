"""Guides: the most similar crystals of one layout, described as the crystal is."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from batches import every_group
from crystalsmith.assignments import Request, Start
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.elements import SYMBOLS
from crystalsmith.data import Dataset, pack
from crystalsmith.diffusion import LatticeField, Model, PositionField, Statistics, load_model
from crystalsmith.errors import ConfigError, DataError
from crystalsmith.graph import mean_displacement, to_batch, to_crystals
from crystalsmith.networks import Denoiser, DenoiserConfig
from crystalsmith.training import train
from crystalsmith.training.examples import Examples, equivalent, equivalent_with
from crystalsmith.training.guides import Guides
from crystalsmith.training.make_guides import find_guides

VOLUME = np.full(119, 15.0)


def with_elements(crystal: Crystal, step: int) -> Crystal:
    """The crystal with every element ``step`` places on in the periodic table."""
    sites = tuple(Site(SYMBOLS[SYMBOLS.index(s.element) + step], s.letter, s.free) for s in crystal.sites)
    return Crystal(crystal.space_group, crystal.cell, sites)


def elsewhere(crystal: Crystal, seed: int) -> Crystal:
    """An equivalent description, other points for the sites, and the sites in another order."""
    rng = np.random.default_rng(seed)
    batch = equivalent(to_batch([crystal], VOLUME, dtype=torch.float64), torch.Generator().manual_seed(seed))
    (turned,) = to_crystals(batch)
    return Crystal(
        turned.space_group, turned.cell, tuple(turned.sites[i] for i in rng.permutation(len(turned.sites)))
    )


def distances(examples: Examples, rows: torch.Tensor) -> torch.Tensor:
    """(S,) distance of each orbit from its guide, in orthonormal free coordinates."""
    assert examples.guides is not None
    batch, guide = examples.batch(rows), examples.guides.nearest(rows)
    width = torch.full((len(batch.w), 1), 0.005)
    mean, _ = mean_displacement(batch.layout, guide.w, batch.w, width)
    return torch.linalg.vector_norm(mean[:, 0] * batch.layout.free_mask, dim=1)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Random crystals of half of the space groups, all with polar axes and a centring among them."""
    return pack(every_group(seed=3, max_sites=4)[::2])


@pytest.fixture(scope="module")
def guides(data: Dataset) -> Guides:
    """From the same crystals with the next elements, described otherwise."""
    return find_guides(data, pack([with_elements(elsewhere(c, k), 1) for k, c in enumerate(data)]))


def test_a_crystal_described_otherwise_is_found_and_put_on_top(data: Dataset, guides: Guides) -> None:
    examples = Examples(data, VOLUME, guides=guides)
    assert examples.guides is not None
    assert (examples.guides.counts > 0).all()
    rows = torch.arange(len(data))
    guide = examples.guides.nearest(rows)
    away = distances(examples, rows)
    right = torch.tensor(guides.arrays["source"].copy())[examples.guides.first_guide] == rows
    assert right.float().mean() > 0.9  # random crystals of one group can have one layout
    assert float(away[right[examples.batch(rows).layout.crystal]].max()) < 1e-3
    torch.testing.assert_close(guide.strain[right], examples.strain[right], atol=1e-4, rtol=0)


def test_a_guide_turns_with_its_crystal(data: Dataset, guides: Guides) -> None:
    examples = Examples(data, VOLUME, guides=guides)
    assert examples.guides is not None
    rows = torch.arange(len(data))
    generator = torch.Generator().manual_seed(2)
    batch, guide = equivalent_with(examples.batch(rows), examples.guides.nearest(rows), generator)
    assert guide is not None
    width = torch.full((len(batch.w), 1), 0.005)
    mean, _ = mean_displacement(batch.layout, guide.w, batch.w, width)
    away = torch.linalg.vector_norm(mean[:, 0] * batch.layout.free_mask, dim=1)
    torch.testing.assert_close(away, distances(examples, rows), atol=1e-4, rtol=0)


PEROVSKITES = [
    Crystal(221, (a, a, a, 90, 90, 90), (Site(x, "a", ()), Site(y, "b", ()), Site(z, "c", ())))
    for x, y, z, a in (
        ("Ca", "Ti", "O", 3.9),
        ("Sr", "Ti", "O", 3.9),
        ("Ti", "Sr", "O", 4.1),
        ("K", "Mg", "F", 4.0),
    )
]


def test_the_most_similar_come_first_and_none_guides_itself() -> None:
    rock = Crystal(225, (5.6, 5.6, 5.6, 90, 90, 90), (Site("Na", "a", ()), Site("Cl", "b", ())))
    turned = Crystal(  # strontium titanate with the origin on titanium
        221, (3.9, 3.9, 3.9, 90, 90, 90), (Site("O", "d", ()), Site("Sr", "b", ()), Site("Ti", "a", ()))
    )
    data = pack([*PEROVSKITES, turned, rock])
    a = find_guides(data).arrays
    found = [a["source"][a["start"][i] : a["start"][i + 1]].tolist() for i in range(len(data))]
    assert set(found[0][:2]) == {1, 4} and set(found[0]) == {1, 2, 3, 4}
    assert 4 not in found[1] and 1 not in found[4]  # the same crystal would be too good a guide
    assert found[1][0] == 0 and found[4][0] == 0
    assert found[5] == []
    weight = [a["weight"][a["start"][i] : a["start"][i + 1]] for i in range(5)]
    assert all((np.diff(w) <= 0).all() and (w > 0).all() and (w < 1).all() for w in weight)
    first = a["element"][a["start"][4] * 3 :][:3].tolist()  # guides of crystals with three sites before it
    assert [SYMBOLS[z] for z in first] == ["O", "Ca", "Ti"]


def test_guides_are_drawn_and_left_out(data: Dataset, guides: Guides) -> None:
    examples = Examples(data, VOLUME, guides=guides)
    assert examples.guides is not None
    index = torch.arange(len(data)).repeat(20)
    guide = examples.guides.draw(index, torch.Generator().manual_seed(0), 0.3)
    assert float(guide.present.mean()) == pytest.approx(0.7, abs=0.03)
    assert len(guide.w) == len(examples.batch(index).w)
    assert (examples.guides.draw(index, torch.Generator().manual_seed(0), 1.0).present == 0).all()


def test_guides_follow_their_crystals_into_a_part_of_the_data(data: Dataset, guides: Guides) -> None:
    chosen = np.random.default_rng(0).permutation(len(data))[:30]
    whole = Examples(data, VOLUME, guides=guides)
    part = Examples(data.subset(indices=chosen), VOLUME, guides=guides)
    assert whole.guides is not None and part.guides is not None
    a = whole.guides.nearest(torch.tensor(chosen))
    b = part.guides.nearest(torch.arange(30))
    assert torch.equal(a.w, b.w) and torch.equal(a.strain, b.strain) and torch.equal(a.weight, b.weight)


def test_volumes_of_guides_are_relative_to_their_own_elements() -> None:
    small = PEROVSKITES[1]
    sites = (Site("Ba", "a", ()), Site("Zr", "b", ()), Site("O", "c", ()))
    large = Crystal(221, (4.2, 4.2, 4.2, 90, 90, 90), sites)
    data = pack([small, large])
    volume = VOLUME.copy()
    volume[[56, 40]] = 30.0
    examples = Examples(data, volume, guides=find_guides(data))
    assert examples.guides is not None
    guide = examples.guides.nearest(torch.tensor([0, 1]))
    torch.testing.assert_close(guide.strain, examples.strain.flip(0))


def test_files(tmp_path: Path, data: Dataset, guides: Guides) -> None:
    path = tmp_path / "guides.safetensors"
    guides.save(path)
    again = Guides.open(path)
    for name, array in guides.arrays.items():
        assert np.array_equal(again.arrays[name], array), name
    raw = path.read_bytes()
    path.write_bytes(raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:])
    with pytest.raises(DataError, match="damaged"):
        Guides.open(path)
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match="truncated"):
        Guides.open(path)
    path.write_bytes(raw.replace(b'"version":"1"', b'"version":"9"', 1))
    with pytest.raises(DataError, match="version 9"):
        Guides.open(path)
    data.save(path)
    with pytest.raises(DataError, match="no guides"):
        Guides.open(path)
    with pytest.raises(DataError, match="cannot read"):
        Guides.open(tmp_path / "none")
    with pytest.raises(DataError, match="none of the data set's crystals"):
        Examples(pack(PEROVSKITES, ids=["p", "q", "r", "s"]), VOLUME, guides=guides)


TINY = {"scalars": 16, "vectors": 4, "edges": 4, "layers": 1, "form_factors": 1}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with perovskites and their guides, made as typed."""
    folder = tmp_path_factory.mktemp("guides")
    pack(PEROVSKITES).save(folder / "data.safetensors")
    assert (
        main(["data", "guides", str(folder / "data.safetensors"), "-o", str(folder / "guides"), "--quiet"])
        == 0
    )
    return folder


def test_a_run_goes_on_with_guides(files: Path, tmp_path: Path) -> None:
    data = str(files / "data.safetensors")
    settings = {
        **{"train": data, "validation": data, "out": str(tmp_path / "run"), "orbits": 12, "crystals": 80},
        **{"warm_up": 5, "validate_every": 10, "network": TINY, "learning_rate": 3e-3},
    }
    train(settings, quiet=True)
    guides = str(files / "guides")
    with pytest.raises(ConfigError, match=r"network\.guide=true"):
        train(settings, {"guides": guides}, quiet=True)
    more = {"crystals": 160, "network": {"guide": True}, "guides": guides, "validation_guides": guides}
    path = train(settings, more, quiet=True)
    with (tmp_path / "run" / "log.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert rows[0]["guided_position"] == "" and float(rows[-1]["guided_lattice"]) > 0
    assert float(rows[-1]["lattice"]) != float(rows[-1]["guided_lattice"])
    model = load_model(path)
    assert isinstance(model, Model) and model.network.config.guide
    state = model.network.state_dict()
    assert float(state["guidance.lattice_gate.weight"].abs().max()) > 0
    train(settings, {**more, "crystals": 200}, quiet=True)  # a state that has them is taken up too
    with pytest.raises(DataError, match="no guides"):
        train(settings, {**more, "guides": data}, quiet=True)


def test_the_guide_is_used_in_sampling(data: Dataset) -> None:
    torch.manual_seed(0)
    network = Denoiser(DenoiserConfig(**TINY, guide=True)).eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn_like(p))
    statistics = Statistics(VOLUME, np.zeros((1731, 1), int), np.ones(119, int), 20)
    model = Model(network, PositionField(), LatticeField(), statistics)
    known = data[40]
    plain = Request(known.space_group, tuple((s.element, s.letter) for s in known.sites))

    def made(time: float | None, weight: float = 0.5, guided: bool = True) -> Crystal:
        start = None if time is None else Start(known, time=time, weight=weight)
        (crystal,) = model.sample([replace(plain, start=start)], [1], steps=3, guided=guided)
        return crystal

    assert made(None) == made(None, guided=False)
    for time in (0.4, 1.0):
        assert made(time) != made(time, guided=False)
        assert made(time, guided=False) == made(time, weight=0.1, guided=False)
        assert made(time) != made(time, weight=0.1)


def test_commands_refuse_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none.safetensors").write_bytes(b"{}")
    path = str(tmp_path / "none.safetensors")
    assert main(["data", "guides", path, "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
