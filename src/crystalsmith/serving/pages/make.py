"""Make: what is wanted, what it means, and the job that makes it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.pages.fields import Field, check_field, choice_field, select_field, text_field
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.meaning import (
    show_arrangements,
    show_meaning,
    show_positions,
    show_silence,
)
from crystalsmith.serving.pages.order_form import (
    KINDS,
    OF_CELL,
    OF_SIZE,
    TAKES,
    Filled,
    fault_field,
    read_form,
)
from crystalsmith.serving.pages.parts import answer, button, element, link, text
from crystalsmith.serving.pages.progress import count_of, stage_of

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

PAUSE = 0.3
"""Seconds without a key after which the page says what the order means."""

LONGER_PAUSE = 0.5
"""And after which it counts what is possible, which takes longer."""

EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "LiFePO4": {"kind": "formula", "formula": "LiFePO4"},
    "Cu-K-Si": {"kind": "system", "system": "Cu-K-Si"},
    "a perovskite": {"kind": "wyckoff", "space_group": "Pm-3m", "wyckoff": "Sr:a, Ti:b, O:c"},
}
"""What somebody may try first."""

_LETTERS = {
    "likely": "with what is likeliest",
    "drawn": "at random, as the model finds it likely: more inventive",
    "frequencies": "at random, as often as positions are occupied",
}
_POTENTIALS = {"": "none", "chgnet": "CHGNet", "7net-0": "SevenNet-0", "7net-l3i5": "SevenNet-l3i5"}


def register(service: Service) -> None:
    """Add the page."""

    @ui.page("/")
    def make() -> None:
        query = dict(ui.context.client.request.query_params)
        with frame(
            "Make crystals",
            active="make",
            lead="Say what you know; a formula is enough. Cell, symmetry and atoms are found for you.",
        ):
            MakePage(service, query)
            lately_made(service)


class MakePage:
    """The form, with its state.

    Args:
        service: that answers and makes.
        query: values of fields that stand in the page's address.
    """

    def __init__(self, service: Service, query: Mapping[str, str]) -> None:
        self._service = service
        self._fields: dict[str, Field] = {}
        self._asked: asyncio.Task[None] | None = None
        self._meaning: dict[str, Any] = {}
        with element("form", "make", novalidate=True).on("submit", js_handler="(e) => e.preventDefault()"):
            with element("div", "stack what"):
                self._add_what(query)
                self._add_start(query)
            with element("section", "panel flat stack meaning", **{"aria-label": "What this means"}):
                self._said = element("div", "stack tight", **{"aria-live": "polite", "aria-busy": "false"})
            with element("div", "stack more"):
                self._add_known(query)
                self._add_how(query)
        self._show_fields()
        self._changed()

    # What is wanted.

    def _add_what(self, query: Mapping[str, str]) -> None:
        kind = query.get("kind", "formula")
        self._fields["kind"] = choice_field(
            "What do you know?", KINDS, value=kind if kind in KINDS else "formula", on_change=self._turn
        )
        with element("div", "grid wide"):
            self._text("formula", "Formula", query, placeholder="LiFePO4", hint="exactly this composition")
            self._text(
                "system", "Elements", query, placeholder="Cu-K-Si", hint="all of these; the ratios are chosen"
            )
            self._text("space_group", "Space group", query, placeholder="any", hint=_GROUP_HINT)
            self._text(
                "sites",
                "Sites of each element",
                query,
                placeholder="Na=1, Cl=1",
                hint="inequivalent sites; 1-3 for a range",
            )
            self._text(
                "wyckoff",
                "Elements and letters",
                query,
                placeholder="Sr:a, Ti:b, O:c",
                hint="one pair for each inequivalent site",
            )
            self._add_host()
            self._text(
                "add",
                "Atoms to add",
                query,
                placeholder="Li=4",
                hint="to its primitive cell; H=any to choose",
            )
        with element("p", "small quiet") as self._examples:
            text("span", "Try ")
            for words, values in EXAMPLES.items():
                button(words, partial(self.fill, values), "plain small")
        self._positions = element("div")

    def _add_host(self) -> None:
        from crystalsmith.serving.pages.uploads import upload_field

        with element("div") as self._host:
            self._upload = upload_field("Host crystal", "structure", self._changed)

    def _add_start(self, query: Mapping[str, str]) -> None:
        with element("div", "row low"):
            with element("div", "few"):
                self._text("count", "Crystals", {"count": query.get("count", "12")}, keys="numeric")
            self._start = button("Make crystals", self.start, "main")
        self._fault = text("p", "", "fault-note hidden", role="alert")

    # What else is known, and how to go about it.

    def _add_known(self, query: Mapping[str, str]) -> None:
        given = any(query.get(name) for name in ("size", "cell", "min_distance", "coordination", "max_atoms"))
        with element("details", open=given or None):
            text("summary", "What else do you know?")
            with element("div", "grid wide"):
                self._select("size", "Size of the cell", OF_SIZE, query)
                self._text("size_value", "How many", query, keys="numeric")
                self._text(
                    "max_atoms", "At most so many atoms", query, keys="numeric", hint="in the primitive cell"
                )
                self._text(
                    "max_sites", "At most so many sites", query, keys="numeric", hint="inequivalent ones"
                )
                self._select("cell", "Known of the cell", OF_CELL, query)
                self._text("cell_value", "Which is", query)
                self._text(
                    "cell_tolerance",
                    "How well, %",
                    query,
                    keys="decimal",
                    hint="a standard deviation; empty: exactly",
                )
                self._text(
                    "min_distance",
                    "Shortest distances, Å",
                    query,
                    placeholder="1.8, or Li-O=1.8",
                    hint="for all atoms, or by pair",
                )
                self._text(
                    "coordination", "Neighbours", query, placeholder="Ti-O=6", hint="O atoms around each Ti"
                )

    def _add_how(self, query: Mapping[str, str]) -> None:
        with element("details"):
            text("summary", "How to make them")
            with element("div", "grid wide"):
                self._text("seed", "Seed", {"seed": query.get("seed", "0")}, keys="numeric", hint=_SEED_HINT)
                self._select("letters", "Fill in what is open", _LETTERS, query)
                self._text(
                    "best_of",
                    "Drafts of each crystal",
                    {"best_of": query.get("best_of", "1")},
                    keys="numeric",
                    hint="the best one is kept; each costs its time",
                )
                self._select("potential", "Judge energies with", _POTENTIALS, query)
                self._check("new_only", "Only what is not known yet", "leave out the known phases", query)

    def _text(self, name: str, label: str, query: Mapping[str, str], **words: Any) -> None:
        self._fields[name] = text_field(
            label, value=query.get(name, ""), on_change=self._changed, on_enter=self.start, **words
        )

    def _select(self, name: str, label: str, options: Mapping[str, str], query: Mapping[str, str]) -> None:
        value = query.get(name, "")
        self._fields[name] = select_field(
            label, options, value=value if value in options else None, on_change=self._turn
        )

    def _check(self, name: str, label: str, hint: str, query: Mapping[str, str]) -> None:
        self._fields[name] = check_field(
            label, value=query.get(name) == "True", hint=hint, on_change=self._changed
        )

    # What happens.

    @property
    def values(self) -> dict[str, Any]:
        """What stands in the fields, by name."""
        values = {name: field.value for name, field in self._fields.items()}
        return {**values, "upload": self._upload.upload}

    def fill(self, values: Mapping[str, str]) -> None:
        """Fill in an example; the fields that it does not name become empty."""
        for name in ("formula", "system", "space_group", "sites", "wyckoff", "add"):
            self._fields[name].set_value(values.get(name, ""))
        self._fields["kind"].set_value(values["kind"])
        self._turn()

    def _turn(self) -> None:
        self._show_fields()
        self._changed()

    def _show_fields(self) -> None:
        """Those of this kind of order."""
        values = self.values
        kind = values["kind"]
        shown = {"kind", "count", "min_distance", "coordination", "seed", "letters", "best_of", "potential"}
        shown |= {"new_only", *TAKES[kind]}
        if "size" in shown and values["size"]:
            shown.add("size_value")
        if "cell" in shown and values["cell"]:
            shown |= {"cell_value", "cell_tolerance"}
        for name, field in self._fields.items():
            field.set_visibility(name in shown)
        self._host.set_visibility(kind == "host")
        self._fields["space_group"].hint = _GROUP_HINT if kind not in ("sites", "wyckoff") else "225 or Fm-3m"
        self._fields["cell_value"].hint = _CELL_HINTS.get(values["cell"], "")
        if kind in ("sites", "wyckoff"):
            show_positions(self._positions, values["space_group"])
        else:
            self._positions.clear()

    def _changed(self) -> None:
        """Say what the order means, once nothing is typed for a moment."""
        if self._asked is not None:
            self._asked.cancel()
        if self.values["kind"] in ("sites", "wyckoff"):
            show_positions(self._positions, self.values["space_group"])
        self._asked = asyncio.get_running_loop().create_task(self._explain())

    async def _explain(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(PAUSE)
            filled = read_form(self.values)
            self._keep_address()
            self._mark(filled)
            if filled.missing or filled.faults:
                show_meaning(self._said, filled, {})
                return
            self._said.props["aria-busy"] = "true"
            try:
                found = await answer(self._service.help, filled.order)
            except CrystalsmithError as error:
                show_silence(self._said, str(error))
                return
            finally:
                self._said.props["aria-busy"] = "false"
            if self._said.is_deleted:
                return
            self._refuse(filled, found)
            ways = show_meaning(self._said, filled, found)
            if ways is None:
                return
            await asyncio.sleep(LONGER_PAUSE)
            try:
                placed = await answer(self._service.arrangements, filled.order)
            except CrystalsmithError as error:
                show_silence(ways, str(error))
                return
            if not ways.is_deleted:
                show_arrangements(ways, placed, self.fill)

    def _mark(self, filled: Filled) -> None:
        for name, field in self._fields.items():
            field.fault = filled.faults.get(name, "")

    def _refuse(self, filled: Filled, found: Mapping[str, Any]) -> None:
        """Say at its field why an order cannot be."""
        if found.get("possible") is False:
            name = fault_field(filled.order, self.values["kind"], str(found["reason"]))
            if name in self._fields:
                self._fields[name].fault = str(found["reason"])

    def _keep_address(self) -> None:
        """The fields into the page's address, so that it can be loaded again, kept and sent."""
        usual = {"kind": "formula", "count": "12", "seed": "0", "best_of": "1", "letters": "likely"}
        kept = {
            name: str(value)
            for name, value in self.values.items()
            if value not in ("", None, False) and usual.get(name) != value and name != "upload"
        }
        address = "/" + (f"?{urlencode(kept)}" if kept else "")
        with self._said:
            ui.run_javascript(f"history.replaceState(null, '', {address!r})")

    async def start(self) -> None:
        """Make what is asked for, and go where it can be watched."""
        filled = read_form(self.values)
        self._mark(filled)
        self._fault.classes("hidden")
        if filled.missing:
            self._fields.get(filled.missing, self._fields["kind"]).fault = "fill this in"
        wrong = [*filled.faults, *([filled.missing] if filled.missing else [])]
        if wrong:
            if wrong[0] in self._fields:
                self._fields[wrong[0]].focus()
            return
        self._start.props["disabled"] = True
        self._start.set_text("Starting …")
        try:
            options = {"orders": [filled.order], **filled.settings}
            job = await answer(self._service.submit, "generate", options)
        except CrystalsmithError as error:
            self._start.props.pop("disabled", None)
            self._start.set_text("Make crystals")
            name = fault_field(filled.order, self.values["kind"], str(error))
            if name in self._fields:
                self._fields[name].fault = str(error)
                self._fields[name].focus()
            else:
                self._fault.set_text(str(error))
                self._fault.classes(remove="hidden")
            return
        ui.navigate.to(f"/look/{job.id}")


def lately_made(service: Service, most: int = 5) -> None:
    """The latest jobs, with links."""
    jobs = [job for job in service.jobs.all() if job.kind == "generate"][:most]
    if not jobs:
        return
    with element("section", "stack tight"):
        text("h2", "Made lately")
        with element("ul", "plain"):
            for job in jobs:
                with element("li"):
                    link(asked_for(job.options), f"/look/{job.id}", "")
                    text("span", f" {stage_of(job).lower()}{count_of(job)}", "quiet small")


def asked_for(options: Mapping[str, Any]) -> str:
    """What a job makes, in a few words."""
    order = options["orders"][0]
    kind = next((name for name in KINDS if order.get(name) is not None), "formula")
    value = order[kind]
    if kind == "sites":
        value = ", ".join(f"{element} {number}" for element, number in value.items())
    if kind == "wyckoff":
        value = ", ".join(f"{element} {letter}" for element, letter in value)
    if kind == "host":
        value = "a host with " + ", ".join(f"{element} {number}" for element, number in order["add"].items())
    group = order.get("space_group")
    return f"{value}, space group {group}" if isinstance(group, (str, int)) else str(value)


_GROUP_HINT = "number or symbol; empty for any"
_SEED_HINT = "another seed makes other crystals"
_CELL_HINTS = {
    "cell": "a, b, c (Å), α, β, γ (°): 4.1 4.1 5.2 90 90 120",
    "primitive_cell": "a, b, c (Å), α, β, γ (°): 4.1 4.1 5.2 90 90 120",
    "volume": "Å³",
    "density": "g/cm³",
}
