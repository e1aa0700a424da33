"""Writing the report: the page, the table, and the crystals as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crystalsmith.crystal.io.write import poscar
from crystalsmith.dft.jobs import ranked_names, without_rank
from crystalsmith.discovery.report.page import to_html
from crystalsmith.discovery.report.table import to_csv
from crystalsmith.discovery.summary import RunSummary
from crystalsmith.runs.atomic import write_whole, writing

PAGE, TABLE, CIFS, POSCARS = "report.html", "candidates.csv", "cif", "poscar"


def write_report(folder: Path, summary: RunSummary) -> None:
    """Write ``report.html``, ``candidates.csv``, ``cif/RANK-NAME.cif`` and ``poscar/RANK-NAME.vasp``.

    The page stands alone: pictures are in it, only its links to the CIFs and POSCARs beside it need the
    folder. A picture ``phonons/NAME.png`` in the folder is put in. Files of an earlier report whose rank
    has changed are removed.

    Args:
        folder: made if it does not exist.
        summary: the run.

    Raises:
        OutputError: a file cannot be written.
    """
    texts = {c.name: c.crystal.to_cif() for c in summary.shortlist}
    page = to_html(folder, summary)
    with writing(folder):
        _write_files(folder / CIFS, ".cif", texts, summary)
        poscars = {c.name: poscar(c.crystal, f"{c.crystal.formula} {c.name}") for c in summary.shortlist}
        _write_files(folder / POSCARS, ".vasp", poscars, summary)
        write_whole(folder / TABLE, to_csv(summary.shortlist))
        write_whole(folder / PAGE, page)


def _write_files(folder: Path, suffix: str, texts: Mapping[str, str], summary: RunSummary) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    current = dict(zip(ranked_names(summary.shortlist), texts.values(), strict=True))
    for file in folder.glob(f"*{suffix}"):
        if file.stem not in current and without_rank(file.stem) in texts:
            file.unlink()
    for name, text in current.items():
        write_whole(folder / f"{name}{suffix}", text, durable=False)
