"""A field for a file: chosen or dropped, sent to the server, known by an id from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui.element import Element

ADDRESS = "/api/v1/uploads"
"""Where files are sent."""

MOST = 16_000_000
"""Bytes that are not even sent; the server has its own limit."""

_ACCEPT = {
    "structure": ".cif,.vasp,.poscar,.xyz,.extxyz,.json,.jsonl,.zip,.txt",
    "pattern": ".xy,.xye,.xrdml,.ras,.raw,.brml,.udf,.csv,.dat,.txt,.cif,.gsa,.fxye,.cpi,.asc",
}


class UploadField(Element, component="cs_upload.js"):
    """The field.

    Attributes:
        upload: id of what was sent; empty if nothing was.
        found: what the server says of it.
    """

    def __init__(self, label: str, kind: str, hint: str, on_change: Callable[[], object]) -> None:
        super().__init__()
        self.upload, self.found = "", dict[str, Any]()
        self._on_change = on_change
        self._props |= {"name": f"field-{self.id}", "label": label, "hint": hint, "accept": _ACCEPT[kind]}
        self._props |= {"url": f"{ADDRESS}?kind={kind}", "most": MOST}
        self.on("begun", lambda _: self._take({}), [])
        self.on("uploaded", lambda event: self._take(event.args))

    def _take(self, found: dict[str, Any]) -> None:
        self.upload, self.found = str(found.get("id", "")), found
        self._on_change()


def upload_field(
    label: str, kind: str, on_change: Callable[[], object], *, hint: str = "or drop the file here"
) -> UploadField:
    """A field for a ``structure`` or a ``pattern``."""
    return UploadField(label, kind, hint, on_change)
