"""Runs of ``solve``: the answers and their profiles, and while it works those that it has so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crystalsmith.serving.opened.reading import Reader, crystal_values, number, text, unique, whole
from crystalsmith.serving.opened.record import Column, Opened, Step, filled

COLUMNS = (
    Column("rank", "rank", "number", 0),
    Column("p", "right", "chance", 0, "probability that this is the sample's structure"),
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("lattice", "lattice (Å)"),
    Column("misfit", "misfit", "number", 2, "what the fit leaves of the pattern: 0 nothing, 1 all of it"),
    Column("rwp", "Rwp", "percent", 1, "of the Rietveld refinement, background included"),
    Column("gof", "GoF", "number", 2, "Rwp over the smallest that the counting allows"),
    Column("known_as", "known as", "formula"),
    Column("origin", "made from", "formula"),
    Column("cell_from", "cell from"),
    Column("alike", "found", "number", 0, "times among the best fits"),
    Column("atoms", "atoms", "number", 0, "in the primitive cell"),
    Column("energy", "energy (eV/atom)", "number", 4),
    Column("candidate", "candidate"),
)

FILES = ("report.html", "candidates.csv", "results.json", "pattern.csv", "run.log", "manifest.json")


@dataclass(frozen=True)
class Verdict:
    """How sure a run is, so far or in the end.

    Attributes:
        words: ``one answer``, ``several fit equally``, ``none fits``; empty where nothing was fitted yet.
        none: probability that no candidate is right; None where nobody knows yet.
        final: the run has ended.
        tried: candidates that were fitted.
        number: of the round of candidates, from 1; 0 where nobody said.
    """

    words: str = ""
    none: float | None = None
    final: bool = False
    tried: int = 0
    number: int = 0


@dataclass(frozen=True, eq=False)
class Curves:
    """A pattern beside what was calculated for one candidate.

    Attributes:
        two_theta, observed, background: (n,) degrees and intensities; empty where there is no pattern yet.
        calculated: (n,) with the background; None where nobody kept it.
        label: what the calculated one is of.
        by: ``rietx`` or ``our fit``.
        misfit: of that fit; None where nobody said.
    """

    two_theta: np.ndarray
    observed: np.ndarray
    background: np.ndarray
    calculated: np.ndarray | None = None
    label: str = ""
    by: str = "our fit"
    misfit: float | None = None


def open_solution(reader: Reader, manifest: Mapping[str, Any]) -> Opened:
    """What a run of ``solve`` has found so far."""
    found = Solution(reader, manifest)
    rows, crystals = found.rows
    run = (manifest.get("run") or {}).get("settings") or {}
    pattern = found.results.get("pattern") or {}
    asked = {k: v for k, v in run.items() if v not in (None, [], False, "") and k in _ASKED}
    verdict = found.verdict
    return Opened(
        reader.folder,
        "solution",
        str(manifest.get("status")),
        found.words,
        (
            ("Pattern", _pattern(pattern)),
            ("Asked", text({k.replace("_", " "): v for k, v in asked.items()})),
            ("Candidates fitted", f"{verdict.tried:,}"),
            ("Verdict", verdict.words + ("" if verdict.final or not verdict.words else ", so far")),
        ),
        (*reader.told, *found.caveats, *(text(note) for note in found.results.get("notes") or ())),
        filled(COLUMNS, rows),
        tuple(rows),
        found.steps,
        crystals,
        files=reader.there(*FILES),
        potential=text(run.get("potential")),
    )


_ASKED = (
    *("formula", "elements", "space_group", "cell", "z", "atoms", "max_atoms", "radiation", "axis"),
    *("two_theta", "candidates", "index", "potential", "seed"),
)


def _pattern(pattern: Mapping[str, Any]) -> str:
    if not pattern:
        return ""
    span = pattern.get("two_theta") or (0, 0)
    return (
        f"{text(pattern.get('name'))}: {text(pattern.get('points'))} points, {number(span[0]) or 0:g} to"
        f" {number(span[-1]) or 0:g}° 2θ, {text(pattern.get('radiation'))}"
    )


class Solution:
    """The files of a run of ``solve``, read when they are asked for.

    Args:
        reader: of its folder.
        manifest: of the run.
    """

    def __init__(self, reader: Reader, manifest: Mapping[str, Any]) -> None:
        self.reader, self.manifest = reader, manifest

    @cached_property
    def results(self) -> dict[str, Any]:
        """Of a run that ended; empty while it goes on."""
        return {} if self.manifest.get("status") == "running" else self.reader.json("results.json")

    @cached_property
    def standing(self) -> dict[str, Any]:
        """How a run that goes on stands."""
        return {} if self.results else self.reader.json("standing.json")

    @cached_property
    def verdict(self) -> Verdict:
        """How sure the run is."""
        if self.results:
            words, tried = text(self.results.get("verdict")), whole(self.results.get("candidates_tried")) or 0
            return Verdict(words, number(self.results.get("p_none")), True, tried)
        s = self.standing
        tried, number_ = whole(s.get("tried")) or 0, whole(s.get("round")) or 0
        return Verdict(text(s.get("verdict")), number(s.get("p_none")), False, tried, number_)

    @cached_property
    def rows(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Answers, the likeliest first, and their crystals by name."""
        rows: list[dict[str, Any]] = []
        crystals: dict[str, Any] = {}
        given = self.results.get("candidates") or self.standing.get("answers") or []
        for rank, line in enumerate(given if isinstance(given, list) else [], start=1):
            with self.reader.guard("answers"):
                row = crystal_values(line["crystal"])
                stem = text(line.get("file")).rpartition("/")[2].removesuffix(".cif")
                name = unique(stem or text(line["candidate"]), crystals)
                rows.append({"name": name, "rank": rank, **row, **_figures(line)})
                crystals[name] = line["crystal"]
        return rows, crystals

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        rows, verdict = self.rows[0], self.verdict
        if not rows:
            return "no answers yet" if not self.results else "none fits: no candidate could be fitted"
        first = _name(rows[0])
        if verdict.words == "none fits":
            words = (
                f"None fits: with a probability of {_sure(verdict.none)} the structure is not among those"
                f" found. Nearest: {first}"
            )
        elif verdict.words == "several fit equally":
            several = [r for r in rows if (r["p"] or 0) >= 0.2 * (rows[0]["p"] or 0)][:4]
            words = "Several fit equally: " + ", ".join(f"{_name(r)} {_sure(r['p'])}" for r in several)
        else:
            words = f"One answer: {first}, right with a probability of {_sure(rows[0]['p'])}"
        return words if verdict.final else f"So far: {words[0].lower()}{words[1:]}"

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the pattern cannot tell, once the run has ended."""
        caveat = text(self.results.get("caveat"))
        return (caveat,) if caveat else ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """Candidates, structures, and those that may be right."""
        rows, tried = self.rows[0], self.verdict.tried
        if not tried:
            return ()
        likely = sum((row["p"] or 0.0) >= 0.01 for row in rows)
        made = max(tried, len(rows))
        return (
            Step("fitted", made, len(rows), {"the same structure, or far off": made - len(rows)}),
            Step("may be right (over 1 %)", len(rows), likely, {"do not fit": len(rows) - likely}),
        )

    @cached_property
    def pattern(self) -> Curves:
        """The pattern alone."""
        rows = self.reader.csv("pattern.csv")
        columns = ("two_theta", "observed", "background")
        values = [[number(row.get(c)) for c in columns] for row in rows]
        whole_ = [v for v in values if None not in v]
        x = np.array(whole_, dtype=float).reshape(-1, 3)
        return Curves(x[:, 0], x[:, 1], x[:, 2])

    def curves(self, name: str = "") -> Curves:
        """The pattern with what was calculated for an answer, or for the best one that has a profile."""
        rows = self.rows[0]
        chosen = [r for r in rows if r["name"] == name] if name else rows[:1]
        for row in chosen:
            found = self._written(row) or self._standing(row["candidate"]) or self._refined(row)
            if found is not None:
                return found
        return self.pattern

    @property
    def newest(self) -> Curves | None:
        """The pattern with what was calculated for the candidate that was refined last, while a run works."""
        line = self.standing.get("newest")
        return self._of_standing(line) if isinstance(line, dict) else None

    def _standing(self, candidate: str) -> Curves | None:
        line = self.standing.get("best")
        if not isinstance(line, dict) or line.get("candidate") != candidate:
            return None
        return self._of_standing(line)

    def _of_standing(self, line: Mapping[str, Any]) -> Curves | None:
        label = f"{text(line.get('formula'))}, space group {text(line.get('space_group'))}"
        return self._laid(line.get("profile"), label, number(line.get("misfit")))

    def _refined(self, row: Mapping[str, Any]) -> Curves | None:
        line = self._fits.get(row["candidate"])
        if line is None:
            return None
        return self._laid(line.get("profile"), _name(row), number(line.get("misfit")))

    def _laid(self, profile: Any, label: str, misfit: float | None) -> Curves | None:
        """A profile of ours on the pattern."""
        p = self.pattern
        if not isinstance(profile, list) or len(profile) != len(p.two_theta) or not len(profile):
            return None
        calculated = np.array([number(v) or 0.0 for v in profile]) + p.background
        return Curves(p.two_theta, p.observed, p.background, calculated, label, "our fit", misfit)

    def _written(self, row: Mapping[str, Any]) -> Curves | None:
        """Out of the CIF with the profile that a run writes for each answer when it ends."""
        path = self.reader.path(f"pdcif/{row['name']}.cif")
        if path is None:
            return None
        with self.reader.guard("profiles"):
            lines = path.read_text(encoding="utf-8").splitlines()
            first = max(k for k, line in enumerate(lines) if line.startswith("_pd_")) + 1
            start = max(k for k, line in enumerate(lines[:first]) if line.strip() == "loop_") + 1
            names = [line.strip() for line in lines[start:first]]
            values = np.array([line.split() for line in lines[first:] if line.strip()], dtype=float)
            x, o, b, c = (values[:, names.index(name)] for name in _PROFILE)
            by = "rietx" if row["rwp"] is not None else "our fit"
            return Curves(x, o, b, c, _name(row), by, row["misfit"])
        return None

    @cached_property
    def _fits(self) -> dict[str, dict[str, Any]]:
        """Refined fits by candidate."""
        fits = {text(r.get("key")): r.get("fit") for r in self.reader.journal("refined.jsonl")}
        return {k: v for k, v in fits.items() if isinstance(v, dict)}


_PROFILE = (
    *("_pd_proc_2theta_corrected", "_pd_proc_intensity_total"),
    *("_pd_proc_intensity_bkg_calc", "_pd_calc_intensity_total"),
)


def _figures(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "p": number(line.get("p")),
        "misfit": number(line.get("misfit")),
        "rwp": number(line.get("rietveld_rwp")),
        "gof": number(line.get("rietveld_gof")),
        "known_as": text(line.get("known_as")),
        "origin": text(line.get("origin")),
        "cell_from": text(line.get("cell_from")),
        "alike": whole(line.get("alike")),
        "energy": number(line.get("energy")),
        "candidate": text(line.get("candidate")),
    }


def _sure(p: float | None) -> str:
    """A probability in whole per cent, never all or nothing."""
    percent = round(100 * (p or 0.0))
    return "over 99 %" if percent > 99 else "under 1 %" if percent < 1 else f"{percent} %"


def _name(row: Mapping[str, Any]) -> str:
    from crystalsmith.symmetry import space_group

    group = row["space_group"]
    return f"{row['formula']} in {space_group(group).symbol} ({group})"
