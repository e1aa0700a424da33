"""What an evaluation comes to: figures with intervals, the tables behind them, crystal by crystal details."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Measure:
    """What a figure says.

    Attributes:
        key: name in JSON.
        label: name in tables.
        group: the metric that it belongs to, as in ``METRICS``.
        share: a share, shown in percent, in place of a plain number.
        higher_is_better: which way is up; None where neither is.
        about: one sentence: definition and source.
    """

    key: str
    label: str
    group: str
    share: bool
    higher_is_better: bool | None
    about: str


@dataclass(frozen=True)
class Figure:
    """A measured value.

    Attributes:
        measure: what it is.
        value: NaN where it cannot be had.
        low, high: 95 % bootstrap interval, NaN where there is none.
        n: crystals that it rests on (targets of a match rate, rows of the reference for a recall).
    """

    measure: Measure
    value: float
    low: float
    high: float
    n: int

    def text(self) -> str:
        """Value and interval for a table."""
        if math.isnan(self.value):
            return "-"
        scale = 100.0 if self.measure.share else 1.0
        digits = 1 if self.measure.share else decimals(self.value)
        shown = f"{self.value * scale:.{digits}f}"
        if math.isnan(self.low):
            return shown
        return f"{shown} [{self.low * scale:.{digits}f}, {self.high * scale:.{digits}f}]"


def decimals(value: float) -> int:
    """Digits after the point that show a number to about three places."""
    if not math.isfinite(value) or abs(value) < 1e-9:
        return 3
    return int(np.clip(2 - math.floor(math.log10(abs(value))), 1, 4))


@dataclass(frozen=True)
class BinRow:
    """One row of a table of match rates.

    Attributes:
        label: the bin, such as ``4-5``.
        n: targets in it.
        match: share matched by the first sample, with its interval.
        rmse: mean displacement of those, NaN if none.
        match_best, rmse_best: the same for the best of all samples of a target.
    """

    label: str
    n: int
    match: float
    low: float
    high: float
    rmse: float
    match_best: float
    rmse_best: float


def rate_text(match: float, rmse: float) -> str:
    """Match rate in percent, and RMSE in brackets."""
    if math.isnan(match):
        return "-"
    return f"{100 * match:.1f}" + ("" if math.isnan(rmse) else f" ({rmse:.3f})")


@dataclass(eq=False)
class Column:
    """All that was found out about one set of crystals.

    Attributes:
        name: of the set.
        size: crystals asked for, failures included.
        failures: name and reason of each that is no crystal or could not be read.
        figures: by key, in the order of the table.
        samples: samples of each target, 0 where nothing was paired.
        tables: "freedom" and "atoms": match rates by bins of the target.
        quantities: values of each crystal for plots, by name, NaN for failures.
        elements: (119,) crystals that hold each element.
        details: one mapping a crystal.
        note: what the column holds, for controls.
    """

    name: str
    size: int
    failures: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)
    samples: int = 0
    tables: dict[str, list[BinRow]] = field(default_factory=dict)
    quantities: dict[str, np.ndarray] = field(default_factory=dict)
    elements: np.ndarray = field(default_factory=lambda: np.zeros(119, dtype=int))
    details: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""


@dataclass(eq=False)
class Evaluation:
    """One table: a column for each set.

    Attributes:
        columns: the sets.
        reference: name of the reference; reference_size: its crystals after the filter.
        reference_quantities, reference_elements: as in ``Column``, of the reference.
        settings: everything that the figures depend on.
        notes: what could not be measured, and why.
        timings: seconds and numbers by step.
    """

    columns: list[Column]
    reference: str
    reference_size: int
    reference_quantities: dict[str, np.ndarray]
    reference_elements: np.ndarray
    settings: dict[str, Any]
    notes: list[str]
    timings: dict[str, dict[str, float]]

    @property
    def kept(self) -> str:
        """How many crystals of the reference were used, and which."""
        low, high = self.settings["reference_filter"]["space_groups"]
        most = self.settings["reference_filter"]["max_atoms"]
        words = [f"{self.reference_size:,} crystals"]
        if (low, high) != (1, 230):
            words.append(f"space groups {low} to {high}")
        if most is not None:
            words.append(f"at most {most} atoms in the primitive cell")
        return ", ".join(words)

    def measures(self) -> list[Measure]:
        """What the table has rows for, in order."""
        found: dict[str, Measure] = {}
        for column in self.columns:
            found.update({key: figure.measure for key, figure in column.figures.items()})
        order = {measure.key: k for k, measure in enumerate(MEASURES.values())}
        return sorted(found.values(), key=lambda measure: order[measure.key])

    def to_dict(self) -> dict[str, Any]:
        """Everything, in plain types of JSON."""
        from crystalsmith.evaluation.report.tables import to_mapping

        return to_mapping(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the figures."""
        from crystalsmith.reports.notebook import frame_html

        return frame_html(f"{len(self.columns)} sets of samples", self.to_dataframe())

    def to_dataframe(self) -> DataFrame:
        """A row for each figure of each set: value, 95 % interval, and the crystals that it rests on."""
        from pandas import DataFrame

        names = ("set", "figure", "about", "value", "low", "high", "n")
        rows = [
            (c.name, key, f.measure.label, f.value, f.low, f.high, f.n)
            for c in self.columns
            for key, f in c.figures.items()
        ]
        return DataFrame(rows, columns=list(names))


def rate_table(columns: list[Column], kind: str) -> tuple[list[str], list[list[str]]]:
    """Match rates by bins of the target, for tables.

    Args:
        columns: those that have such a table.
        kind: "freedom" or "atoms".

    Returns:
        Headings and rows: bin, targets, and one or two cells for each column; bins without targets left out.
    """
    head = ["targets"]
    for column in columns:
        head += [column.name, f"best of {column.samples}"] if column.samples > 1 else [column.name]
    rows = []
    for k, first in enumerate(columns[0].tables[kind]):
        here = [column.tables[kind][k] for column in columns]
        if not any(row.n for row in here):
            continue
        cells = [first.label, str(max(row.n for row in here))]
        for column, row in zip(columns, here, strict=True):
            cells.append(rate_text(row.match, row.rmse))
            if column.samples > 1:
                cells.append(rate_text(row.match_best, row.rmse_best))
        rows.append(cells)
    return head, rows


def _measures(*rows: tuple[str, str, str, bool, bool | None, str]) -> dict[str, Measure]:
    return {row[0]: Measure(*row) for row in rows}


_CDVAE = "Xie et al., ICLR 2022 (CDVAE)"
_PAPER = "Sultanov et al. 2023, section 5.2"
_W = "Wasserstein distance to the reference of the"

MEASURES: dict[str, Measure] = _measures(
    ("made", "crystals made", "validity", True, True, "Share of the crystals asked for that can be read."),
    (
        "structure_valid",
        "valid structures",
        "validity",
        True,
        True,
        f"No two atoms closer than 0.5 Angstrom, volume of at least 0.1 Angstrom^3. {_CDVAE}.",
    ),
    (
        "composition_valid",
        "valid compositions",
        "validity",
        True,
        True,
        f"SMACT: smact14 oxidation states, Pauling test, alloys and elements valid. {_CDVAE}.",
    ),
    ("valid", "valid in both", "validity", True, True, f"Both of the above. {_CDVAE}."),
    (
        "cov_p",
        "COV-P",
        "coverage",
        True,
        True,
        f"Share of crystals whose nearest reference lies within both cut-offs. {_CDVAE}.",
    ),
    (
        "cov_r",
        "COV-R",
        "coverage",
        True,
        True,
        f"Share of reference crystals whose nearest crystal lies within both cut-offs. {_CDVAE}.",
    ),
    (
        "fd_crystal_nn",
        "FD CrystalNN",
        "fd-crystalnn",
        False,
        False,
        f"Frechet distance of CrystalNN fingerprints from the reference's. {_PAPER}.",
    ),
    (
        "fd_cgcnn",
        "FD CGCNN",
        "fd-cgcnn",
        False,
        False,
        f"Frechet distance of the activations of the public formation-energy CGCNN. {_PAPER}.",
    ),
    ("w_density", "W density (g/cm3)", "distributions", False, False, f"{_W} mass density."),
    ("w_elements", "W elements", "distributions", False, False, f"{_W} number of elements."),
    (
        "w_group",
        "W space group",
        "distributions",
        False,
        False,
        f"{_W} space-group number found at 0.1 Angstrom.",
    ),
    (
        "w_freedom",
        "W free parameters",
        "distributions",
        False,
        False,
        f"{_W} number of free parameters of the occupied Wyckoff positions.",
    ),
    (
        "match",
        "match rate, one sample",
        "match",
        True,
        True,
        "Share of targets that their first sample matches; StructureMatcher(ltol 0.3, stol 0.5, angle 10).",
    ),
    ("rmse", "RMSE, one sample", "match", False, False, "Mean displacement of the matched first samples."),
    (
        "match_valid",
        "match rate, one valid sample",
        "match",
        True,
        True,
        f"As above, a sample counting only if it is valid in structure and composition. {_CDVAE}.",
    ),
    ("match_best", "match rate, best of k", "match", True, True, "Share of targets that any sample matches."),
    ("rmse_best", "RMSE, best of k", "match", False, False, "Mean of the smallest displacements."),
    (
        "match_novel",
        "match rate, novel formulas",
        "match",
        True,
        True,
        "One sample, targets whose formula is not in the training set.",
    ),
    (
        "match_novel_best",
        "match rate, novel formulas, best of k",
        "match",
        True,
        True,
        "Any sample, targets whose formula is not in the training set.",
    ),
    (
        "metre",
        "METRe",
        "match",
        True,
        True,
        "Share of targets that any crystal of the set matches. Martirossyan et al., arXiv:2509.12178.",
    ),
    (
        "crmse",
        "cRMSE",
        "match",
        False,
        False,
        "Mean smallest displacement over all targets, 0.5 where unmatched. arXiv:2509.12178.",
    ),
    (
        "atoms_right",
        "atoms as in the target",
        "match",
        True,
        None,
        "Share of samples with as many atoms in the primitive cell as their target.",
    ),
    (
        "group_tight",
        "space group as asked, 0.01 A",
        "symmetry",
        True,
        True,
        "Share with the space group asked for, found by moyopy at 0.01 Angstrom.",
    ),
    (
        "group_loose",
        "space group as asked, 0.1 A",
        "symmetry",
        True,
        True,
        "The same at 0.1 Angstrom.",
    ),
    (
        "unique",
        "unique",
        "uniqueness",
        True,
        True,
        "Kinds of crystal, by StructureMatcher's defaults in one formula and space group, per crystal.",
    ),
    (
        "novel",
        "novel",
        "novelty",
        True,
        True,
        "Share of crystals that equal none of the training set, compared likewise.",
    ),
    (
        "valid_unique_novel",
        "valid, unique and novel",
        "novelty",
        True,
        True,
        "Kinds of crystal that are valid in both and novel, per crystal.",
    ),
)
"""Everything that can be measured, in the order of the table."""

METRICS = tuple(dict.fromkeys(m.group for m in MEASURES.values()))
"""Names of the metrics that can be asked for."""
