"""How a run stands while it works: the pattern as it is looked at, and the structures so far.

Two small files in the folder, written whole, for those that look at it from another process: ``pattern.csv``
when the run begins, ``standing.json`` whenever more was fitted or refined. Nothing of the run rests on them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from crystalsmith.errors import OutputError
from crystalsmith.reports.words import lattice_text
from crystalsmith.runs.csv_text import csv_text
from crystalsmith.runs.folder import RunFolder
from crystalsmith.solving.answers import Answer
from crystalsmith.solving.fitting import Observation
from crystalsmith.solving.trials import Fitted
from crystalsmith.solving.verdict import judge

STANDING, PATTERN = "standing.json", "pattern.csv"

SHOWN = 12
"""Structures that stand in the file, the likeliest first."""


@dataclass(frozen=True)
class Standing:
    """Writes how a run stands.

    Attributes:
        folder: of the run.
        observation: the pattern.
    """

    folder: RunFolder
    observation: Observation

    def write_pattern(self) -> None:
        """The pattern at the points of the profiles: degrees, intensity, background, uncertainty."""
        ready = self.observation.prepared
        columns = (ready.two_theta, ready.intensity + ready.background, ready.background, ready.sigma)
        rows = (
            {"two_theta": f"{x:.5f}", "observed": f"{o:.6g}", "background": f"{b:.6g}", "sigma": f"{s:.4g}"}
            for x, o, b, s in zip(*columns, strict=True)
        )
        with suppress(OutputError):
            text = csv_text(rows, ("two_theta", "observed", "background", "sigma"))
            self.folder.write(PATTERN, text, durable=False)

    def tell(
        self, answers: Sequence[Answer], tried: int, number: int, newest: Mapping[str, Fitted] | None = None
    ) -> None:
        """The structures so far.

        Args:
            answers: distinct ones, in any order.
            tried: candidates that were fitted.
            number: of the round, from 1.
            newest: fits of the block that was refined last, by key.
        """
        verdict = judge([answer.evidence for answer in answers])
        order = np.argsort([-p for p in verdict.p], kind="stable")
        ranked = [(answers[i], verdict.p[i]) for i in order[:SHOWN]]
        data = {
            "round": number,
            "tried": tried,
            "refined": sum(answer.refined is not None for answer in answers),
            "verdict": verdict.words,
            "p_none": verdict.none,
            "answers": [_row(answer, p) for answer, p in ranked],
            "best": _curve({a.trial.key: a.best_fit for a, _ in ranked[:1]}),
            "newest": _curve(newest or {}),
        }
        with suppress(OutputError):  # a disk that is full is told of by what matters
            self.folder.write(STANDING, json.dumps(data, allow_nan=False) + "\n", durable=False)


def _row(answer: Answer, p: float) -> dict[str, Any]:
    crystal, fit = answer.crystal, answer.best_fit
    return {
        "candidate": answer.trial.key,
        "p": round(p, 4),
        "formula": crystal.formula,
        "space_group": crystal.space_group,
        "symbol": crystal.group.symbol,
        "lattice": lattice_text(crystal),
        "misfit": round(min(fit.misfit, 99.0), 4),
        "refined": answer.refined is not None,
        "origin": answer.trial.entry.origin.words,
        "crystal": crystal.to_dict(),
    }


def _curve(fits: Mapping[str, Fitted]) -> dict[str, Any] | None:
    """The profile of the best of some fits: intensities above the background; None where nobody kept one."""
    kept = [(fit.misfit, key, fit) for key, fit in fits.items() if fit.profile is not None]
    if not kept:
        return None
    _, key, fit = min(kept, key=lambda one: one[:2])
    assert fit.profile is not None
    return {
        "candidate": key,
        "formula": fit.crystal.formula,
        "space_group": fit.crystal.space_group,
        "misfit": round(min(fit.misfit, 99.0), 4),
        "profile": [float(f"{x:.4g}") for x in fit.profile],
    }
