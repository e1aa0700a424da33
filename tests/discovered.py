"""A finished run of Mg-Al-O with made-up energies."""

from __future__ import annotations

from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.discovery.candidate import Candidate, Novelty, State
from crystalsmith.discovery.summary import RunSummary, StageCount

PEROVSKITE = Crystal(221, (3.9, 3.9, 3.9, 90, 90, 90), (Site("Mg", "a"), Site("Al", "b"), Site("O", "c")))
ROCK_SALT = Crystal(225, (4.21, 4.21, 4.21, 90, 90, 90), (Site("Mg", "a"), Site("O", "b")))
FORMATION = {"Mg": 0.0, "Al": 0.0, "O2": 0.0, "MgO": -3.0, "Al2O3": -3.3, "Mg17Al12": -0.04}


def entry(formula: str, energy: float, name: str | None = None) -> PDEntry:
    """An entry of ``energy`` eV per atom."""
    composition = Composition(formula)
    return PDEntry(composition, energy * composition.num_atoms, name or formula)


def run_summary() -> RunSummary:
    """Spinel below the hull, a perovskite above it, and text that HTML must not take for tags."""
    spinel = Candidate(
        "Mg-Al-O-1-0042",
        {"formula": "MgAl2O4", "space_group": 227},
        17,
        (State("generated", KNOWN["spinel"], -6.1), State("free", KNOWN["spinel"], -6.4, True, "forces", 54)),
        above_hull=-0.0124,
        formation=-3.2,
        decomposition={"MgO (mp-1265)": 2 / 7, "Al2O3": 5 / 7},
        novelty=Novelty("known", "MgAl2O4 (Fd-3m), mp-3536", "spinel", "the index"),
        phonons={"stable": True, "min_frequency": -0.02},
        elastic={"stable": True},
    )
    perovskite = Candidate(
        "Mg-Al-O-2-0007",
        {"formula": "MgAlO3"},
        3,
        (
            State("generated", PEROVSKITE),
            State("symmetric", PEROVSKITE, -5.9, False, "200 steps <reached>", 9),
        ),
        above_hull=0.0614,
        novelty=Novelty("new composition", "MgAl2O4 (P6_3/mmc), mp-1", "", "<b>user</b>.cif"),
    )
    diagram = PhaseDiagram(
        [entry(f, e, "MgO (mp-1265)" if f == "MgO" else None) for f, e in FORMATION.items()]
    )
    return RunSummary(
        system=("Mg", "Al", "O"),
        potential="CHGNet 0.3.0",
        stages=(
            StageCount("generate", 2000, 1830, 310.0, {"atoms <too> close": 120, "other": 50}),
            StageCount("free relaxation", 1830, 2, 4000.0, {"far above the hull": 1828}),
        ),
        shortlist=(spinel, perovskite),
        diagram=diagram,
        reference="6 phases of Mg-Al-O & their energies",
        notes=("No reference for <MgAl>.",),
        arguments={"command": ["crystalsmith", "discover", "Mg-Al-O", "-n", "2000"], "seed": 5},
        versions={"crystalsmith": "0.1.0", "checkpoint": "sha256:abcdef"},
        seconds=4310.0,
    )
