"""Look: the crystals of a run, as cards and one by one, and two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from markupsafe import Markup
from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.reports.words import chance, formula_html, group_html, number
from crystalsmith.serving.errors import NotFound
from crystalsmith.serving.pages.crystal_panel import crystal_panel, download, hull_words
from crystalsmith.serving.pages.fields import Field, select_field
from crystalsmith.serving.pages.layout import frame
from crystalsmith.serving.pages.make import asked_for
from crystalsmith.serving.pages.order_form import values_of
from crystalsmith.serving.pages.parts import PATIENCE, answer, button, element, html, link, text
from crystalsmith.serving.pages.progress import JobPanel

if TYPE_CHECKING:
    from crystalsmith.serving.jobs import Job
    from crystalsmith.serving.service import Service

AT_ONCE = 24
"""Cards that are shown before somebody asks for more."""

SHOWN = {"different": "different", "new": "new only", "all": "all, repeats too"}
"""Which crystals are shown."""

SORTS = {
    "rank": "best first",
    "energy_ev_atom": "lowest energy first",
    "e_above_hull_of_known": "nearest to the hull first",
    "atoms": "smallest cell first",
    "volume_per_atom": "densest first",
}
"""Columns by which the cards can be sorted."""


def register(service: Service) -> None:
    """Add the page of a run."""

    @ui.page("/look/{run_id}")
    async def look(run_id: str) -> None:
        job, name = await answer(found_run, service, run_id)
        if not name:
            with frame("No such run", lead="It was removed, or its address is wrong."):
                link("To all runs", "/runs")
            return
        with frame(name, active="make" if job is not None else "runs", heading=False):
            page = LookPage(service, run_id, job, name)
        await ui.context.client.connected(timeout=PATIENCE)
        await page.show()


def found_run(service: Service, run_id: str) -> tuple[Job | None, str]:
    """The job of this id, if there is one, and the run's name; empty if there is no such run."""
    try:
        job = service.jobs.get(run_id)
        return job, asked_for(job.options) if job.kind == "generate" else job.kind
    except NotFound:
        pass
    try:
        return None, service.run(run_id).name
    except CrystalsmithError:
        return None, ""


def make_again(job: Job | None) -> str | None:
    """Address of the form with what a job was asked for; None where it has no such form."""
    if job is None or job.kind != "generate":
        return None
    orders = job.options["orders"]
    if len(orders) != 1 or orders[0].get("host") is not None:
        return None
    return f"/?{urlencode(values_of(orders[0], job.options))}"


class LookPage:
    """The page of a run.

    Args:
        service: that has it.
        run_id: of the run.
        job: that makes it, if one does.
        name: for people.
    """

    def __init__(self, service: Service, run_id: str, job: Job | None, name: str) -> None:
        self._service, self._run, self._job, self._name = service, run_id, job, name
        self._rows: list[dict[str, Any]] = []
        self._shown = AT_ONCE
        self._chosen = 0
        self._over_now = job is None or job.is_over
        self._cards: dict[int, ui.element] = {}
        with element("div", "row ends"):
            with element("div", "stack tight"):
                with element("h1"):
                    html(formula_html(self._name), tag="span")
                self._told = text("p", "", "quiet", role="status")
            self._files = element("div", "row tight")
        if job is not None:
            JobPanel(service, job, on_progress=self._grow, on_over=self._over)
        self._place = element("div")

    async def show(self) -> None:
        """Write the crystals, unless they are still to come."""
        if self._job is None or self._job.is_over:
            await self._fill()

    async def _over(self, job: Job) -> None:
        self._over_now = True
        await self._fill()

    async def _grow(self, job: Job) -> None:
        """Cards of the first that are made, in the order in which they come; ranks are known in the end."""
        if job.is_over or len(self._rows) >= AT_ONCE:
            return
        rows = await self._found()
        if len(rows) <= len(self._rows):
            return
        begun, self._rows = bool(self._rows), rows
        self._told.set_text("The first ones; they are ranked in the end.")
        if begun:
            self._add_new_cards()
        else:
            await self._lay_out()

    async def _found(self) -> list[dict[str, Any]]:
        try:
            return await answer(self._service.crystals, self._run)
        except CrystalsmithError:
            return []

    async def _fill(self) -> None:
        """The crystals, once they are there."""
        self._rows = await self._found()
        self._place.clear()
        if not self._rows:
            with self._place:
                text("p", "No crystals were made.", "empty")
            return
        self._told.set_text(told(self._rows))
        self._add_files()
        await self._lay_out()

    async def _lay_out(self) -> None:
        """Cards beside the panel of the one that is chosen."""
        self._place.clear()
        self._chosen = 0
        with self._place, element("div", "look"):
            with element("section", "stack tight cards", **{"aria-label": "Crystals"}):
                self._add_choices()
                self._list = element("ul", "strip").on("keydown", js_handler=_ARROWS)
                self._further = button("Show more", self._more, "small")
            self._panel = element("section", "panel one", **{"aria-label": "The chosen crystal"})
        self._add_cards()
        wanted = ui.context.client.request.query_params.get("n", "")
        numbers = [row["n"] for row in self._rows]
        first = int(wanted) if wanted.isdecimal() and len(wanted) < 9 and int(wanted) in numbers else 0
        await self.choose(first or self._listed()[0]["n"])

    def _add_files(self) -> None:
        self._files.clear()
        with self._files:
            text("span", "All as", "quiet small")
            for kind, words in (("cif", "CIF"), ("poscar", "POSCAR"), ("extxyz", "extxyz")):
                link(words, download(self._run, kind), "cs small", download="")
            if "rank" in self._rows[0]:
                table = f"/api/v1/runs/{self._run}/files/crystals.csv"
                link("Table", table, "cs small", download="crystals.csv")
            link("Relax and rank", f"/relax/{self._run}", "cs small")
            if (again := make_again(self._job)) is not None:
                link("Change and make again", again, "cs small")

    def _add_choices(self) -> None:
        with element("div", "row tight even"):
            self._which: Field = select_field("Show", SHOWN, on_change=self._again)
            present = {
                key: words for key, words in SORTS.items() if any(r.get(key) is not None for r in self._rows)
            }
            if "rank" not in present:
                present = {"n": "as made", **present}
            self._sort: Field = select_field("Order", present, on_change=self._again)

    def _listed(self) -> list[dict[str, Any]]:
        """The rows that are wanted, in the order that is wanted."""
        return chosen_rows(self._rows, self._which.value, self._sort.value)

    def _again(self) -> None:
        self._shown = AT_ONCE
        self._add_cards()

    def _more(self) -> None:
        self._shown += AT_ONCE
        self._add_cards()

    def _add_cards(self) -> None:
        rows = self._listed()
        self._list.clear()
        self._cards.clear()
        with self._list:
            for row in rows[: self._shown]:
                with element("li"):
                    self._cards[row["n"]] = self._card(row)
            if not rows:
                text("li", "None of this kind.", "quiet")
        self._further.set_visibility(len(rows) > self._shown)
        self._mark()

    def _add_new_cards(self) -> None:
        """Those that are not there yet, without drawing the others anew."""
        if self._sort.value != "n":
            self._add_cards()
            return
        with self._list:
            for row in self._listed()[: self._shown]:
                if row["n"] not in self._cards:
                    with element("li"):
                        self._cards[row["n"]] = self._card(row)
        self._further.set_visibility(len(self._listed()) > self._shown)

    def _card(self, row: Mapping[str, Any]) -> ui.element:
        n = row["n"]
        with element("button", "card", type="button").on("click", lambda: self.choose(n), []) as card:
            address = f"/api/v1/runs/{self._run}/crystals/{n}/picture.svg"
            element("img", src=address, alt="", loading="lazy", width=96, height=96)
            html(card_words(row), tag="span", classes="words")
        return card

    def _mark(self) -> None:
        for n, card in self._cards.items():
            if n == self._chosen:
                card.props["aria-current"] = "true"
            else:
                card.props.pop("aria-current", None)

    async def choose(self, n: int) -> None:
        """Show one crystal."""
        if n == self._chosen:
            return
        self._chosen = n
        self._mark()
        self._panel.clear()
        with self._panel:
            if self._over_now:  # numbers change when they are ranked
                ui.run_javascript(f"history.replaceState(null, '', '?n={n}')")
            over = self._over_now
            found = await crystal_panel(self._service, self._run, n, brief=not over)
            if found is not None and over:
                self._add_compare(n)

    def _add_compare(self, n: int) -> None:
        others = {str(row["n"]): f"{row['n']}: {plain_words(row)}" for row in self._rows if row["n"] != n}
        if not others:
            return
        with element("div", "row low"):
            field = select_field("Compare with", others)
            button("Side by side", lambda: ui.navigate.to(f"/compare/{self._run}/{n}/{field.value}"))


def chosen_rows(rows: list[dict[str, Any]], which: str, sort: str) -> list[dict[str, Any]]:
    """Some of a run's rows, sorted; what has no such figure comes last.

    Args:
        rows: of ``Service.crystals``.
        which: of ``SHOWN``.
        sort: of ``SORTS``.
    """
    kept = rows
    if which != "all":
        kept = [row for row in rows if row.get("duplicate_of") is None and row.get("failure") is None]
    if which == "new":
        kept = [row for row in kept if str(row.get("novelty") or "").startswith("new")]
    return sorted(kept, key=lambda row: (row.get(sort) is None, row.get(sort) or 0, row["n"]))


def told(rows: list[dict[str, Any]]) -> str:
    """What a run made, in one line."""
    words = [f"{len(rows)} crystal{'s' if len(rows) > 1 else ''}"]
    different = sum(row.get("duplicate_of") is None for row in rows)
    if different < len(rows):
        words.append(f"{different} different")
    if any(row.get("novelty") for row in rows):
        known = sum(bool(row.get("known_as")) and row.get("duplicate_of") is None for row in rows)
        words.append(f"{known} known, {different - known} new")
    return " · ".join(words)


def card_words(row: Mapping[str, Any]) -> Markup:
    """What stands on a card."""
    lines = [Markup("<b>{}</b> {}").format(row["n"], formula_html(str(row.get("formula") or row["name"])))]
    if row.get("space_group"):
        lines.append(group_html(int(row["space_group"])))
    if row.get("p_right") is not None:
        lines.append(Markup("{} likely").format(chance(row["p_right"])))
    elif row.get("score") is not None:
        lines.append(Markup("score {}").format(number(row["score"], 2)))
    above = row.get("e_above_hull", row.get("e_above_hull_of_known"))
    if row.get("duplicate_of") is not None:
        lines.append(Markup("<span class='tag'>repeats {}</span>").format(row["duplicate_of"]))
    elif row.get("known_as"):
        hull = f", {hull_words(above)}" if above is not None else ""
        lines.append(
            Markup("<span class='tag'>known{}</span>").format(
                hull.replace(" eV/atom", " eV").replace("on the", "on")
            )
        )
    elif row.get("novelty"):
        lines.append(Markup("<span class='tag new'>new</span>"))
    return Markup("<br>").join(lines)


def plain_words(row: Mapping[str, Any]) -> str:
    """A crystal in a line of a menu."""
    return f"{row.get('formula') or row['name']} {row.get('symbol') or ''}".strip()


_ARROWS = """(e) => {
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[e.key];
  if (!step) return;
  const all = [...e.currentTarget.querySelectorAll('button')];
  const next = all[all.indexOf(document.activeElement) + step];
  if (next) { next.focus(); next.click(); }
  e.preventDefault();
}"""
