"""What forms that begin a job share: fields by name, the button, and refusals beside the fields they name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.pages.fields import Field
from crystalsmith.serving.pages.parts import answer, button, element, text

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service


class JobForm:
    """Fields and the button of a job.

    Args:
        service: that makes the job.
        kind: of the job.
        address: of its page, without its id.
    """

    def __init__(self, service: Service, kind: str, address: str) -> None:
        self._service, self._kind, self._address = service, kind, address
        self.fields: dict[str, Field] = {}

    def add(self, name: str, field: Field) -> None:
        """A field, by its name among the options of the job."""
        self.fields[name] = field

    def value(self, name: str) -> str:
        """What stands in a field, as text."""
        return str(self.fields[name].value or "").strip()

    def number(self, name: str, most: int, least: int = 0) -> int | None:
        """The whole number in a field; None where it is empty, or ``refused`` as it holds no such number."""
        value = self.value(name)
        if not value:
            return None
        if value.isdecimal() and len(value) < 9 and least <= int(value) <= most:
            return int(value)
        self.refuse(name, f"a whole number from {least} to {most}")
        return None

    @property
    def refused(self) -> bool:
        """Whether something was wrong with a field."""
        return any(field.fault for field in self.fields.values())

    def add_start(self, words: str, on_click: Callable[[], Awaitable[object]]) -> None:
        """The button, and the place of what it has to say."""
        with element("div", "row"):
            self.start = button(words, on_click, "main")
            self.said = text("span", "", "quiet number", role="status")
        self._complaint = text("p", "", "fault-note hidden", role="alert")

    def clear(self) -> None:
        """Take back what was refused before."""
        for field in self.fields.values():
            field.fault = ""
        self._complaint.classes("hidden")

    def refuse(self, name: str, words: str) -> None:
        """Say what is wrong with a field."""
        self.fields[name].fault = words
        self.fields[name].focus()

    def complain(self, words: str) -> None:
        """Say what is wrong with none of them in particular."""
        self._complaint.set_text(words)
        self._complaint.classes(remove="hidden")

    async def submit(self, options: Mapping[str, Any], *, others: Mapping[str, str] | None = None) -> None:
        """Begin the job and go to its page, or say beside the field why not.

        Args:
            options: of the job.
            others: the fields of options that have another name than theirs.
        """
        self.start.props["disabled"] = True
        before = self.said.text
        self.said.set_text("Checking …")
        try:
            job = await answer(self._service.submit, self._kind, options)
        except CrystalsmithError as error:
            self._place_fault(str(error), others or {})
            return
        finally:
            self.start.props["disabled"] = False
            self.said.set_text(before)
        ui.navigate.to(f"{self._address}/{job.id}")

    def _place_fault(self, words: str, others: Mapping[str, str]) -> None:
        """A refusal begins with the option, ``z: …``, or tells of it, ``system Na has 1 element``."""
        option, colon, rest = words.partition(": ")
        first = option.partition(" ")[0]
        name = others.get(first, first)
        if name not in self.fields:
            self.complain(words)
        else:
            self.refuse(name, rest if colon and first == option else words)
