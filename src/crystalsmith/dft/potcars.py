"""Which of VASP's potentials an element gets.

The choice is that of the Materials Project, as far as the release holds it. One potential of an element goes
through all calculations that are to be compared, references included.
"""

from __future__ import annotations

from collections.abc import Iterable

from crystalsmith.crystal import Crystal

RELEASES = ("PBE_54", "PBE")
"""Releases of VASP's PBE potentials, as pymatgen names them: potpaw_PBE.54, which VASP's portal offers, and
the old potpaw_PBE, which the Materials Project's GGA calculations were made with."""

# What pymatgen's MPRelaxSet has not, or has under a name that the release does not know; the recommendations
# of VASP's manual. Of the elements behind curium only californium has a potential.
_OWN = {
    "PBE_54": {
        **{"Po": "Po_d", "At": "At", "Rn": "Rn", "Fr": "Fr_sv", "Ra": "Ra_sv"},
        **{"Am": "Am", "Cm": "Cm", "Cf": "Cf", "W": "W_sv"},
    },
    "PBE": {"Po": "Po_d", "At": "At_d", "Rn": "Rn", "Fr": "Fr_sv", "Ra": "Ra_sv", "Am": "Am"},
}


def potcars(release: str, crystals: Iterable[Crystal]) -> tuple[dict[str, str], list[str]]:
    """The potential of each element, for calculations that shall be comparable.

    Args:
        release: one of ``RELEASES``.
        crystals: all that are calculated, references included.

    Returns:
        Names by element, elements without a potential left out; and notes for the user.
    """
    from pymatgen.io.vasp.sets import MPRelaxSet

    names = {**MPRelaxSet.CONFIG["POTCAR"], **_OWN[release]}
    notes = []
    compounds = {c.formula: c for c in crystals if "Yb" in c.counts and len(c.counts) > 1}
    divalent = sorted(f for f, c in compounds.items() if _divalent(c, "Yb"))
    if release == "PBE_54" and len(divalent) < len(compounds):
        # Yb_2 has its f electrons for Yb2+ in the core, and most compounds are of Yb3+.
        names["Yb"] = "Yb_3"
        if divalent:
            notes.append(
                f"Yb has one potential in all calculations, or they could not be compared: Yb_3; for Yb2+ in"
                f" {', '.join(divalent)} Yb_2 is better: write inputs for these alone"
            )
    return {element: str(name) for element, name in names.items()}, notes


def _divalent(crystal: Crystal, element: str) -> bool:
    """Whether charges add up with an element as a cation of charge 2 (not so in alloys)."""
    from pymatgen.core import Composition

    composition = Composition(crystal.formula)
    guesses = composition.oxi_state_guesses(oxi_states_override={element: [2, 3]}, max_sites=-1)
    return bool(guesses) and guesses[0].get(element) == 2


def lacking(crystal: Crystal, names: Iterable[str]) -> list[str]:
    """Elements of a crystal that are not among those that have a potential."""
    return sorted(set(crystal.counts) - set(names))
