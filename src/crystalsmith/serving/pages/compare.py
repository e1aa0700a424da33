"""Two crystals of a run side by side: they turn together, and what differs is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.pages.crystal_panel import crystal_panel, facts_of
from crystalsmith.serving.pages.fields import Field, select_field
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.look import plain_words
from crystalsmith.serving.pages.parts import PATIENCE, answer, element, link, table, text
from crystalsmith.serving.pages.powder import pair_plot

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service


def register(service: Service) -> None:
    """Add the page."""

    @ui.page("/compare/{run_id}/{first}/{second}")
    async def compare(run_id: str, first: int, second: int) -> None:
        with frame("Side by side", lead="Both turn together."):
            link("Back to all", f"/look/{run_id}?n={first}", "")
            place = element("div", "stack")
        await ui.context.client.connected(timeout=PATIENCE)
        with place:
            try:
                rows = await answer(service.crystals, run_id)
            except CrystalsmithError as error:
                text("p", str(error), "fault-note", role="alert")
                return
            await _show(service, run_id, rows, (first, second))


async def _show(service: Service, run_id: str, rows: list[dict[str, Any]], pair: tuple[int, int]) -> None:
    names = {str(row["n"]): f"{row['n']}: {plain_words(row)}" for row in rows}
    found: list[dict[str, Any] | None] = []
    fields: list[Field] = []

    def turn() -> None:
        ui.navigate.to(f"/compare/{run_id}/{fields[0].value}/{fields[1].value}")

    with element("div", "pair"):
        for words, n in zip(("Left", "Right"), pair, strict=True):
            with element("section", "panel stack", **{"aria-label": words}):
                chosen = str(n) if str(n) in names else None
                fields.append(select_field(words, names, value=chosen, quiet=True, on_change=turn))
                found.append(
                    await crystal_panel(service, run_id, n, height=340, link_views="pair", brief=True)
                )
    one, two = found
    if one is None or two is None:
        return
    with element("section", "stack"):
        text("h2", "What differs")
        head = ["figure", names[str(pair[0])], names[str(pair[1])]]
        table(head, differences(one, two), texts=3, caption="What differs", wrap=True)
        text("h2", "Powder patterns, Cu Kα")
        try:
            patterns = [await answer(service.pattern, run_id, n, "CuKa") for n in pair]
        except CrystalsmithError as error:
            text("p", str(error), "quiet")
        else:
            pair_plot(patterns[0], patterns[1], (names[str(pair[0])], names[str(pair[1])]))


def differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[list[object]]:
    """Facts that are not the same of both, by name."""
    left, right = dict(facts_of(one)), dict(facts_of(two))
    left["Space group"], right["Space group"] = one["symbol"], two["symbol"]
    left["Positions"], right["Positions"] = one["wyckoff"], two["wyckoff"]
    names = ["Space group", "Positions", *(name for name in {**left, **right} if name not in ("Seed",))]
    return [
        [name, left.get(name, "–"), right.get(name, "–")]
        for name in dict.fromkeys(names)
        if left.get(name) != right.get(name)
    ]
