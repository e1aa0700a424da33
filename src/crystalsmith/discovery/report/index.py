"""The report of many systems: a page with a line for each that leads to its page, and the table as files."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from crystalsmith.discovery.report.row import FAILED, FINISHED, SystemRow, rows_csv
from crystalsmith.discovery.report.writer import PAGE
from crystalsmith.reports import render
from crystalsmith.runs.atomic import write_whole, writing

TABLE, DATA = "systems.csv", "systems.json"


@dataclass(frozen=True)
class Script:
    """The one script of a page, as ``reports.render`` takes what a page shows crystals with."""

    text: str
    note: str = ""

    @property
    def policy(self) -> str:
        """For the page's content security policy: this text alone."""
        digest = hashlib.sha256(self.text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    @property
    def markup(self) -> Markup:
        """For the end of the page."""
        return Markup(f"<script>{self.text}</script>")  # our own file


def totals(rows: Sequence[SystemRow]) -> dict[str, Any]:
    """Sums over all systems, and the lowest above the hull."""
    states = Counter(row.status for row in rows)
    best = min((row for row in rows if row.best is not None), key=lambda r: r.best or 0.0, default=None)
    return {
        "systems": len(rows),
        **states,
        **{key: sum(getattr(r, key) or 0 for r in rows) for key in ("candidates", "unique", "near", "new")},
        "best": None if best is None else best.best,
        "best_formula": "" if best is None else best.formula,
    }


def index_html(rows: Sequence[SystemRow], facts: Mapping[str, str]) -> str:
    """The page; it is written while the run goes on too."""
    found = totals(rows)
    over = found.get(FINISHED, 0) + found.get(FAILED, 0)
    tiles = [
        (f"{over:,} of {len(rows):,}", "systems done"),
        (f"{found['candidates']:,}", "candidates made"),
        (f"{found['unique']:,}", "of them unique"),
        (f"{found['near']:,}", "near the hull"),
        (f"{found['new']:,}", "on short lists and not known"),
    ]
    if found["best"] is not None:
        tiles.append((f"{found['best']:+.3f}", f"lowest above the hull, eV/atom: {found['best_formula']}"))
    script = Script(Path(__file__).with_name("sort.js").read_text(encoding="utf-8"))
    return render(
        Path(__file__).with_name("index.html"),
        title=f"New crystals of {len(rows):,} chemical systems",
        subtitle="; ".join(facts.values()),
        viewers=script,  # type: ignore[arg-type]
        tiles=tiles,
        rows=rows,
        failed=found.get(FAILED, 0),
    )


def write_index(folder: Path, rows: Sequence[SystemRow], facts: Mapping[str, str]) -> None:
    """Write ``report.html``, ``systems.csv`` and ``systems.json``.

    Raises:
        OutputError: a file cannot be written.
    """
    data = {"totals": totals(rows), "systems": [row.to_dict() for row in rows]}
    with writing(folder):
        write_whole(folder / TABLE, rows_csv(rows), durable=False)
        write_whole(folder / DATA, json.dumps(data, ensure_ascii=False, indent=0) + "\n", durable=False)
        write_whole(folder / PAGE, index_html(rows, facts), durable=False)
