"""An evaluation as JSON and as a table of crystals."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from crystalsmith.evaluation.figures import Evaluation
from crystalsmith.runs.csv_text import csv_text

FORMAT = 1


def to_mapping(evaluation: Evaluation) -> dict[str, Any]:
    """Plain JSON types; what is not finite becomes null."""
    e = evaluation
    return {
        "format": FORMAT,
        "reference": {"name": e.reference, "crystals": e.reference_size},
        "settings": e.settings,
        "sets": [
            {
                "name": column.name,
                "note": column.note,
                "crystals": column.size,
                "failures": [{"crystal": name, "reason": reason} for name, reason in column.failures],
                "figures": {
                    key: {
                        "label": figure.measure.label,
                        "value": figure.value,
                        "low": figure.low,
                        "high": figure.high,
                        "n": figure.n,
                    }
                    for key, figure in column.figures.items()
                },
                "samples_per_target": column.samples,
                "match_rates": {
                    kind: [dataclasses.asdict(row) for row in rows] for kind, rows in column.tables.items()
                },
            }
            for column in e.columns
        ],
        "measures": {m.key: {"label": m.label, "about": m.about} for m in e.measures()},
        "notes": e.notes,
        "timings": e.timings,
    }


def to_json(evaluation: Evaluation) -> str:
    """The mapping as text."""
    return json.dumps(_finite(to_mapping(evaluation)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(evaluation: Evaluation) -> str:
    """One row for each crystal of each set: what was found out about it."""
    rows = crystal_rows(evaluation)
    names = dict.fromkeys(key for row in rows for key in row)
    return csv_text(({k: _plain(v) for k, v in row.items()} for row in rows), list(names))


def crystal_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """What was found out about each crystal of each set."""
    return [{"set": c.name, **detail} for c in evaluation.columns for detail in c.details]


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        return int(value)
    return f"{value:.6g}" if isinstance(value, float) else value


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(x) for x in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
