"""The second journal of a run: one line of JSON for every crystal whose drafts were judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.generation.choice import Choice
from crystalsmith.generation.journal import Entry, Journal
from crystalsmith.runs.journal import append_journal, read_journal

if TYPE_CHECKING:
    from ase import Atoms

    from crystalsmith.ranking import Score


@dataclass
class ScoreJournal:
    """Choices of a run on disk; what stands in it survives a killed process or machine.

    Attributes:
        path: the file.
        best: draft that was chosen and its score (None where all drafts were given up), by (order id, index).
    """

    path: Path
    best: dict[tuple[str, int], tuple[int, Score | None]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, *, mend: bool = True) -> ScoreJournal:
        """Read what is there.

        Args:
            path: the file; it need not exist.
            mend: remove a last line that was cut off from the file too; else it is only ignored.

        Raises:
            OutputError: a line that is not of such a journal.
            OSError: the file cannot be read or shortened.
        """
        from crystalsmith.ranking import Score

        journal = cls(path)

        def take(data: Any, place: int) -> None:
            draft = int(data["draft"])
            score = data["scores"][draft]
            best = None if score is None else Score.from_dict(score)
            journal.best[str(data["order"]), int(data["index"])] = draft, best

        read_journal(path, take, mend=mend)
        return journal

    def append(self, choice: Choice) -> None:
        """Add a crystal; when this returns, it is on the disk.

        Raises:
            OSError: it could not be written.
        """
        line = {
            "order": choice.order_id,
            "index": choice.index,
            "draft": choice.draft,
            "scores": [None if s is None else s.to_dict() for s in choice.scores],
        }
        append_journal(self.path, [line])
        self.best[choice.order_id, choice.index] = choice.draft, choice.best


def best_entries(
    journal: Journal, scores: ScoreJournal, keys: Sequence[tuple[str, int]], best_of: int
) -> Iterator[Entry]:
    """The best drafts of judged crystals, under the crystals' own indices and with their scores.

    Raises:
        OutputError: a line of the journal that does not hold a crystal.
        OSError: the journal cannot be read.
    """
    places = [(key[0], key[1] * best_of + scores.best[key][0]) for key in keys]
    for key, entry in zip(keys, journal.read(places), strict=True):
        yield replace(entry, index=key[1], score=scores.best[key][1])


def figures_of(scores: Sequence[Score | None]) -> list[float]:
    """The figures by which the crystals of an order are sorted; minus infinity for those without a score."""
    from crystalsmith.ranking import totals

    found = iter(totals([s for s in scores if s is not None]))
    return [-math.inf if s is None else next(found) for s in scores]


def add_score(atoms: Atoms, score: Score, figure: float) -> None:
    """Put a crystal's figure and the parts of its score into its info, those that it has.

    The energy of the whole cell (eV) becomes that of a calculator, which is where ASE looks for it.
    """
    from ase.calculators.singlepoint import SinglePointCalculator

    parts = {
        "score": figure,
        "p_given_letters": score.p_given_letters,
        "score_denoising": score.denoising,
        "score_agreement": score.agreement,
        "log_prior": score.log_prior,
        "energy_per_atom": score.energy,
        "relaxed_energy_per_atom": score.relaxed_energy,
    }
    atoms.info |= {name: value for name, value in parts.items() if value is not None}
    if score.energy is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=score.energy * len(atoms))
