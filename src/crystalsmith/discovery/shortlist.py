"""``shortlist.json``: a run's summary with its short list, written once and read back by other commands."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.summary import RunSummary, StageCount
from crystalsmith.errors import DataError
from crystalsmith.runs.atomic import write_whole, writing

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PhaseDiagram

FORMAT, VERSION = "crystalsmith.shortlist", "1"
SHORTLIST = "shortlist.json"
"""Name of the file in a run's folder."""


def write_shortlist(path: Path, summary: RunSummary) -> None:
    """Write the file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    data = {
        "format": FORMAT,
        "version": VERSION,
        "summary": {
            "system": list(summary.system),
            "potential": summary.potential,
            "stages": [{**vars(s), "reasons": dict(s.reasons)} for s in summary.stages],
            "diagram": _diagram_data(summary.diagram),
            "reference": summary.reference,
            "notes": list(summary.notes),
            "arguments": dict(summary.arguments),
            "versions": dict(summary.versions),
            "seconds": summary.seconds,
        },
        "candidates": [c.to_dict() for c in summary.shortlist],
        "references": [[name, crystal.to_dict()] for name, crystal in summary.references],
    }
    text = json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False)
    with writing(path):
        write_whole(path, text + "\n")


def read_shortlist(path: Path) -> RunSummary:
    """Read the file.

    Args:
        path: the file, or the folder of a run that holds it.

    Raises:
        DataError: missing, damaged or of another version.
    """
    if path.is_dir():
        path = path / SHORTLIST
    mend = "run crystalsmith discover or crystalsmith dft inputs, which write it"
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"there is no {path}; {mend}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from None
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}; {mend}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DataError(f"{path} is not a short list of crystalsmith; {mend}")
    if data.get("version") != VERSION:
        raise DataError(f"{path} is of version {data.get('version')}, this program reads {VERSION}; {mend}")
    try:
        return _summary(data)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        reason = f"{error.args[0]!s} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path} is damaged: {reason[:120]}; {mend}") from None


def _summary(data: Mapping[str, Any]) -> RunSummary:
    given = data["summary"]
    candidates = tuple(Candidate.from_dict(c) for c in data["candidates"])
    if empty := next((c.name for c in candidates if not c.states), None):
        raise ValueError(f"candidate {empty} has no crystal")
    names = [c.name for c in candidates]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise ValueError(f"two candidates have the name {twice}")
    if bad := next((n for n in names if not n or n != Path(n).name or n.startswith(".")), None):
        raise ValueError(f"{bad!r} is no name for a file")
    return RunSummary(
        system=tuple(str(e) for e in given["system"]),
        potential=str(given["potential"]),
        stages=tuple(StageCount(**s) for s in given["stages"]),
        shortlist=candidates,
        diagram=_read_diagram(given["diagram"]),
        reference=str(given["reference"]),
        notes=tuple(str(n) for n in given["notes"]),
        arguments=dict(given["arguments"]),
        versions=dict(given["versions"]),
        seconds=float(given["seconds"]),
        # Earlier versions did not write them.
        references=tuple((str(n), Crystal.from_dict(c)) for n, c in data.get("references", ())),
    )


def _diagram_data(diagram: PhaseDiagram | None) -> dict[str, Any] | None:
    if diagram is None:
        return None
    entries = [
        {
            "name": phase_label(e),
            "composition": {str(k): float(v) for k, v in e.composition.items()},
            "energy": float(e.energy),
        }
        for e in diagram.all_entries
    ]
    return {"elements": [e.symbol for e in diagram.elements], "entries": entries}


def _read_diagram(data: Mapping[str, Any] | None) -> PhaseDiagram | None:
    """Rebuilt from the energies, so that nothing of it rests on pymatgen's own format."""
    if data is None:
        return None
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition, Element

    entries = [PDEntry(Composition(e["composition"]), float(e["energy"]), e["name"]) for e in data["entries"]]
    if not all(math.isfinite(e.energy) for e in entries):
        raise ValueError("a reference energy is not finite")
    return PhaseDiagram(entries, elements=[Element(e) for e in data["elements"]])


def phase_label(entry: Any) -> str:
    """What a reference phase is called: ``KSi (mp-2445)`` where its entry has an id or a name of its own."""
    formula = str(entry.composition.reduced_formula)
    name = getattr(entry, "entry_id", None) or getattr(entry, "name", None) or formula
    name = str(name)
    return name if name == formula or name.startswith(f"{formula} ") else f"{formula} ({name})"


def _plain(value: Any) -> Any:
    """Of JSON's types: numpy's numbers and arrays become numbers and lists, what is not finite null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)
