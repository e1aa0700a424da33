"""Templates: published crystals whose elements are exchanged, from each source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from test_alignment import disguised
from test_table import changed, spinels

from crystals import KNOWN
from crystalsmith.assignments import canonical, from_pairs
from crystalsmith.crystal import NUMBERS, Crystal, Site
from crystalsmith.data import pack
from crystalsmith.errors import DataError
from crystalsmith.prior import Prototypes
from crystalsmith.prior.prototypes import MERGED
from crystalsmith.prototypes import Aflow, KnownFile, Library, PrototypeTable

MATCHER = StructureMatcher(ltol=0.1, stol=0.15, angle_tol=3)

# Forsterite: Smyth and Hazen, Am. Mineral. 58, 588 (1973), in Pnma.
# Pyrope, grossular: Novak and Gibbs, Am. Mineral. 56, 791 (1971). Fayalite: Smyth, ibid. 60, 1092 (1975).
FORSTERITE = Crystal(
    62,
    (10.2, 5.98, 4.76, 90, 90, 90),
    (
        Site("Mg", "a"),
        Site("Mg", "c", (0.2774, 0.9915)),
        Site("Si", "c", (0.0940, 0.4262)),
        Site("O", "c", (0.0913, 0.7657)),
        Site("O", "c", (0.4474, 0.2215)),
        Site("O", "d", (0.1628, 0.0331, 0.2777)),
    ),
)
PYROPE = Crystal(
    230,
    (11.459, 11.459, 11.459, 90, 90, 90),
    (Site("Al", "a"), Site("Mg", "c"), Site("Si", "d"), Site("O", "h", (0.0329, 0.0502, 0.6534))),
)
FAYALITE = Crystal(
    62,
    (10.471, 6.086, 4.818, 90, 90, 90),
    (
        Site("Fe", "a"),
        Site("Fe", "c", (0.2802, 0.9859)),
        Site("Si", "c", (0.0974, 0.4293)),
        Site("O", "c", (0.0921, 0.7687)),
        Site("O", "c", (0.4529, 0.2075)),
        Site("O", "d", (0.1657, 0.0384, 0.2881)),
    ),
)
GROSSULAR = Crystal(
    230,
    (11.845, 11.845, 11.845, 90, 90, 90),
    (Site("Al", "a"), Site("Ca", "c"), Site("Si", "d"), Site("O", "h", (0.0381, 0.0449, 0.6514))),
)
MGO = Crystal(225, (4.212, 4.212, 4.212, 90, 90, 90), (Site("Mg", "a"), Site("O", "b")))
BATIO3 = Crystal(221, (4.006, 4.006, 4.006, 90, 90, 90), (Site("Ba", "a"), Site("Ti", "b"), Site("O", "c")))
MGCR2O4 = Crystal(
    227, (8.333, 8.333, 8.333, 90, 90, 90), (Site("Mg", "a"), Site("Cr", "d"), Site("O", "e", (0.2612,)))
)
# Fleet, Acta Cryst. B37, 917 (1981): the spinel structure with one element on both metal positions.
MAGNETITE = Crystal(
    227, (8.3941, 8.3941, 8.3941, 90, 90, 90), (Site("Fe", "a"), Site("Fe", "d"), Site("O", "e", (0.2549,)))
)
CASES = {
    "rock salt": (KNOWN["rock salt"], MGO),
    "perovskite": (KNOWN["perovskite"], BATIO3),
    "spinel": (KNOWN["spinel"], MGCR2O4),
    "olivine": (FORSTERITE, FAYALITE),
    "garnet": (PYROPE, GROSSULAR),
}
KNOWN_CRYSTALS = [known for known, _ in CASES.values()] + [
    KNOWN["quartz"],
    KNOWN["rutile"],
    KNOWN["wurtzite"],
]


def asked(crystal: Crystal) -> tuple[tuple[int, ...], tuple[int, ...]]:
    counts = crystal.counts
    return tuple(NUMBERS[e] for e in counts), tuple(counts.values())


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Library]:
    """The published crystals as single ones in disguise, and as clusters of two of them each."""
    rng = np.random.default_rng(4)
    hidden = [disguised(c, rng, k) for k, c in enumerate(KNOWN_CRYSTALS)]
    path = tmp_path_factory.mktemp("known") / "known.safetensors"
    pack(hidden, [f"id-{k}" for k in range(len(hidden))]).save(path)
    heavier = {"Na": "K", "Sr": "Ba", "Al": "Ga", "Mg": "Zn", "Si": "Ge", "Zn": "Cd", "Ti": "Sn"}
    pairs = [x for c in hidden for x in (c, disguised(changed(c, heavier, 1.05), rng, 7))]
    return {
        "file": Library.of(known=[path]),
        "prototype": Library.of(PrototypeTable.build(pack(pairs))),
        "aflow": Library.of(aflow=True),
    }


@pytest.mark.parametrize("kind", ["file", "prototype", "aflow"])
@pytest.mark.parametrize("name", list(CASES))
def test_templates_are_the_published_crystals(sources: dict[str, Library], kind: str, name: str) -> None:
    if kind == "aflow" and name in ("olivine", "garnet"):
        pytest.skip("not among the prototypes that pymatgen has")
    truth = CASES[name][1]
    found = sources[kind].by_atoms(*asked(truth), groups=[truth.space_group])
    assert found and found[0].source == kind
    assert [t.score for t in found] == sorted((t.score for t in found), reverse=True)
    assert any(MATCHER.fit(t.crystal.to_structure(), truth.to_structure()) for t in found[:2])
    for template in found:
        crystal = template.crystal
        assert crystal.counts == truth.counts
        assert 0 < template.weight <= 1
        elements, own = from_pairs(crystal.space_group, [(s.element, s.letter) for s in crystal.sites])
        assert canonical(crystal.space_group, own) == own  # sites are on canonical letters
        assert list(dict.fromkeys(s.element for s in crystal.sites)) == list(elements)


@pytest.mark.parametrize("name", list(CASES))
def test_letters_given_up_to_origin(sources: dict[str, Library], name: str) -> None:
    truth = CASES[name][1]
    hidden = disguised(truth, np.random.default_rng(8), 5)
    for kind in ("file", "prototype"):
        found = sources[kind].of_crystal(hidden)
        assert found
        assert MATCHER.fit(found[0].crystal.to_structure(), truth.to_structure())
        symbols, own = from_pairs(hidden.space_group, [(s.element, s.letter) for s in hidden.sites])
        again = sources[kind].by_assignment(
            hidden.space_group, tuple(NUMBERS[e] for e in symbols), own, most=1
        )
        assert again == found[:1]


def test_a_crystal_of_the_file_comes_back_exactly(tmp_path: Path) -> None:
    """Weight 1, its own cell, its own coordinates up to the description; float32 is the file's precision."""
    path = tmp_path / "k.safetensors"
    pack([FORSTERITE, changed(FORSTERITE, {"Mg": "Ca"}, 1.05)], ["mp-1", "mp-2"]).save(path)
    first, *rest = Library.of(known=[path]).by_atoms(*asked(FORSTERITE))
    assert (first.weight, first.name, first.source, first.spread) == (1.0, "mp-1", "file", 0.0)
    assert first.members == 2 and not rest  # the other one differs in size alone
    np.testing.assert_allclose(first.crystal.cell, FORSTERITE.cell, rtol=1e-5)
    close = StructureMatcher(ltol=1e-4, stol=1e-4, angle_tol=0.01, scale=False)
    assert close.fit(first.crystal.to_structure(), FORSTERITE.to_structure())


def test_a_crystal_of_the_file_stands_before_the_mean_of_many_like_it(tmp_path: Path) -> None:
    """Its own elements, its own cell and coordinates: a prototype of more crystals is no better."""
    path = tmp_path / "k.safetensors"
    pack([MGCR2O4], ["own"]).save(path)
    others = [changed(MGCR2O4, {"Cr": e}, scale) for e, scale in (("Cr", 1.01), ("Al", 0.97), ("Fe", 1.0))]
    library = Library.of(PrototypeTable.build(pack(others)), known=[path])
    first = library.by_atoms(*asked(MGCR2O4))[0]
    assert (first.source, first.name, first.weight) == ("file", "own", 1.0)
    np.testing.assert_allclose(first.crystal.cell, MGCR2O4.cell, rtol=1e-5)
    # For other elements the prototype, which stands for more crystals, stays first.
    assert library.by_atoms((12, 23, 8), (2, 4, 8))[0].source == "prototype"


def test_weights_are_those_of_the_prior(sources: dict[str, Library]) -> None:
    elements, counts = asked(MGCR2O4)
    library = sources["file"]
    (source,) = library.sources
    assert isinstance(source, KnownFile)
    direct = Prototypes(source.prototypes.known).matches_by_atoms(elements, counts)
    assert library.by_atoms(elements, counts)[0].weight == direct[0][0]
    none = library.by_atoms(elements, counts, groups=[1, 2])
    assert none == []


def test_two_elements_of_a_known_crystal_stand_for_one(sources: dict[str, Library]) -> None:
    """Spinels lend to magnetite, behind crystals that have as many elements as it."""
    elements, counts = asked(MAGNETITE)
    for kind in ("file", "prototype"):
        library = sources[kind]
        (found,) = library.by_atoms(elements, counts, groups=[227])
        assert [(s.element, s.letter) for s in found.crystal.sites] == [("Fe", "a"), ("Fe", "d"), ("O", "e")]
        assert MATCHER.fit(found.crystal.to_structure(), MAGNETITE.to_structure())
        assert found.weight < MERGED
        assert library.of_crystal(MAGNETITE) == [found]
        assert library.of_crystal(MGCR2O4)[0].weight > found.weight


def test_sites_of_two_elements_keep_their_coordinates(tmp_path: Path) -> None:
    """Both metals of olivine as one: its positions are in another order then than element by element."""
    path = tmp_path / "olivine.safetensors"
    pack([FORSTERITE]).save(path)
    whole = changed(FORSTERITE, {"Si": "Mg"})
    (found, *_) = Library.of(known=[path]).of_crystal(whole)
    assert found.weight < MERGED
    close = StructureMatcher(ltol=1e-4, stol=1e-3, angle_tol=0.01)
    assert close.fit(found.crystal.to_structure(), whole.to_structure())


def test_one_element_in_place_of_two_that_makes_another_crystal_is_no_template(tmp_path: Path) -> None:
    """Elpasolite K2NaAlF6 as K3FeF6 is one, as K2FeFeF6 with F half way between it is a perovskite."""
    path = tmp_path / "ordered.safetensors"
    elpasolite = Crystal(
        225,
        (8.1, 8.1, 8.1, 90, 90, 90),
        (Site("K", "c"), Site("Na", "b"), Site("Al", "a"), Site("F", "e", (0.25,))),
    )
    pack([elpasolite]).save(path)
    library = Library.of(known=[path])
    # Na and Al alike, F half way between: the cubic perovskite of half the length.
    assert library.by_atoms((19, 26, 9), (2, 2, 6)) == []
    (kept,) = library.by_atoms((26, 19, 9), (1, 3, 6), groups=[225])
    assert {s.letter for s in kept.crystal.sites if s.element == "K"} == {"a", "c"}


def test_stable_crystals_make_likelier_templates(tmp_path: Path) -> None:
    """Of two polymorphs that are as similar the stable one comes first, in a file and in a table."""
    polymorphs = [KNOWN["rutile"], KNOWN["anatase"]]
    crystals = [changed(c, {"Ti": e}) for e in ("Ti", "Sn") for c in polymorphs]
    for above, groups in (((0.0, 0.15), [136, 141]), ((0.15, 0.0), [141, 136]), ((np.nan, 0.0), [141, 136])):
        path = tmp_path / "p.safetensors"
        data = pack(crystals, e_above_hull=[*above, *above])
        data.save(path)
        for library in (Library.of(known=[path]), Library.of(PrototypeTable.build(data))):
            found = library.by_atoms((32, 8), (2, 4))
            assert [t.crystal.space_group for t in found] == groups
            assert found[0].weight == found[1].weight
            expected = sorted(above, key=lambda x: 0.03 if np.isnan(x) else x)
            np.testing.assert_allclose([t.e_above_hull for t in found], expected, atol=1e-6)


def test_volume_is_that_of_the_atoms(sources: dict[str, Library]) -> None:
    """The known crystal's volume times the ratio of fitted atomic volumes."""
    (source,) = sources["file"].sources
    v = source.atomic_volume
    first = sources["file"].by_atoms((12, 8), (1, 1), groups=[225])[0].crystal
    salt = KNOWN["rock salt"]
    assert first.volume == pytest.approx(salt.volume * (v[12] + v[8]) / (v[11] + v[17]), rel=1e-5)


def test_lookups_do_not_change_with_what_was_asked_before(sources: dict[str, Library]) -> None:
    library = sources["prototype"]
    alone = library.by_atoms(*asked(GROSSULAR))
    for _, truth in CASES.values():
        library.by_atoms(*asked(truth))
    assert library.by_atoms(*asked(GROSSULAR)) == alone
    few = library.by_atoms(*asked(MGO), most=1)
    assert few == library.by_atoms(*asked(MGO))[:1]


def test_nearly_equal_templates_are_one(tmp_path: Path) -> None:
    path = tmp_path / "spinels.safetensors"
    pack(spinels(np.random.default_rng(2))).save(path)
    elements, counts = asked(MGCR2O4)
    found = Library.of(known=[path]).by_atoms(elements, counts)
    assert len({t.crystal.wyckoff for t in found}) == len(found)
    assert max(t.members for t in found) == 4


def test_files_in_any_form_and_what_they_lack(tmp_path: Path) -> None:
    (tmp_path / "spinel.cif").write_text(KNOWN["spinel"].to_cif())
    library = Library.of(known=[tmp_path / "spinel.cif"])
    assert library.lacking(["O", "Al", "Mg"]) == []
    (sentence,) = library.lacking(["Mg", "Cr", "O"])
    assert "spinel.cif holds no crystal of Mg-Cr-O" in sentence
    assert library.by_atoms(*asked(MGCR2O4))[0].crystal.space_group == 227
    assert library.hash and library.hash == Library.of(known=[tmp_path / "spinel.cif"]).hash
    with pytest.raises(DataError, match="there is no file"):
        Library.of(known=[tmp_path / "none.cif"])
    (tmp_path / "empty.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError):
        Library.of(known=[tmp_path / "empty.safetensors"])


def test_an_empty_library_has_nothing() -> None:
    library = Library.of()
    assert not library and library.hash == ""
    assert library.by_atoms((12, 8), (1, 1)) == [] and library.of_crystal(MGO) == []


def test_aflow_names_its_prototypes() -> None:
    aflow = Aflow(np.full(119, 18.0))
    prototypes = aflow.of_ratio((1, 1))
    names = [aflow.record(prototypes, row).name for row in range(len(prototypes))]
    assert any("225" in name and "Halite" in name for name in names)
    assert len(aflow.hash) == 64
