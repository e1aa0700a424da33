"""The table of prototypes: clusters, the file, and files that are none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_alignment import disguised

from batches import every_group
from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.data import pack
from crystalsmith.errors import DataError
from crystalsmith.prototypes import PrototypeTable
from crystalsmith.prototypes.arrangements import arrangements_of, pattern_of
from crystalsmith.prototypes.clustering import clusters_of
from crystalsmith.prototypes.table import TENSORS
from crystalsmith.runs.sealed import read_header

VOLUMES = np.full(119, 18.0)


def changed(crystal: Crystal, change: dict[str, str], scale: float = 1.0) -> Crystal:
    """Other elements and another size."""
    cell = tuple(x * scale if k < 3 else x for k, x in enumerate(crystal.cell))
    sites = tuple(replace(s, element=change.get(s.element, s.element)) for s in crystal.sites)
    return Crystal(crystal.space_group, cell, sites)


def shifted(crystal: Crystal, by: float) -> Crystal:
    """Every free parameter moved by as much."""
    return replace(
        crystal, sites=tuple(replace(s, free=tuple(x + by for x in s.free)) for s in crystal.sites)
    )


def spinels(rng: np.random.Generator) -> list[Crystal]:
    spinel = KNOWN["spinel"]
    made = [
        changed(shifted(spinel, 0.002), {"Mg": "Zn"}, 1.02),
        changed(shifted(spinel, -0.002), {"Al": "Cr"}, 1.03),
        spinel,
        changed(spinel, {"Mg": "Fe", "O": "S"}, 1.06),
    ]
    return [disguised(c, rng, k) for k, c in enumerate(made)]


def test_equivalent_descriptions_are_one_arrangement() -> None:
    """Whatever the description, element names and order of a crystal, and in every group."""
    rng = np.random.default_rng(3)
    for seed, crystal in enumerate(every_group(seed=21)):
        exchanged = changed(
            disguised(crystal, rng, seed), dict(zip(("Na", "Ti", "O", "Cl", "Fe"), "KVSFI", strict=True))
        )
        found = arrangements_of(pack([crystal, exchanged]), VOLUMES)
        assert len(found) == 1 and found[0].rows.tolist() == [0, 1], crystal
        assert len(clusters_of(found[0])) == 1
        slots = found[0].slots
        assert pattern_of(crystal.space_group, slots)[0] == slots


def test_a_cluster_is_the_mean_of_its_members_on_the_right_slots() -> None:
    members = arrangements_of(pack(spinels(np.random.default_rng(0))), VOLUMES)
    (cluster,) = clusters_of(members[0])
    assert len(cluster) == 4
    by_size = sorted(range(3), key=lambda k: len(cluster.slots[k]) * 100 + cluster.slots[k][0])
    tuples = {tuple(row) for row in cluster.elements.tolist()}
    assert len(by_size) == 3 and len(tuples) == 4
    (oxygen,) = {k for k in range(3) if {t[k] for t in tuples} == {8, 16}}
    (tetrahedral,) = {k for k in range(3) if {t[k] for t in tuples} == {12, 30, 26}}
    octahedral = 3 - oxygen - tetrahedral
    assert {t[octahedral] for t in tuples} == {13, 24}
    # The oxygens' parameters lie 0.002 apart on either side of the published one.
    away = 0.002 * 8.0806 * np.sqrt(3) / (8.0806**3 / 56) ** (1 / 3) * np.sqrt(4 / 7 / 2)
    assert cluster.spread == pytest.approx(away, rel=0.03)


def test_the_most_stable_crystal_of_the_same_elements_counts() -> None:
    spinel = KNOWN["spinel"]
    crystals = [spinel, shifted(spinel, 0.001), changed(spinel, {"Mg": "Zn"})]
    table = PrototypeTable.build(pack(crystals, e_above_hull=[0.05, 0.02, np.nan]))
    known = table.prototypes.known
    above = {
        frozenset(known[row].elements): table.record(table.prototypes, row).e_above_hull for row in range(2)
    }
    assert above[frozenset({8, 12, 13})] == pytest.approx(0.02)
    assert np.isnan(above[frozenset({8, 30, 13})])


def test_arrangements_that_differ_are_other_clusters() -> None:
    salt, perovskite = KNOWN["rock salt"], KNOWN["perovskite"]
    rutile = KNOWN["rutile"]
    stretched = replace(rutile, cell=(4.1, 4.1, 3.7, 90, 90, 90))
    crystals = [
        salt,
        perovskite,
        rutile,
        changed(rutile, {"Ti": "Sn"}),
        stretched,
        changed(stretched, {"Ti": "Pb"}),
    ]
    table = PrototypeTable.build(pack(crystals))
    assert sorted(table.arrays["count"].tolist()) == [2, 2]  # what occurs once is never in it
    assert set(table.arrays["space_group"].tolist()) == {136}


def test_single_crystals_are_never_saved(tmp_path: Path) -> None:
    table = PrototypeTable.build(pack(list(every_group(seed=2))[:60]))
    assert len(table) == 0 and table.summary()["crystals"] == 0
    again = PrototypeTable.open(table.save(tmp_path / "none.safetensors"))
    assert len(again) == 0 and len(again.prototypes) == 0


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    crystals = [
        *spinels(rng),
        KNOWN["quartz"],
        disguised(changed(KNOWN["quartz"], {"Si": "Ge"}, 1.03), rng, 1),
    ]
    table = PrototypeTable.build(pack(crystals), metadata={"note": "here"})
    path = table.save(tmp_path / "table.safetensors")
    again = PrototypeTable.open(path)
    for name in TENSORS:
        assert np.array_equal(again.arrays[name], table.arrays[name])
    assert again.hash == table.hash and again.metadata["note"] == "here"
    assert again.summary() == {"clusters": 2, "arrangements": 2, "tuples": 6, "crystals": 6}
    first = table.save(tmp_path / "other.safetensors").read_bytes()
    assert first == path.read_bytes()
    header, _ = read_header(path)
    assert (header["__metadata__"]["format"], header["__metadata__"]["version"]) == (
        "crystalsmith.prototypes",
        "1",
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return PrototypeTable.build(pack(spinels(np.random.default_rng(1)))).save(tmp_path / "t.safetensors")


def test_files_that_are_no_table(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        PrototypeTable.open(tmp_path / "missing.safetensors")
    data = tmp_path / "data.safetensors"
    pack([KNOWN["spinel"]]).save(data)
    with pytest.raises(DataError, match="no table of prototypes"):
        PrototypeTable.open(data)
    raw = written.read_bytes()
    for bad in (raw[: len(raw) // 2], raw[:5], b"", raw[:-9] + b"\xff" + raw[-8:]):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(DataError, match=r"truncated|damaged") as error:
            PrototypeTable.open(tmp_path / "bad")
        assert "\n" not in str(error.value)


def test_another_version_says_so(written: Path) -> None:
    raw = written.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header["__metadata__"]["version"] = "2"
    text = json.dumps(header, separators=(",", ":")).encode()
    written.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    with pytest.raises(DataError, match="of version 2, this program reads 1"):
        PrototypeTable.open(written)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("count", lambda x: x - 10),
        ("element", lambda x: x * 0),
        ("wyckoff", lambda x: x + 1000),
        ("space_group", lambda x: x - 1),
        ("coordinate", lambda x: x[:-1]),
        ("tuple_start", lambda x: x[::-1]),
        ("atomic_volume", lambda x: x * np.float32("nan")),
    ],
)
def test_arrays_that_do_not_fit_together(written: Path, name: str, change) -> None:
    arrays = dict(PrototypeTable.open(written).arrays)
    arrays[name] = change(arrays[name])
    with pytest.raises((ValueError, IndexError)):
        PrototypeTable(arrays)


def test_an_empty_data_set_has_no_table() -> None:
    with pytest.raises(DataError, match="no crystal"):
        PrototypeTable.build(pack([]))


def test_sites_keep_their_freedom() -> None:
    """Coordinates of clusters lie on their positions: none beyond the freedom."""
    site = Site("O", "e", (0.26,))
    assert len(site.free) == 1
    table = PrototypeTable.build(pack(spinels(np.random.default_rng(1))))
    record = table.record(table.prototypes, 0)
    assert np.count_nonzero(record.w) == 1
