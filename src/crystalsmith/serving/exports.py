"""Crystals of runs as files; answered by the process of ``desk``."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel

FORMS = {
    "cif": ("cif", "chemical/x-cif"),
    "poscar": ("vasp", "text/plain"),
    "extxyz": ("extxyz", "text/plain"),
    "zip": ("zip", "application/zip"),
}
"""Ending and type of each form."""


def export(model: AnyModel, crystals: dict[str, Mapping[str, Any]], form: str) -> dict[str, str]:
    """Crystals by name in one file.

    Args:
        model: not used.
        crystals: in plain data.
        form: a key of ``FORMS``; several crystals as POSCARs come as a zip, which holds each crystal in every
            form.

    Returns:
        The ``form`` that it became and its content in base 64.
    """
    from crystalsmith.crystal import Crystal
    from crystalsmith.crystal.io.write import as_text, poscar

    found = {name: Crystal.from_dict(data) for name, data in crystals.items()}
    if form == "poscar" and len(found) > 1:
        form = "zip"
    if form == "poscar":
        content = "".join(poscar(c, f"{c.formula} {name}") for name, c in found.items()).encode()
    elif form == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, crystal in found.items():
                safe = name.replace("/", "_").replace("\\", "_").lstrip(".") or "crystal"
                archive.writestr(f"cif/{safe}.cif", as_text(".cif", {name: crystal}))
                archive.writestr(f"poscar/{safe}.vasp", poscar(crystal, f"{crystal.formula} {name}"))
            archive.writestr("crystals.extxyz", as_text(".extxyz", found))
        content = stream.getvalue()
    else:
        content = as_text(f".{FORMS[form][0]}", found).encode()
    return {"form": form, "content": base64.b64encode(content).decode()}


def check_hull(model: AnyModel, system: list[str], potential: str) -> None:
    """Refuse a system that has no hull by a potential.

    Raises:
        HullError: with the reason.
    """
    from crystalsmith.hull.system import load_hull

    load_hull(potential).diagram(system)
