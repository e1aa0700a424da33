"""One crystal on a page: structure to turn, facts, sites, distances, powder pattern, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from crystalsmith.errors import CrystalsmithError
from crystalsmith.reports.words import chance, formula_html, group_html, lattice_html, number
from crystalsmith.serving.pages.fields import select_field
from crystalsmith.serving.pages.parts import answer, button, element, facts, html, link, table, text
from crystalsmith.serving.pages.powder import RADIATIONS, pattern_plot
from crystalsmith.serving.pages.viewer import CrystalView

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

FORMATS = {"cif": "CIF", "poscar": "POSCAR", "extxyz": "extxyz"}
"""Files in which crystals are given out."""

ON_HULL = 5e-4
"""eV per atom; what lies closer is said to be on the hull."""

_DIFFERENT = "new: no phase with this structure is known to the model"


def download(run_id: str, kind: str, n: int | None = None) -> str:
    """Address of a crystal's file, or of all of a run."""
    return f"/api/v1/runs/{run_id}/download?format={kind}" + ("" if n is None else f"&crystal={n}")


async def crystal_panel(
    service: Service,
    run_id: str,
    n: int,
    *,
    more: Sequence[tuple[str, object]] = (),
    height: int = 420,
    link_views: str = "",
    brief: bool = False,
    address: str = "",
) -> dict[str, Any] | None:
    """Write the panel where the caller stands.

    Args:
        service: that has the run.
        run_id: of the run.
        n: of the crystal, from 1.
        more: further facts, values may be ``Markup``.
        height: of the structure, in pixels.
        link_views: views of one page with the same name here turn together.
        brief: without facts and powder pattern.
        address: of its files, to which the name of the format is added; that of the run's if empty.

    Returns:
        What is known of the crystal; None where it cannot be shown.
    """
    place = element("div", "stack")
    try:
        found = await answer(service.crystal, run_id, n)
        scene = await answer(service.scene, run_id, n)
    except CrystalsmithError as error:
        if not place.is_deleted:
            with place:
                text("p", str(error), "fault-note", role="alert")
        return None
    if place.is_deleted:  # another crystal was chosen meanwhile
        return None
    with place:
        with element("div", "row ends"):
            with element("h2", "name"):
                html(title_of(found), tag="span")
            with element("div", "row tight"):
                for kind, words in FORMATS.items():
                    link(
                        words,
                        f"{address}{kind}" if address else download(run_id, kind, n),
                        "cs small",
                        download="",
                    )
        view = CrystalView(scene, height=height, link=link_views)
        if not brief:
            _add_film(service, run_id, n, view)
        with element("div", "columns"):
            if not brief:
                facts([*facts_of(found), *more])
            with element("div", "stack tight"):
                _add_sites(found)
                _add_distances(found)
        if not brief:
            await _add_pattern(service, run_id, n)
    return dict(found)


def title_of(found: Mapping[str, Any]) -> Markup:
    """Formula and space group."""
    return Markup("{} <small>{}</small>").format(
        formula_html(found["formula"]), group_html(found["space_group"])
    )


def facts_of(found: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What there is to say of a crystal, by name.

    Args:
        found: as ``Service.crystal`` gives it.
    """
    row = found["row"]
    per_atom = found["volume"] / found["atoms_conventional"]
    known: list[tuple[str, object]] = []
    if row.get("p_right") is not None:
        known.append(("Chance to be right", f"{chance(row['p_right'])}, as far as the judges can tell"))
    if row.get("novelty") is not None:
        known.append(("Known", known_words(row)))
    above = row.get("e_above_hull", row.get("e_above_hull_of_known"))
    if above is not None:
        known.append(("Above hull", hull_words(above)))
    energy = row.get("energy_ev_atom", row.get("energy"))
    if energy is not None:
        known.append(("Energy", f"{number(energy, 4)} eV/atom"))
    if row.get("score") is not None:
        known.append(("Score", number(row["score"], 2)))
    cell: list[tuple[str, object]] = [
        ("Lattice", Markup("{} (Å)").format(_lattice(found))),
        ("Atoms", f"{found['atoms']} in the primitive cell, {found['atoms_conventional']} in this one"),
        ("Volume", f"{found['volume']:.1f} Å³, {per_atom:.2f} per atom"),
    ]
    if found.get("density") is not None:
        cell.append(("Density", f"{found['density']:.2f} g/cm³"))
    return [*known, *cell, ("Symmetry found", _symmetry(found)), *_origin(row)]


def _lattice(found: Mapping[str, Any]) -> Markup:
    cell: Any = SimpleNamespace(cell=found["cell"])
    return lattice_html(cell)


def known_words(row: Mapping[str, Any]) -> Markup:
    """Whether a crystal is known, and as what."""
    if row.get("known_as"):
        return Markup("as {}").format(formula_html(row["known_as"]))
    if row.get("novelty") == "new composition":
        return Markup("new: nothing of this composition is known to the model")
    near = row.get("nearest_known")
    words = Markup(_DIFFERENT)
    return words + Markup("; of its formula: {}").format(formula_html(near)) if near else words


def hull_words(above: float) -> str:
    """How far above the hull."""
    return "on the hull" if above < ON_HULL else f"{number(above, 3)} eV/atom"


def _symmetry(found: Mapping[str, Any]) -> Markup:
    group = found.get("found_space_group", found["space_group"])
    if group == found["space_group"]:
        return Markup("{}, as described").format(group_html(group))
    return Markup("{} within 0.1 Å: more symmetric than described").format(group_html(group))


def _origin(row: Mapping[str, Any]) -> list[tuple[str, object]]:
    made: list[tuple[str, object]] = []
    if row.get("origin"):
        made.append(
            ("Made from", formula_html(str(row["origin"]).replace("network", "noise, by the network")))
        )
    if row.get("duplicate_of") is not None:
        made.append(("Repeats", f"crystal {row['duplicate_of']}"))
    if row.get("seed") is not None:
        made.append(("Seed", str(row["seed"])))
    return made


def _add_sites(found: Mapping[str, Any]) -> None:
    text("h3", "Sites")
    rows = []
    for site in found["sites"]:
        place = site.get("position")
        rows.append(
            [
                site["element"],
                f"{site['multiplicity']}{site['letter']}",
                site["site_symmetry"],
                *([f"{x:.4f}" for x in place] if place else []),
            ]
        )
    head = ["atom", "Wyckoff", "symmetry", *(["x", "y", "z"] if rows and len(rows[0]) > 3 else [])]
    table(head, rows, texts=3, caption=f"Sites of crystal {found['row']['n']}")


def _add_distances(found: Mapping[str, Any]) -> None:
    pairs = [tuple(bond.values()) if isinstance(bond, Mapping) else tuple(bond) for bond in found["bonds"]]
    if not pairs:
        return
    text("h3", "Shortest distances")
    rows = [[f"{first}–{second}", f"{length:.3f}"] for first, second, length in pairs]
    table(["pair", "Å"], rows, texts=1, caption=f"Shortest distances of crystal {found['row']['n']}")


def _add_film(service: Service, run_id: str, n: int, view: CrystalView) -> None:
    async def play() -> None:
        start.props["disabled"] = True
        said.set_text("The network makes it again, step by step …")
        try:
            found = await answer(service.film, run_id, n)
        except CrystalsmithError as error:
            said.set_text(str(error))
            return
        finally:
            start.props.pop("disabled", None)
        said.set_text("" if found["matches"] else "This time it ends in another crystal of the same letters.")
        view.play(found["frames"])

    with element("div", "row"):
        start = button("Watch it form out of noise", play, "small")
        said = text("span", "", "quiet small", role="status")


async def _add_pattern(service: Service, run_id: str, n: int) -> None:
    with element("section", "stack tight", **{"aria-label": "Powder pattern"}):
        with element("div", "row ends low"):
            text("h3", "Powder pattern, simulated")
            with element("div", "few wide"):
                field = select_field("Radiation", RADIATIONS, quiet=True, on_change=lambda: draw())
        place = element("div", "plot-place")

        async def draw() -> None:
            try:
                pattern = await answer(service.pattern, run_id, n, field.value)
            except CrystalsmithError as error:
                place.clear()
                with place:
                    text("p", str(error), "quiet")
                return
            if place.is_deleted:
                return
            place.clear()
            with place:
                pattern_plot(pattern)

        await draw()
