"""The crystal of a row of any run, in the panel that all pages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crystalsmith.serving.opened import Opened

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service


class RowSource:
    """Answers what the panel asks of a service, for one row of an opened run.

    Args:
        service: whose other process draws.
        opened: the run.
        name: of the row.
        before: the crystal before its relaxation.
    """

    def __init__(self, service: Service, opened: Opened, name: str, *, before: bool = False) -> None:
        self._service, self._opened, self._name = service, opened, name
        data = (opened.others if before else opened.crystals).get(name)
        self._words = {"folder": str(opened.folder), "n": 1, "row": {"n": 1, "crystal": data}}

    def crystal(self, run_id: str, n: int) -> dict[str, Any]:
        """As ``Service.crystal``; of the row no more than what the panel has words for."""
        return {"row": {"n": self._name}, **self._ask("crystal")}

    def scene(self, run_id: str, n: int) -> dict[str, Any]:
        """As ``Service.scene``."""
        return self._ask("scene")

    def pattern(self, run_id: str, n: int, radiation: str = "CuKa") -> dict[str, Any]:
        """As ``Service.pattern``."""
        return self._ask("pattern", radiation=radiation)

    def _ask(self, question: str, **words: Any) -> dict[str, Any]:
        return dict(self._service.ask(question, **self._words, **words))


def facts_of_row(opened: Opened, row: Mapping[str, Any]) -> list[tuple[str, object]]:
    """All that a row says, by the headings of its columns."""
    from crystalsmith.serving.pages.run_table import cell_html

    left_out = ("name", "formula", "lattice", "atoms", "volume", "letters", "space_group")
    return [
        (column.label[:1].upper() + column.label[1:], cell_html(column, row.get(column.key)))
        for column in opened.columns
        if column.key not in left_out and row.get(column.key) not in (None, "")
    ]
